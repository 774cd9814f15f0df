// The way back from maxima of windows: each element of the input adds up the gradients of the windows that chose it.
//
// A thread has EACH neighbours of a row. Windows that hold an element are gone through from the last to the first, along each dim, so that the
// taps by which they hold it, and with them the order of the sum, rise.

#include "elements.cuh"

struct Args {
  const void* grad; const void* taps; void* out;
  i64 rows;                                            // of the input, along its last dim
  i64 window[3], stride[3], padding[3], dilation[3], size[3], places[3];
};
constexpr int EACH = 4;

// Of the windows along a dim those whose taps hold a place, counted with the padding before it.
struct Holding {
  int window, at, stride, span, dilation;
  MEMBER Holding(Args& p, int d, int place) : at(place + (int)p.padding[d]), stride((int)p.stride[d]), dilation((int)p.dilation[d]) {
    window = least(at / stride, (int)p.places[d] - 1);
    span = ((int)p.window[d] - 1) * dilation;
  }
  // The tap that holds the place in this window: -1 for none, -2 for none in windows before it either.
  MEMBER int tap() {
    const int distance = at - window * stride;
    if (window < 0 || distance > span) return -2;
    if (dilation == 1) return distance;
    return distance % dilation ? -1 : distance / dilation;
  }
};

// T: elements, A: their sum, N: numbers of taps, I: int where all counts fit into it, else i64.
template <class T, class A, class N, class I> INLINE void route(Args& p) {
  const I width = (I)p.size[2], groups = (width + EACH - 1) / EACH;
  T* const out = (T*)p.out;
  for (i64 e = FIRST; e < p.rows * groups; e += STEP) {
    const I row = (I)e / groups, x0 = ((I)e - row * groups) * EACH, above = row / (I)p.size[1], image = above / (I)p.size[0];
    A sums[EACH];
    for (int i = 0; i < EACH; i++) sums[i] = A(0);
    Holding z(p, 0, (int)(above - image * (I)p.size[0]));
    for (int tz; (tz = z.tap()) != -2; z.window--) {
      if (tz < 0) continue;
      Holding y(p, 1, (int)(row - above * (I)p.size[1]));
      for (int ty; (ty = y.tap()) != -2; y.window--) {
        if (ty < 0) continue;
        const I first = ((image * (I)p.places[0] + z.window) * (I)p.places[1] + y.window) * (I)p.places[2];
        const int number = (tz * (int)p.window[1] + ty) * (int)p.window[2];
        #pragma unroll
        for (int i = 0; i < EACH; i++) {
          if (x0 + i >= width) break;
          Holding x(p, 2, (int)x0 + i);
          for (int tx; (tx = x.tap()) != -2; x.window--)
            if (tx >= 0 && (int)((const N*)p.taps)[first + x.window] == number + tx) sums[i] += as<A>(((const T*)p.grad)[first + x.window]);
        }
      }
    }
    #pragma unroll
    for (int i = 0; i < EACH; i++)
      if (x0 + i < width) out[row * width + x0 + i] = as<T>(sums[i]);
  }
}

extern "C" __global__ void __launch_bounds__(256) SYMBOL(Args args) { ENTRY(args); }
