// What is looked for in numbers, and reported in the launch's fault record.

#include "elements.cuh"

struct Args { const void* input; i64 n, code; void* fault; };

// A: what T is compared in.
template <class T, class A> INLINE void nans(Args& p) {
  for (i64 i = FIRST; i < p.n; i += STEP) {
    A x = as<A>(((const T*)p.input)[i]);
    if (x != x) report((Fault*)p.fault, (int)p.code, 0, 0, i);
  }
}

extern "C" __global__ void __launch_bounds__(256) SYMBOL(Args args) { ENTRY(args); }
