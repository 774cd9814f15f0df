// Matrix products: c = alpha a b + beta c for batches of matrices with any strides. A block computes a tile of one matrix, over a stretch of k: where k is
// long and tiles are few, `parts` stretches go to partial results that are added up afterwards.

#include "elements.cuh"
#include "tiles.cuh"

struct Args {
  const void* a; const void* b; void* c;
  i64 m, n, k, batch, parts, stretch;
  i64 a_row, a_column, a_batch, b_row, b_column, b_batch, c_row, c_batch, c_part;   // in elements
  i64 conjugate_a, conjugate_b;
  f64 alpha_re, alpha_im, beta_re, beta_im;
};

template <class C, class A> struct Scaled {
  C* c; i64 row; A alpha, beta; bool add;
  MEMBER void put(i64 r, i64 s, A sum) {
    C* at = c + r * row + s;
    A value = alpha * sum;
    *at = as<C>(add ? fma_of(beta, as<A>(*at), value) : value);
  }
};

template <class T, class C, class A, class How> INLINE void product(Args& p) {
  const int tiles_n = (int)ceil_div(p.n, How::SIDE), parts = (int)p.parts;
  const i64 m0 = (i64)((int)blockIdx.x / tiles_n) * How::SIDE, n0 = (i64)((int)blockIdx.x % tiles_n) * How::SIDE;
  for (i64 z = blockIdx.y; z < p.batch * p.parts; z += gridDim.y) {
    const i64 matrix = (int)z / parts, part = (int)z % parts;
    Strided<T> a = {(const T*)p.a + matrix * p.a_batch, p.m, p.k, p.a_row, p.a_column, p.conjugate_a != 0};
    Strided<T> b = {(const T*)p.b + matrix * p.b_batch, p.n, p.k, p.b_column, p.b_row, p.conjugate_b != 0};
    Scaled<C, A> c = {(C*)p.c + matrix * p.c_batch + part * p.c_part, p.c_row, factor<A>::of(p.alpha_re, p.alpha_im), factor<A>::of(p.beta_re, p.beta_im),
                      p.beta_re != 0 || p.beta_im != 0};
    How::tile(a, b, c, p.m, p.n, m0, n0, part * p.stretch, least(p.k, (part + 1) * p.stretch));
  }
}

// c = the sum of the partial results (a: A[batch][parts][m][n], scaled by alpha already) + beta c.
template <class T, class A> INLINE void add_parts(Args& p) {
  const A beta = factor<A>::of(p.beta_re, p.beta_im);
  const bool add = p.beta_re != 0 || p.beta_im != 0;
  for (i64 e = FIRST; e < p.batch * p.m * p.n; e += STEP) {
    const i64 matrix = e / (p.m * p.n), r = e / p.n % p.m, s = e % p.n;
    const A* part = (const A*)p.a + matrix * p.parts * p.m * p.n + r * p.n + s;
    A sum = part[0];
    for (i64 i = 1; i < p.parts; i++) sum = sum + part[i * p.m * p.n];
    T* at = (T*)p.c + matrix * p.c_batch + r * p.c_row + s;
    *at = as<T>(add ? fma_of(beta, as<A>(*at), sum) : sum);
  }
}

extern "C" __global__ void __launch_bounds__(256) SYMBOL(Args args) { ENTRY(args); }
