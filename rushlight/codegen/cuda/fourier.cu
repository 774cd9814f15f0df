// One pass of a discrete Fourier transform along rows, in order (Stockham): a transform of n = r1 r2 ... points takes a pass for each factor.
//
// `before` is the product of the factors that are done. A thread makes one output, a sum of `radix` terms; roots[i] = exp(-+ 2 pi i / n).

#include "elements.cuh"

struct Args { const void* input; const void* roots; void* out; i64 rows, n, radix, before; f64 scale; };

template <class T> INLINE void pass(Args& p) {
  const complex<T>* roots = (const complex<T>*)p.roots;
  const i64 each = p.n / p.radix, step = p.n / (p.before * p.radix);
  for (i64 e = FIRST; e < p.rows * p.n; e += STEP) {
    const i64 row = e / p.n, i = e % p.n;
    const i64 done = i % (p.before * p.radix), j = i / (p.before * p.radix) * p.before + done % p.before;   // done = k + before q
    const complex<T>* x = (const complex<T>*)p.input + row * p.n + j;
    complex<T> sum = x[0];
    i64 turn = 0;
    for (i64 q = 1; q < p.radix; q++) {
      turn += done * step;
      if (turn >= p.n) turn -= p.n;
      sum = fma_of(x[q * each], roots[turn], sum);
    }
    ((complex<T>*)p.out)[e] = {sum.re * (T)p.scale, sum.im * (T)p.scale};
  }
}

extern "C" __global__ void __launch_bounds__(256) SYMBOL(Args args) { ENTRY(args); }
