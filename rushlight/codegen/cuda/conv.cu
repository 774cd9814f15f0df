// Convolutions as products of windows that are never written down (implicit GEMM), in three dimensions.
//
// `correlate`: weights (outputs x taps, channels) times windows (taps, channels x pixels). `weights`: the gradient of the weights, places of the
// output's gradient (outputs x pixels) times windows (pixels x taps, channels), in `parts` stretches of pixels that are added up afterwards.

#include "elements.cuh"
#include "tiles.cuh"

struct Args {
  const void* x; const void* w; const void* bias; void* out;
  i64 images, groups, channels, outputs, parts, stretch;    // channels and outputs of a group
  i64 size[3], place[3], taps[3], step[3], start[3], gap[3];   // of input, of output, of the window; from window to window; the first tap; from tap to tap
  i64 x_image, x_channel, x_stride[3];                         // in elements
  i64 w_stride;                                                // from one output's weights (taps, channels) to the next
  i64 out_image, out_channel, out_stride[3];                   // of the output, or of its gradient
};

// I: int where the places of an image, and where windows reach, are numbers below 2^31, else i64.
template <class I> struct Pixel { i64 base; I at[3]; bool inside; I place[3]; };
template <class I> struct Tap { i64 channel; I by[3]; bool inside; int c, place[3]; };

INLINE bool below(int i, i64 n) { return (u32)i < (u32)n; }   // 0 <= i < n
INLINE bool below(i64 i, i64 n) { return (u64)i < (u64)n; }

template <class T, class I> struct Windows {
  const T* x; Args* p;
  typedef T type; typedef Pixel<I> Row; typedef Tap<I> Col;
  static constexpr bool conjugated = false;
  MEMBER bool deep() { return false; }
  MEMBER Row row(i64 s) {
    Row r;
    i64 pixels = p->place[0] * p->place[1] * p->place[2], image = s / pixels;
    I rest = (I)(s - image * pixels);
    r.inside = image < p->images; r.base = image * p->x_image;
    for (int d = 2; d >= 0; d--) { I n = (I)p->place[d]; r.place[d] = rest % n; rest /= n; r.at[d] = r.place[d] * (I)p->step[d]; }
    return r;
  }
  MEMBER Col col(i64 k) {
    Col c;
    int tap = (int)(k / p->channels);
    c.c = (int)(k - tap * p->channels); c.channel = c.c * p->x_channel;
    for (int d = 2; d >= 0; d--) { int n = (int)p->taps[d]; c.place[d] = tap % n; tap /= n; c.by[d] = (I)p->start[d] + c.place[d] * (I)p->gap[d]; }
    c.inside = tap == 0;
    return c;
  }
  MEMBER void next_row(Row& r) {
    for (int d = 2; d >= 0; d--) {
      r.at[d] += (I)p->step[d];
      if (++r.place[d] < p->place[d]) return;
      r.place[d] = 0; r.at[d] = 0;
    }
    r.base += p->x_image;
    r.inside = r.base < p->images * p->x_image;
  }
  MEMBER void next_col(Col& c) {
    c.channel += p->x_channel;
    if (++c.c < p->channels) return;
    c.c = 0; c.channel = 0;
    for (int d = 2; d >= 0; d--) {
      c.by[d] += (I)p->gap[d];
      if (++c.place[d] < p->taps[d]) return;
      c.place[d] = 0; c.by[d] = (I)p->start[d];
    }
    c.inside = false;
  }
  MEMBER T at(const Row& r, const Col& c) {
    i64 offset = r.base + c.channel;
    bool inside = r.inside && c.inside;
    #pragma unroll
    for (int d = 0; d < 3; d++) {
      I i = r.at[d] + c.by[d];
      inside = inside && below(i, p->size[d]);
      offset += i * p->x_stride[d];
    }
    return inside ? x[offset] : T(0);
  }
  template <int N> MEMBER bool run(const Row&, const Col&, u32*) { return false; }
};

