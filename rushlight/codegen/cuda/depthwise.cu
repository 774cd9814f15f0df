// Convolutions of images whose channels are each convolved alone: forward, the gradient of the image (BACK), that of the weights.
//
// A thread has a patch of the result. It goes through the rows of the source that the patch needs, reads each once, and adds it to all
// elements whose window holds it. Which tap that is follows from the arguments of Window alone, so the loops become straight code.

#include "elements.cuh"

struct Args {
  const void* source; const void* weight; const void* bias; void* out;
  i64 images, channels, parts;
  i64 size[2], places[2];                              // rows and columns of the source and of the result (of the image and its places)
  i64 source_stride[4], out_stride[4];                 // image, channel, row, column
};

INLINE constexpr int down_div(int a, int b) { return (a >= 0 ? a : a - b + 1) / b; }

// Along one dim: taps, step of the window, padding before the image, distance between taps.
template <int TAPS, int STEP_, int PAD, int GAP> struct Axis {
  static constexpr int N = TAPS;

  // Elements of a patch; BACK: a multiple of the step, so that a patch begins where a window can.
  template <bool BACK, int WANTED> INLINE constexpr int patch() { return BACK ? (WANTED + STEP_ - 1) / STEP_ * STEP_ : WANTED; }

  // The first and the last place of the source that a patch needs, counted from its origin.
  template <bool BACK> INLINE constexpr int first() { return BACK ? down_div(PAD - (TAPS - 1) * GAP, STEP_) : -PAD; }
  template <bool BACK> INLINE constexpr int last(int patch) {
    return BACK ? down_div(patch - 1 + PAD, STEP_) : (patch - 1) * STEP_ + (TAPS - 1) * GAP - PAD;
  }

  // The place of the source where a patch that begins at ``at`` has its origin.
  template <bool BACK> INLINE int origin(int at) { return BACK ? at / STEP_ : at * STEP_; }

  // The tap by which element ``a`` of a patch is reached from place ``r`` of the source, or -1.
  template <bool BACK> INLINE constexpr int tap(int a, int r) {
    const int t = BACK ? a + PAD - r * STEP_ : r + PAD - a * STEP_;
    return t >= 0 && t % GAP == 0 && t / GAP < TAPS ? t / GAP : -1;
  }
};

template <class Y_, class X_> struct Window {
  typedef Y_ Y;
  typedef X_ X;
  static constexpr int TAPS = Y::N * X::N;
};

// The patch that comes q-th: with LAST neighbouring threads have neighbouring channels, else neighbouring columns.
struct Patch {
  int image, channel, y, x;
  MEMBER Patch(const Args& p, u32 q, int tall, int wide, bool last) {
    const u32 channels = (u32)p.channels, across = ((u32)p.places[1] + wide - 1) / wide, down = ((u32)p.places[0] + tall - 1) / tall;
    if (last) { channel = q % channels; q /= channels; }
    x = q % across * wide; q /= across;
    y = q % down * tall; q /= down;
    if (!last) { channel = q % channels; q /= channels; }
    image = q;
  }
};

// An element, or zero where there is none, by a load under a predicate: compilers make a branch of a choice, behind which the next load waits.
template <class T> INLINE T read_where(bool there, const T* p) {
#ifdef __CUDA_ARCH__
  typename Unsigned<sizeof(T)>::type bits;
  if constexpr (sizeof(T) == 2)
    asm("{.reg .pred p; setp.ne.u32 p, %2, 0; mov.b16 %0, 0; @p ld.global.b16 %0, [%1];}" : "=h"(bits) : "l"(p), "r"((u32)there));
  else if constexpr (sizeof(T) == 4)
    asm("{.reg .pred p; setp.ne.u32 p, %2, 0; mov.b32 %0, 0; @p ld.global.b32 %0, [%1];}" : "=r"(bits) : "l"(p), "r"((u32)there));
  else
    asm("{.reg .pred p; setp.ne.u32 p, %2, 0; mov.b64 %0, 0; @p ld.global.b64 %0, [%1];}" : "=l"(bits) : "l"(p), "r"((u32)there));
  T value;
  memcpy(&value, &bits, sizeof(T));
  return value;
#else
  return there ? *p : T(0);
#endif
}

// COUNT places of a row from ``x`` on, 0 outside of the image.
template <class T, class A, int COUNT> INLINE void read(A (&row)[COUNT], const T* image, int y, int x, const i64* size, const i64* stride) {
  const bool inside = y >= 0 && y < (int)size[0];
  const int begin = y * (int)stride[2], step = (int)stride[3];
  #pragma unroll
  for (int i = 0; i < COUNT; i++)
    row[i] = as<A>(read_where(inside && x + i >= 0 && x + i < (int)size[1], image + (begin + (x + i) * step)));
}

