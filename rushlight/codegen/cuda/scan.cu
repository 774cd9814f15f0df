// Scans along rows: each result follows from the one before it.
//
// What is scanned is a step, an associative way to join two neighbouring stretches: a sum, a product, the running extremum with its place, the log
// of a sum of exponentials, a linear recurrence. A warp scans a line, a block a chunk of eight lines. Short rows are one line (`lines`), others go
// chunk by chunk (`along`); of long rows that are few each chunk has a block: `totals` joins every chunk, `along` with a step of `Carried` scans the
// totals, and `fill` scans each chunk from what comes before it. All this follows from the rows' number and length: results are the same everywhere.

#include "elements.cuh"

struct Args {
  const void* input; const void* other; void* out; void* places; void* carries;
  i64 rows, n, chunks;
};
constexpr int THREADS = 256, WARPS = THREADS / 32, EACH = 16, LINE = 32 * EACH, CHUNK = WARPS * LINE;

// Each step: the value V that passes on, that of an element, what nothing is, how two stretches join, and what is stored.
template <class T, class A> struct Sum {
  typedef A V;
  INLINE V none() { return A(0); }
  INLINE V at(Args& p, i64 i, i64) { return as<A>(((const T*)p.input)[i]); }
  INLINE V join(V a, V b) { return a + b; }
  INLINE void put(Args& p, i64 i, V v) { ((T*)p.out)[i] = as<T>(v); }
};
template <class T, class A> struct Product : Sum<T, A> {
  INLINE A none() { return A(1); }
  INLINE A join(A a, A b) { return a * b; }
};
template <class T> struct Found { T value; i64 place; };
template <class T, bool MAX> struct Extremum {   // the last of equal ones; a nan stays
  typedef Found<T> V;
  INLINE V none() { return {T(0), -1}; }
  INLINE V at(Args& p, i64 i, i64 place) { return {((const T*)p.input)[i], place}; }
  INLINE V join(V a, V b) {
    if (a.place < 0) return b;
    if (b.place < 0) return a;
    if (b.value != b.value) return b;
    return a.value == a.value && (MAX ? b.value >= a.value : b.value <= a.value) ? b : a;
  }
  INLINE void put(Args& p, i64 i, V v) { ((T*)p.out)[i] = v.value; ((i64*)p.places)[i] = v.place; }
};
template <class T> struct LogSum : Sum<T, f64> {
  INLINE f64 none() { return -infinity(); }
  INLINE f64 join(f64 a, f64 b) {
    f64 low = a < b ? a : b, high = a < b ? b : a;
    if (low == low && high == high) return low > -infinity() && high < infinity() ? high + log1p(exp(low - high)) : high;
    return a != a ? a : b;
  }
};
struct Line { f64 slope, offset; };
template <class T> struct Recurrence {           // y[i] = other[i] y[i - 1] + input[i], as maps of what comes before
  typedef Line V;
  INLINE V none() { return {1, 0}; }
  INLINE V at(Args& p, i64 i, i64 place) { return {place ? (f64)((const T*)p.other)[i] : 0, (f64)((const T*)p.input)[i]}; }
  INLINE V join(V a, V b) { return {a.slope * b.slope, a.slope == 0 && a.offset == 0 ? b.offset : fma(b.slope, a.offset, b.offset)}; }
  INLINE void put(Args& p, i64 i, V v) { ((T*)p.out)[i] = (T)v.offset; }
};

template <class S> struct Carried {              // the same joins, of values that lie in memory already
  typedef typename S::V V;
  INLINE V none() { return S::none(); }
  INLINE V at(Args& p, i64 i, i64) { return ((const V*)p.carries)[i]; }
  INLINE V join(V a, V b) { return S::join(a, b); }
  INLINE void put(Args& p, i64 i, V v) { ((V*)p.carries)[i] = v; }
};

