// Scans along rows: each result follows from the one before it.
//
// What is scanned is a step, an associative way to join two neighbouring stretches: a sum, a product, the running extremum with its place, the log
// of a sum of exponentials, a linear recurrence. A row is cut into chunks: `totals` joins each chunk, `carries` scans the totals of each row, and
// `fill` scans each chunk from what comes before it. Cuts follow from the length of a row alone: results are the same on every device.

#include "elements.cuh"

struct Args {
  const void* input; const void* other; void* out; void* places; void* carries;
  i64 rows, n, chunks;
};
constexpr int THREADS = 256, EACH = 16, CHUNK = THREADS * EACH;

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

// The join of what the threads before this one hold; total: of what all hold.
template <class S> INLINE typename S::V before(typename S::V own, typename S::V* shared, typename S::V* total) {
  const int t = threadIdx.x;
  shared[t] = own;
  __syncthreads();
  for (int d = 1; d < THREADS; d *= 2) {
    typename S::V left = t >= d ? shared[t - d] : S::none();
    __syncthreads();
    if (t >= d) shared[t] = S::join(left, shared[t]);
    __syncthreads();
  }
  *total = shared[THREADS - 1];
  typename S::V result = t ? shared[t - 1] : S::none();
  __syncthreads();
  return result;
}

template <class S> INLINE typename S::V joined(Args& p, i64 row, i64 begin, i64 end) {
  typename S::V v = S::none();
  for (i64 i = begin; i < end; i++) v = S::join(v, S::at(p, row * p.n + i, i));
  return v;
}

template <class S> INLINE void totals(Args& p) {
  __shared__ typename S::V shared[THREADS];
  for (i64 c = blockIdx.x; c < p.rows * p.chunks; c += gridDim.x) {
    i64 row = c / p.chunks, begin = c % p.chunks * CHUNK + threadIdx.x * EACH;
    typename S::V total, own = joined<S>(p, row, least(begin, p.n), least(begin + EACH, p.n));
    before<S>(own, shared, &total);
    if (threadIdx.x == 0) ((typename S::V*)p.carries)[c] = total;
  }
}

template <class S> INLINE void carries(Args& p) {
  __shared__ typename S::V shared[THREADS];
  for (i64 row = blockIdx.x; row < p.rows; row += gridDim.x) {
    typename S::V* at = (typename S::V*)p.carries + row * p.chunks;
    typename S::V carry = S::none(), total;
    for (i64 first = 0; first < p.chunks; first += THREADS) {
      bool inside = first + threadIdx.x < p.chunks;
      typename S::V own = inside ? at[first + threadIdx.x] : S::none();
      typename S::V left = before<S>(own, shared, &total);
      if (inside) at[first + threadIdx.x] = S::join(carry, left);
      carry = S::join(carry, total);
    }
  }
}

template <class S> INLINE void fill(Args& p) {
  __shared__ typename S::V shared[THREADS];
  for (i64 c = blockIdx.x; c < p.rows * p.chunks; c += gridDim.x) {
    i64 row = c / p.chunks, begin = c % p.chunks * CHUNK + threadIdx.x * EACH;
    i64 from = least(begin, p.n), to = least(begin + EACH, p.n);
    typename S::V total, carry = before<S>(joined<S>(p, row, from, to), shared, &total);
    if (p.chunks > 1) carry = S::join(((typename S::V*)p.carries)[c], carry);
    for (i64 i = from; i < to; i++) {
      carry = S::join(carry, S::at(p, row * p.n + i, i));
      S::put(p, row * p.n + i, carry);
    }
  }
}

extern "C" __global__ void __launch_bounds__(256) SYMBOL(Args args) { ENTRY(args); }
