// Sorting and binary search. Every element gets a key whose unsigned order is its type's order, nan last; equal keys keep their order.
//
// Short rows are sorted by one block in shared memory (`short_rows`). Long ones by one stable distribution for each byte of the key: `load` makes
// the keys, `count` counts the digits of each chunk, the counts are scanned (scan.cu), `distribute` moves items to their places, `finish` writes
// the results.

#include "elements.cuh"

struct Args {
  const void* input; void* values; void* indices;
  u64* keys; u64* spare_keys; u32* places; u32* spare_places; i64* counts;
  const void* ranks; const void* bounds;
  i64 rows, n, k, flip, shift, chunks, right, each;   // shift: of the digit at work; each: values sought in a row of bounds, 0: all
};
constexpr int THREADS = 256, EACH = 16, CHUNK = THREADS * EACH, SHORT = 1024;

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
      if (p.keys) p.keys[row * p.k + i] = keys[i];
    }
  }
}

template <class T> INLINE void load(Args& p) {
  for (i64 i = FIRST; i < p.rows * p.n; i += STEP) {
    p.keys[i] = key_at<T>(p, i);
    p.places[i] = (u32)(i % p.n);
  }
}

INLINE void count(Args& p) {
  __shared__ int found[256];
  for (i64 c = blockIdx.x; c < p.rows * p.chunks; c += gridDim.x) {
    i64 row = c / p.chunks, chunk = c % p.chunks;
    found[threadIdx.x] = 0;
    __syncthreads();
    for (int e = 0; e < EACH; e++) {
      i64 i = chunk * CHUNK + e * THREADS + threadIdx.x;
      if (i < p.n) atomicAdd(&found[(p.keys[row * p.n + i] >> p.shift) & 255], 1);
    }
    __syncthreads();
    p.counts[(row * 256 + threadIdx.x) * p.chunks + chunk] = found[threadIdx.x];
  }
}

// A chunk goes strip by strip. In a strip, equal digits of a warp are ranked by ballots, warps by the counts they leave.
INLINE void distribute(Args& p) {
  __shared__ i64 next[256];
  __shared__ int of_warp[THREADS / 32][256];
  const int t = threadIdx.x, lane = t % 32, warp = t / 32;
  for (i64 c = blockIdx.x; c < p.rows * p.chunks; c += gridDim.x) {
    i64 row = c / p.chunks, chunk = c % p.chunks;
    next[t] = p.counts[(row * 256 + t) * p.chunks + chunk];
    for (int e = 0; e < EACH && chunk * CHUNK + e * THREADS < p.n; e++) {
      for (int w = 0; w < THREADS / 32; w++) of_warp[w][t] = 0;
      __syncthreads();
      i64 i = chunk * CHUNK + e * THREADS + t;
      bool inside = i < p.n;
      u64 key = inside ? p.keys[row * p.n + i] : 0;
      int digit = (int)(key >> p.shift) & 255;
      u32 same = __ballot_sync(~0u, inside);
      for (int b = 0; b < 8; b++) {
        u32 set = __ballot_sync(~0u, digit >> b & 1);
        same &= digit >> b & 1 ? set : ~set;
      }
      int rank = __popc(same & ((1u << lane) - 1));
      if (inside && rank == 0) of_warp[warp][digit] = __popc(same);
      __syncthreads();
      if (inside) {
        i64 to = next[digit] + rank;
        for (int w = 0; w < warp; w++) to += of_warp[w][digit];
        p.spare_keys[row * p.n + to] = key;
        p.spare_places[row * p.n + to] = p.places[row * p.n + i];
      }
      __syncthreads();
      for (int w = 0; w < THREADS / 32; w++) next[t] += of_warp[w][t];
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
INLINE void pick(Args& p) {
  for (i64 row = FIRST; row < p.rows; row += STEP) {
    const u64* keys = p.keys + row * p.n;
    i64 low = 0, high = ((const i64*)p.ranks)[row] - 1;
    u64 key = keys[high];
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
