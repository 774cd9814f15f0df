// Where indices and masks point: byte offsets of index tensors with their bounds checked, positions of a mask's elements, positions as coordinates.

#include "elements.cuh"

struct Args {
  const void* input; i64* out; i64* counts;
  i64 n, size, step, negative;             // places: indices below -size (or 0) and from size on are reported
  i64 rank, coordinates;                   // unravel: a row of coordinates for each dim, else their product with steps
  i64 sizes[64]; i64 steps[64];
  void* fault;
};

template <class Index> INLINE void places(Args& p) {
  for (i64 i = FIRST; i < p.n; i += STEP) {
    i64 v = ((const Index*)p.input)[i];
    if (v >= p.size || v < (p.negative ? -p.size : 0)) {
      report((Fault*)p.fault, 0, v, p.size, i);
      v = 0;
    }
    p.out[i] = (v < 0 ? v + p.size : v) * p.step;
  }
}

constexpr int CHUNK = 4096, THREADS = 256, EACH = CHUNK / THREADS;

// How many of a thread's elements of a chunk are set; shared holds the counts of all threads, summed up to each.
INLINE int ranked(Args& p, i64 chunk, int* shared) {
  const u8* mask = (const u8*)p.input;
  const int t = threadIdx.x;
  int own = 0;
  for (int i = 0; i < EACH; i++) {
    i64 at = chunk * CHUNK + t * EACH + i;
    own += at < p.n && mask[at];
  }
  shared[t] = own;
  __syncthreads();
  for (int d = 1; d < THREADS; d *= 2) {
    int left = t >= d ? shared[t - d] : 0;
    __syncthreads();
    shared[t] += left;
    __syncthreads();
  }
  return own;
}


INLINE void select(Args& p) {
  __shared__ int shared[THREADS];
  const u8* mask = (const u8*)p.input;
  for (i64 chunk = blockIdx.x; chunk < ceil_div(p.n, CHUNK); chunk += gridDim.x) {
    int own = ranked(p, chunk, shared);
    if (p.out == nullptr) {
      if (threadIdx.x == THREADS - 1) p.counts[chunk] = shared[THREADS - 1];
    } else {
      i64 to = (chunk ? p.counts[chunk - 1] : 0) + shared[threadIdx.x] - own;   // counts: summed up by now
      for (int i = 0; i < EACH; i++) {
        i64 at = chunk * CHUNK + threadIdx.x * EACH + i;
        if (at < p.n && mask[at]) p.out[to++] = at;
      }
    }
  }
}

template <class Index> INLINE void unravel(Args& p) {
  for (i64 i = FIRST; i < p.n; i += STEP) {
    i64 rest = ((const Index*)p.input)[i], place = 0;
    for (int d = (int)p.rank - 1; d >= 0; d--) {
      i64 q = rest / p.sizes[d], c = rest - q * p.sizes[d];
      if (p.coordinates) p.out[d * p.n + i] = c;
      else place += c * p.steps[d];
      rest = q;
    }
    if (!p.coordinates) p.out[i] = place;
  }
}

extern "C" __global__ void __launch_bounds__(256) SYMBOL(Args args) { ENTRY(args); }
