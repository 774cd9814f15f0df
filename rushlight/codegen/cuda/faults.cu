// What is looked for in numbers, and reported in the launch's fault record.

#include "elements.cuh"

struct Args { const void* input; i64 n; f64 low, high; i64 first, last, but; void* fault; };

// A: what T is compared in.
template <class T, class A> INLINE void nans(Args& p) {
  for (i64 i = FIRST; i < p.n; i += STEP) {
    A x = as<A>(((const T*)p.input)[i]);
    if (x != x) report((Fault*)p.fault, 0, 0, 0, i);
  }
}

// Integers outside of [first, last], except `but`.
template <class T> INLINE void integers(Args& p) {
  for (i64 i = FIRST; i < p.n; i += STEP) {
    i64 x = ((const T*)p.input)[i];
    if ((x < p.first || x > p.last) && x != p.but) report((Fault*)p.fault, 0, x, 0, i);
  }
}

// Numbers outside of [low, high], NaN among them; the value is told by its bits.
template <class T> INLINE void numbers(Args& p) {
  for (i64 i = FIRST; i < p.n; i += STEP) {
    f64 x = as<f64>(((const T*)p.input)[i]);
    if (!(x >= p.low && x <= p.high)) report((Fault*)p.fault, 0, bits_as<i64>(x), 0, i);
  }
}

extern "C" __global__ void __launch_bounds__(256) SYMBOL(Args args) { ENTRY(args); }
