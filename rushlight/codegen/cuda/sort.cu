// Sorting and binary search. Every element gets a key whose unsigned order is its type's order, nan last; equal keys keep their order.
//
// Short rows are sorted by one block in shared memory (`short_rows`). Long ones by one stable distribution for each byte of the key: `load` makes
// the keys, `count` counts the digits of each chunk, the counts are summed up (scan.cu), `distribute` moves items to their places, `finish` writes
// the results.

#include "elements.cuh"

struct Args {
  const void* input; void* values; void* indices;
  void* keys; void* spare_keys; u32* places; u32* spare_places; i64* counts;
  const void* ranks; const void* bounds;
  i64 rows, n, k, flip, shift, chunks, right, each;   // shift: of the digit at work; each: values sought in a row of bounds, 0: all
};
constexpr int THREADS = 256, WARPS = THREADS / 32, EACH = 8, LINE = 32 * EACH, CHUNK = WARPS * LINE, SHORT = 1024;

template <class T, class U> INLINE u64 float_key(T x) {
  constexpr U sign = (U)1 << (8 * sizeof(U) - 1);
  if (x != x) return (U)~(U)0;
  U b = bits_as<U>(x);
  if (b == sign) b = 0;                                // -0 is 0
  return (U)(b & sign ? ~b : b | sign);
}
INLINE u64 key_of(f32 x) { return float_key<f32, u32>(x); }
INLINE u64 key_of(f64 x) { return float_key<f64, u64>(x); }
INLINE u64 key_of(bf16 x) { u16 b = x.bits == 0x8000 ? 0 : x.bits; return (f32)x != (f32)x ? 0xffff : b & 0x8000 ? (u16)~b : b | 0x8000; }
INLINE u64 key_of(f16 x) { u16 b = x.bits == 0x8000 ? 0 : x.bits; return (f32)x != (f32)x ? 0xffff : b & 0x8000 ? (u16)~b : b | 0x8000; }
INLINE u64 key_of(i64 x) { return (u64)x ^ ((u64)1 << 63); }
INLINE u64 key_of(i32 x) { return (u32)x ^ ((u32)1 << 31); }
INLINE u64 key_of(i16 x) { return (u64)(u16)(x ^ 0x8000); }
INLINE u64 key_of(i8 x) { return (u64)(u8)(x ^ 0x80); }
INLINE u64 key_of(u8 x) { return x; }
INLINE u64 key_of(u16 x) { return x; }
INLINE u64 key_of(u32 x) { return x; }
INLINE u64 key_of(u64 x) { return x; }
template <class T> INLINE u64 mask_of() { return sizeof(T) == 8 ? ~(u64)0 : ((u64)1 << (8 * sizeof(T) % 64)) - 1; }
template <class T> INLINE u64 key_at(Args& p, i64 i) { return key_of(((const T*)p.input)[i]) ^ (p.flip ? mask_of<T>() : 0); }

// Bitonic sort of a row by (key, place): places make keys distinct, so the order is that of a stable sort.
template <class T> INLINE void short_rows(Args& p) {
  __shared__ u64 keys[SHORT];
  __shared__ u32 places[SHORT];
  int width = 2;
  while (width < p.n) width *= 2;
  for (i64 row = blockIdx.x; row < p.rows; row += gridDim.x) {
    for (int i = threadIdx.x; i < width; i += blockDim.x) {
      keys[i] = i < p.n ? key_at<T>(p, row * p.n + i) : ~(u64)0;
      places[i] = i;
    }
    for (int size = 2; size <= width; size *= 2)
      for (int d = size / 2; d > 0; d /= 2) {
        __syncthreads();
        for (int t = threadIdx.x; t < width / 2; t += blockDim.x) {
          int a = 2 * t - (t & (d - 1)), b = a + d;
          bool up = (a & size) == 0, greater = keys[a] > keys[b] || (keys[a] == keys[b] && places[a] > places[b]);
          if (greater == up) {
            u64 key = keys[a]; keys[a] = keys[b]; keys[b] = key;
            u32 place = places[a]; places[a] = places[b]; places[b] = place;
          }
        }
      }
    __syncthreads();
    for (int i = threadIdx.x; i < p.k; i += blockDim.x) {
      ((i64*)p.indices)[row * p.k + i] = places[i];
      if (p.values) ((T*)p.values)[row * p.k + i] = ((const T*)p.input)[row * p.n + places[i]];
      if (p.keys) ((u64*)p.keys)[row * p.k + i] = keys[i];
    }
  }
}