// The output's gradient: rows are outputs, depth the pixels.
template <class T, class I> struct Places {
  const T* x; Args* p;
  typedef T type; typedef i64 Row; typedef Pixel<I> Col;
  static constexpr bool conjugated = false;
  MEMBER bool deep() { return true; }
  MEMBER Row row(i64 s) { return s < p->outputs ? s : -1; }
  MEMBER Col col(i64 k) {
    Windows<T, I> w = {x, p};
    return w.row(k);
  }
  MEMBER void next_row(Row& r) { r = r >= 0 && r + 1 < p->outputs ? r + 1 : -1; }
  MEMBER void next_col(Col& c) { Windows<T, I> w = {x, p}; w.next_row(c); }
  MEMBER T at(Row r, const Col& c) {
    if (r < 0 || !c.inside) return T(0);
    i64 image = p->x_image ? c.base / p->x_image : 0;
    return x[image * p->out_image + r * p->out_channel + c.place[0] * p->out_stride[0] + c.place[1] * p->out_stride[1] + c.place[2] * p->out_stride[2]];
  }
  template <int N> MEMBER bool run(Row, const Col&, u32*) { return false; }
};

template <class T, class A, class I> struct Image {   // the result: output r at pixel s
  T* out; const T* bias; Args* p;
  MEMBER void put(i64 r, i64 s, A sum) {
    i64 pixels = p->place[0] * p->place[1] * p->place[2], image = s / pixels;
    I rest = (I)(s - image * pixels);
    i64 at = image * p->out_image + r * p->out_channel;
    for (int d = 2; d >= 0; d--) { I n = (I)p->place[d]; at += rest % n * p->out_stride[d]; rest /= n; }
    out[at] = as<T>(bias ? sum + as<A>(bias[r]) : sum);
  }
};
template <class A> struct Sums {
  A* out; i64 row;
  MEMBER void put(i64 r, i64 s, A sum) { out[r * row + s] = sum; }
};

template <class T, class A, class How, class I = int> INLINE void correlate(Args& p) {
  const i64 n = p.images * p.place[0] * p.place[1] * p.place[2], k = p.channels * p.taps[0] * p.taps[1] * p.taps[2];
  const int tiles_m = (int)ceil_div(p.outputs, How::SIDE);
  const i64 m0 = (i64)((int)blockIdx.x % tiles_m) * How::SIDE, n0 = (i64)((int)blockIdx.x / tiles_m) * How::SIDE;
  for (i64 g = blockIdx.y; g < p.groups; g += gridDim.y) {
    Strided<T> w = {(const T*)p.w + g * p.outputs * p.w_stride, 0, (int)p.outputs, (int)k, p.w_stride, 1, false};
    Windows<T, I> x = {(const T*)p.x + g * p.channels * p.x_channel, &p};
    Image<T, A, I> out = {(T*)p.out + g * p.outputs * p.out_channel, p.bias ? (const T*)p.bias + g * p.outputs : nullptr, &p};
    How::tile(w, x, out, p.outputs, n, m0, n0, 0, k);
  }
}

template <class T, class A, class How, class I = int> INLINE void weights(Args& p) {   // out: A[parts][groups * outputs][taps, channels]
  const i64 k = p.images * p.place[0] * p.place[1] * p.place[2], n = p.channels * p.taps[0] * p.taps[1] * p.taps[2];
  const int tiles_m = (int)ceil_div(p.outputs, How::SIDE);
  const i64 m0 = (i64)((int)blockIdx.x % tiles_m) * How::SIDE, n0 = (i64)((int)blockIdx.x / tiles_m) * How::SIDE;
  for (i64 z = blockIdx.y; z < p.groups * p.parts; z += gridDim.y) {
    const i64 g = (int)z % (int)p.groups, part = (int)z / (int)p.groups;
    Places<T, I> grad = {(const T*)p.w + g * p.outputs * p.out_channel, &p};
    Swapped<Windows<T, I>> x = {{(const T*)p.x + g * p.channels * p.x_channel, &p}};
    Sums<A> out = {(A*)p.out + z * p.outputs * n, n};
    How::tile(grad, x, out, p.outputs, n, m0, n0, part * p.stretch, least(k, (part + 1) * p.stretch));
  }
}

extern "C" __global__ void __launch_bounds__(256) SYMBOL(Args args) { ENTRY(args); }