// T: elements, A: their sum.
template <class T, class A, class W, bool BACK, bool LAST> INLINE void convolve(const Args& p) {
  typedef typename W::Y Y;
  typedef typename W::X X;
  constexpr int TALL = Y::template patch<BACK, W::TAPS <= 25 ? 4 : 2>(), WIDE = X::template patch<BACK, 4>();
  constexpr int TOP = Y::template first<BACK>(), BOTTOM = Y::template last<BACK>(TALL);
  constexpr int LEFT = X::template first<BACK>(), COUNT = X::template last<BACK>(WIDE) - LEFT + 1;
  const i64 patches = p.images * p.channels * ceil_div(p.places[0], TALL) * ceil_div(p.places[1], WIDE);
  for (i64 q = FIRST; q < patches; q += STEP) {
    const Patch at(p, (u32)q, TALL, WIDE, LAST);
    const T* source = (const T*)p.source + at.image * p.source_stride[0] + at.channel * p.source_stride[1];
    const int y0 = Y::template origin<BACK>(at.y), x0 = X::template origin<BACK>(at.x);
    A weight[W::TAPS], sum[TALL][WIDE];
    const A bias = p.bias ? as<A>(((const T*)p.bias)[at.channel]) : A(0);
    #pragma unroll
    for (int t = 0; t < W::TAPS; t++) weight[t] = as<A>(((const T*)p.weight)[at.channel * W::TAPS + t]);
    #pragma unroll
    for (int a = 0; a < TALL; a++)
      #pragma unroll
      for (int b = 0; b < WIDE; b++) sum[a][b] = bias;
    #pragma unroll
    for (int r = TOP; r <= BOTTOM; r++) {
      A row[COUNT];
      read(row, source, y0 + r, x0 + LEFT, p.size, p.source_stride);
      #pragma unroll
      for (int a = 0; a < TALL; a++) {
        const int ty = Y::template tap<BACK>(a, r);
        if (ty < 0) continue;
        #pragma unroll
        for (int b = 0; b < WIDE; b++)
          #pragma unroll
          for (int c = 0; c < COUNT; c++) {
            const int tx = X::template tap<BACK>(b, c + LEFT);
            if (tx >= 0) sum[a][b] = fma_of(row[c], weight[ty * X::N + tx], sum[a][b]);
          }
      }
    }
    T* out = (T*)p.out + at.image * p.out_stride[0] + at.channel * p.out_stride[1];
    #pragma unroll
    for (int a = 0; a < TALL; a++)
      #pragma unroll
      for (int b = 0; b < WIDE; b++)
        if (at.y + a < (int)p.places[0] && at.x + b < (int)p.places[1])
          out[(at.y + a) * p.out_stride[2] + (at.x + b) * p.out_stride[3]] = as<T>(sum[a][b]);
  }
}

// The gradient of the weights: ``source`` is the image, ``weight`` the gradient of its places, with the strides of ``out``. A block sums over
// every parts-th run of patches of one channel, with LAST of 32 channels; out is (parts, channels, taps), of type A.
template <class T, class A, class W, bool LAST> INLINE void weights(const Args& p) {
  typedef typename W::Y Y;
  typedef typename W::X X;
  constexpr int KEPT = W::TAPS * (int)sizeof(A), TALL = KEPT <= 100 ? 4 : KEPT <= 200 ? 2 : 1, WIDE = KEPT <= 200 ? 4 : 2;
  constexpr int BESIDE = LAST ? 32 : 1, WORKERS = 256 / BESIDE;
  constexpr int TOP = Y::template first<false>(), BOTTOM = Y::template last<false>(TALL);
  constexpr int LEFT = X::template first<false>(), COUNT = X::template last<false>(WIDE) - LEFT + 1;
  const u32 across = (u32)ceil_div(p.places[1], WIDE), down = (u32)ceil_div(p.places[0], TALL), all = (u32)p.images * across * down;
  const int part = (int)(blockIdx.x % p.parts), channel = (int)(blockIdx.x / p.parts) * BESIDE + threadIdx.x % BESIDE;
  A sum[W::TAPS];
  #pragma unroll
  for (int t = 0; t < W::TAPS; t++) sum[t] = A(0);
  for (u32 q = part * WORKERS + threadIdx.x / BESIDE; q < all && channel < p.channels; q += p.parts * WORKERS) {
    const u32 image = q / (across * down), y = q / across % down * TALL, x = q % across * WIDE;
    const T* source = (const T*)p.source + image * p.source_stride[0] + channel * p.source_stride[1];
    const T* grads = (const T*)p.weight + image * p.out_stride[0] + channel * p.out_stride[1];
    A grad[TALL][WIDE];
    #pragma unroll
    for (int a = 0; a < TALL; a++) read(grad[a], grads, (int)y + a, (int)x, p.places, p.out_stride);
    #pragma unroll
    for (int r = TOP; r <= BOTTOM; r++) {
      A row[COUNT];
      read(row, source, Y::template origin<false>(y) + r, X::template origin<false>(x) + LEFT, p.size, p.source_stride);
      #pragma unroll
      for (int a = 0; a < TALL; a++) {
        const int ty = Y::template tap<false>(a, r);
        if (ty < 0) continue;
        #pragma unroll
        for (int b = 0; b < WIDE; b++) {
          if (y + a >= p.places[0] || x + b >= p.places[1]) continue;  // 0 times what no window reads could be NaN
          #pragma unroll
          for (int c = 0; c < COUNT; c++) {
            const int tx = X::template tap<false>(b, c + LEFT);
            if (tx >= 0) sum[ty * X::N + tx] = fma_of(row[c], grad[a][b], sum[ty * X::N + tx]);
          }
        }
      }
    }
  }
  __shared__ A beside[256];
  A* out = (A*)p.out + (part * p.channels + channel) * W::TAPS;
  #pragma unroll
  for (int t = 0; t < W::TAPS; t++) {
    beside[threadIdx.x] = sum[t];
    __syncthreads();
    for (int half = 128; half >= BESIDE; half /= 2) {
      if ((int)threadIdx.x < half) beside[threadIdx.x] += beside[threadIdx.x + half];
      __syncthreads();
    }
    if ((int)threadIdx.x < BESIDE && channel < p.channels) out[t] = beside[threadIdx.x];
  }
}

extern "C" __global__ void __launch_bounds__(256) SYMBOL(const Args args) { ENTRY(args); }