// Keys K are as wide as what is sorted, or 32 bits.
template <class T, class K> INLINE void load(Args& p) {
  for (i64 i = FIRST; i < p.rows * p.n; i += STEP) {
    ((K*)p.keys)[i] = (K)key_at<T>(p, i);
    p.places[i] = (u32)(i % p.n);
  }
}

// The lanes whose digit is this one's, of those that have one.
INLINE u32 peers(int digit, bool inside) {
  u32 same = __ballot_sync(~0u, inside);
  #pragma unroll
  for (int b = 0; b < 8; b++) {
    const u32 set = __ballot_sync(~0u, digit >> b & 1);
    same &= digit >> b & 1 ? set : ~set;
  }
  return same;
}

// A warp's line of a chunk: how many of each digit come before this lane's elements; found: the counts of the warp, zero before.
template <class K> INLINE void ranked(Args& p, const K* keys, int first, int size, int* found, K (&key)[EACH], int (&rank)[EACH]) {
  const int lane = threadIdx.x % 32;
  #pragma unroll
  for (int e = 0; e < EACH; e++) {
    const int i = first + 32 * e + lane;
    key[e] = i < size ? keys[i] : K(0);
  }
  #pragma unroll
  for (int e = 0; e < EACH; e++) {
    const bool inside = first + 32 * e + lane < size;
    const int digit = (int)(key[e] >> p.shift) & 255;
    const u32 same = peers(digit, inside);
    const int left = __popc(same & ((1u << lane) - 1)), before = found[digit];
    __syncwarp();
    if (inside && left == 0) found[digit] = before + __popc(same);
    __syncwarp();
    rank[e] = before + left;
  }
}

template <class K> INLINE void count(Args& p) {
  __shared__ int found[WARPS][256];
  const int t = threadIdx.x, warp = t / 32;
  for (i64 c = blockIdx.x; c < p.rows * p.chunks; c += gridDim.x) {
    const i64 row = c / p.chunks, chunk = c % p.chunks, begin = chunk * CHUNK;
    for (int w = 0; w < WARPS; w++) found[w][t] = 0;
    __syncthreads();
    K key[EACH];
    int rank[EACH], sum = 0;
    ranked<K>(p, (const K*)p.keys + row * p.n + begin, warp * LINE, (int)least<i64>(CHUNK, p.n - begin), found[warp], key, rank);
    __syncthreads();
    for (int w = 0; w < WARPS; w++) sum += found[w][t];
    p.counts[(row * 256 + t) * p.chunks + chunk] = sum;
  }
}

// The sum of what the threads before this one hold.
INLINE int sum_before(int own, int* shared) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  int sum = own, before = 0;
  for (int by = 1; by < 32; by *= 2) {
    const int left = from_left(sum, by);
    if (lane >= by) sum += left;
  }
  if (lane == 31) shared[warp] = sum;
  __syncthreads();
  for (int w = 0; w < warp; w++) before += shared[w];
  return before + sum - own;
}

