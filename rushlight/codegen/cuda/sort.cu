// Sorts of short rows, selection and binary search. Equal keys keep their order. Longer rows: radix.cu.

#include "keys.cuh"

struct Args {
  const void* input; void* values; i64* indices; const i64* ranks; const void* bounds;
  i64 rows, n, k, flip, right, each;      // each: values sought in a row of bounds, 0: all
};
constexpr int SHORT = 1024;

// Bitonic sort of a row by (key, place): places make keys distinct, so the order is that of a stable sort.
template <class T> INLINE void short_rows(Args& p) {
  __shared__ Key<T> keys[SHORT];
  __shared__ u32 places[SHORT];
  const Key<T> mask = p.flip ? last_key<T>() : 0;
  int width = 2;
  while (width < p.n) width *= 2;
  for (i64 row = blockIdx.x; row < p.rows; row += gridDim.x) {
    for (int i = threadIdx.x; i < width; i += blockDim.x) {
      keys[i] = i < p.n ? (Key<T>)(key_of(((const T*)p.input)[row * p.n + i]) ^ mask) : last_key<T>();
      places[i] = i;
    }
    for (int size = 2; size <= width; size *= 2)
      for (int d = size / 2; d > 0; d /= 2) {
        __syncthreads();
        for (int t = threadIdx.x; t < width / 2; t += blockDim.x) {
          int a = 2 * t - (t & (d - 1)), b = a + d;
          bool up = (a & size) == 0, greater = keys[a] > keys[b] || (keys[a] == keys[b] && places[a] > places[b]);
          if (greater == up) {
            const Key<T> key = keys[a]; keys[a] = keys[b]; keys[b] = key;
            const u32 place = places[a]; places[a] = places[b]; places[b] = place;
          }
        }
      }
    __syncthreads();
    for (int i = threadIdx.x; i < p.k; i += blockDim.x) {
      p.indices[row * p.k + i] = places[i];
      ((T*)p.values)[row * p.k + i] = ((const T*)p.input)[row * p.n + places[i]];
    }
  }
}

// Of sorted rows of values, and where these were: where the first of those that equal the rank-th was.
template <class T> INLINE void pick(Args& p) {
  for (i64 row = FIRST; row < p.rows; row += STEP) {
    const T* values = (const T*)p.input + row * p.n;
    i64 low = 0, high = p.ranks[row] - 1;
    const Key<T> key = key_of(values[high]);
    while (low < high) {
      i64 middle = (low + high) / 2;
      if (key_of(values[middle]) < key) low = middle + 1; else high = middle;
    }
    p.indices[row] = ((const i64*)p.values)[row * p.n + low];
  }
}

// Where each value belongs in its row of bounds; a nan among the bounds lies below every value, a nan that is sought above every bound.
template <class T, class Out> INLINE void search(Args& p) {
  for (i64 i = FIRST; i < p.k; i += STEP) {
    const Key<T> key = key_of(((const T*)p.input)[i]);
    const T* bounds = (const T*)p.bounds + (p.each ? i / p.each * p.n : 0);
    i64 low = 0, high = p.n;
    while (low < high) {
      i64 middle = (low + high) / 2;
      const Key<T> bound = key_of(bounds[middle]);
      const bool below = bound < key || (p.right && bound == key) || (Floating<T>::value && bound == last_key<T>());
      if (below) low = middle + 1; else high = middle;
    }
    ((Out*)p.indices)[i] = (Out)low;
  }
}

extern "C" __global__ void __launch_bounds__(256) SYMBOL(Args args) { ENTRY(args); }