// A warp's line from place ``begin`` of a row on, of which each lane has every 32nd element. v: the joins of the line up to these; returns all of it.
template <class S> INLINE typename S::V line(Args& p, i64 row, i64 begin, typename S::V (&v)[EACH]) {
  typedef typename S::V V;
  const int lane = threadIdx.x % 32;
  #pragma unroll
  for (int e = 0; e < EACH; e++) {
    const i64 i = begin + 32 * e + lane;
    v[e] = i < p.n ? S::at(p, row * p.n + i, i) : S::none();
  }
  V carry = S::none();
  #pragma unroll
  for (int e = 0; e < EACH; e++) {
    if (begin + 32 * e >= p.n) break;
    #pragma unroll
    for (int by = 1; by < 32; by *= 2) {
      const V left = from_left(v[e], by);
      if (lane >= by) v[e] = S::join(left, v[e]);
    }
    const V all = from_lane(v[e], 31);
    v[e] = S::join(carry, v[e]);
    carry = S::join(carry, all);
  }
  return carry;
}

// The elements of a line, each behind what comes before the line.
template <class S> INLINE void put(Args& p, i64 row, i64 begin, typename S::V before, typename S::V (&v)[EACH]) {
  #pragma unroll
  for (int e = 0; e < EACH; e++) {
    const i64 i = begin + 32 * e + threadIdx.x % 32;
    if (i < p.n) S::put(p, row * p.n + i, S::join(before, v[e]));
  }
}

// A block's chunk behind ``before``, line by line; returns the join of all. shared: a value for each warp.
template <class S> INLINE typename S::V chunk(Args& p, i64 row, i64 begin, typename S::V before, typename S::V* shared, bool write) {
  typedef typename S::V V;
  V v[EACH];
  const int warp = threadIdx.x / 32;
  const i64 first = begin + warp * LINE;
  const V own = line<S>(p, row, first, v);
  if (threadIdx.x % 32 == 0) shared[warp] = own;
  __syncthreads();
  V mine = before, all = before;
  for (int w = 0; w < WARPS; w++) {
    if (w == warp) mine = all;
    all = S::join(all, shared[w]);
  }
  __syncthreads();
  if (write) put<S>(p, row, first, mine, v);
  return all;
}

template <class S> INLINE void lines(Args& p) {
  for (i64 row = (i64)blockIdx.x * WARPS + threadIdx.x / 32; row < p.rows; row += (i64)gridDim.x * WARPS) {
    typename S::V v[EACH];
    line<S>(p, row, 0, v);
    put<S>(p, row, 0, S::none(), v);
  }
}

template <class S> INLINE void along(Args& p) {
  __shared__ typename S::V shared[WARPS];
  for (i64 row = blockIdx.x; row < p.rows; row += gridDim.x) {
    typename S::V carry = S::none();
    for (i64 begin = 0; begin < p.n; begin += CHUNK) carry = chunk<S>(p, row, begin, carry, shared, true);
  }
}

template <class S> INLINE void totals(Args& p) {
  __shared__ typename S::V shared[WARPS];
  for (i64 c = blockIdx.x; c < p.rows * p.chunks; c += gridDim.x) {
    const typename S::V total = chunk<S>(p, c / p.chunks, c % p.chunks * CHUNK, S::none(), shared, false);
    if (threadIdx.x == 0) ((typename S::V*)p.carries)[c] = total;
  }
}

template <class S> INLINE void fill(Args& p) {
  __shared__ typename S::V shared[WARPS];
  for (i64 c = blockIdx.x; c < p.rows * p.chunks; c += gridDim.x) {
    const typename S::V before = c % p.chunks ? ((typename S::V*)p.carries)[c - 1] : S::none();
    chunk<S>(p, c / p.chunks, c % p.chunks * CHUNK, before, shared, true);
  }
}

extern "C" __global__ void __launch_bounds__(256) SYMBOL(Args args) { ENTRY(args); }