// A chunk is put in the order of its digits in shared memory first, so that neighbours go to neighbouring places.
template <class K> INLINE void distribute(Args& p) {
  __shared__ K held[CHUNK];
  __shared__ int found[WARPS][256];
  __shared__ i64 target[256];             // where the chunk's keys of a digit go, less where they are held
  __shared__ int sums[WARPS];
  const int t = threadIdx.x, warp = t / 32, lane = t % 32;
  for (i64 c = blockIdx.x; c < p.rows * p.chunks; c += gridDim.x) {
    const i64 row = c / p.chunks, begin = c % p.chunks * CHUNK, from = row * p.n + begin;
    const int size = (int)least<i64>(CHUNK, p.n - begin), first = warp * LINE;
    for (int w = 0; w < WARPS; w++) found[w][t] = 0;
    __syncthreads();
    K key[EACH];
    int rank[EACH], all = 0;
    u32 to[EACH];
    ranked<K>(p, (const K*)p.keys + from, first, size, found[warp], key, rank);
    __syncthreads();
    for (int w = 0; w < WARPS; w++) { const int n = found[w][t]; found[w][t] = all; all += n; }
    const int start = sum_before(all, sums);
    for (int w = 0; w < WARPS; w++) found[w][t] += start;
    const i64 before = t * p.chunks + c % p.chunks;
    target[t] = (before ? p.counts[row * 256 * p.chunks + before - 1] : 0) - start;
    __syncthreads();
    #pragma unroll
    for (int e = 0; e < EACH; e++) {
      rank[e] += found[warp][(int)(key[e] >> p.shift) & 255];
      if (first + 32 * e + lane < size) held[rank[e]] = key[e];
    }
    __syncthreads();
    #pragma unroll
    for (int e = 0; e < EACH; e++) {
      const int i = e * THREADS + t;
      if (i >= size) break;
      const K k = held[i];
      to[e] = (u32)(target[(int)(k >> p.shift) & 255] + i);
      ((K*)p.spare_keys)[row * p.n + to[e]] = k;
    }
    __syncthreads();
    u32* const places = (u32*)held;
    #pragma unroll
    for (int e = 0; e < EACH; e++) {
      const int i = first + 32 * e + lane;
      if (i < size) places[rank[e]] = p.places[from + i];
    }
    __syncthreads();
    #pragma unroll
    for (int e = 0; e < EACH; e++) {
      const int i = e * THREADS + t;
      if (i < size) p.spare_places[row * p.n + to[e]] = places[i];
    }
  }
}

template <class T> INLINE void finish(Args& p) {
  for (i64 i = FIRST; i < p.rows * p.k; i += STEP) {
    i64 row = i / p.k;
    u32 place = p.places[row * p.n + i % p.k];
    ((i64*)p.indices)[i] = place;
    if (p.values) ((T*)p.values)[i] = ((const T*)p.input)[row * p.n + place];
  }
}

// Of sorted rows, the first place whose key is that of the rank-th.
template <class K> INLINE void pick(Args& p) {
  for (i64 row = FIRST; row < p.rows; row += STEP) {
    const K* keys = (const K*)p.keys + row * p.n;
    i64 low = 0, high = ((const i64*)p.ranks)[row] - 1;
    K key = keys[high];
    while (low < high) {
      i64 middle = (low + high) / 2;
      if (keys[middle] < key) low = middle + 1; else high = middle;
    }
    ((i64*)p.indices)[row] = p.places ? (i64)p.places[row * p.n + low] : ((const i64*)p.values)[row * p.n + low];
  }
}

// Where each value belongs in its row of bounds; a nan among the bounds lies below every value, a nan that is sought above every bound.
template <class T, class Out, bool FLOATS> INLINE void search(Args& p) {
  for (i64 i = FIRST; i < p.k; i += STEP) {
    u64 key = key_of(((const T*)p.input)[i]);
    const T* bounds = (const T*)p.bounds + (p.each ? i / p.each * p.n : 0);
    i64 low = 0, high = p.n;
    while (low < high) {
      i64 middle = (low + high) / 2;
      u64 bound = key_of(bounds[middle]);
      if (bound < key || (p.right && bound == key) || (FLOATS && bound == mask_of<T>())) low = middle + 1; else high = middle;
    }
    ((Out*)p.indices)[i] = (Out)low;
  }
}

extern "C" __global__ void __launch_bounds__(256) SYMBOL(Args args) { ENTRY(args); }
