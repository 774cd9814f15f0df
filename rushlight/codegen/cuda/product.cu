// Matrix products: c = alpha a b + beta added for batches of matrices with any strides. A block computes a tile of one matrix, over a stretch of k: where k is
// long and tiles are few, `parts` stretches go to partial results that are added up afterwards.

#include "elements.cuh"
#include "tiles.cuh"

struct Args {
  const void* a; const void* b; void* c; const void* added;   // added: c itself, another matrix or, with rows that are 0 apart, one row for all
  i64 m, n, k, batch, parts, stretch;
  i64 a_row, a_column, a_batch, b_row, b_column, b_batch, c_row, c_batch, c_part, added_row, added_batch;   // in elements
  i64 conjugate_a, conjugate_b;
  f64 alpha_re, alpha_im, beta_re, beta_im;
};

template <class C, class A> struct Scaled {   // addresses are made when the sums are, which need all registers before
  Args& p; i64 z;
  MEMBER void put(i64 r, i64 s, A sum) {
    const i64 matrix = z / p.parts, part = z % p.parts;
    const A value = factor<A>::of(p.alpha_re, p.alpha_im) * sum;
    const C* added = (const C*)p.added + matrix * p.added_batch + r * p.added_row + s;
    const bool add = p.beta_re != 0 || p.beta_im != 0;
    C* const to = (C*)p.c + matrix * p.c_batch + part * p.c_part + r * p.c_row + s;
    *to = as<C>(add ? fma_of(factor<A>::of(p.beta_re, p.beta_im), as<A>(*added), value) : value);
  }
};

template <class T, class C, class A, class How> INLINE void product(Args& p) {
  const int tiles_n = (int)ceil_div(p.n, How::SIDE);
  const i64 m0 = (i64)((int)blockIdx.x / tiles_n) * How::SIDE, n0 = (i64)((int)blockIdx.x % tiles_n) * How::SIDE;
  for (i64 z = blockIdx.y; z < p.batch * p.parts; z += gridDim.y) {
    const i64 matrix = z / p.parts, k0 = z % p.parts * p.stretch;
    const int rows = (int)least<i64>(p.m - m0, How::SIDE), columns = (int)least<i64>(p.n - n0, How::SIDE);
    const int depth = (int)least(p.k - k0, p.stretch);   // a stretch is shorter than 2**31
    const T* const left = (const T*)p.a + matrix * p.a_batch + m0 * p.a_row + k0 * p.a_column;
    const T* const right = (const T*)p.b + matrix * p.b_batch + n0 * p.b_column + k0 * p.b_row;
    Strided<T> a = {left, m0, rows, depth, p.a_row, p.a_column, p.conjugate_a != 0};
    Strided<T> b = {right, n0, columns, depth, p.b_column, p.b_row, p.conjugate_b != 0};
    Scaled<C, A> c = {p, z};
    How::tile(a, b, c, p.m, p.n, m0, n0, 0, depth);
  }
}

// c = the sum of the partial results (a: A[batch][parts][m][n], scaled by alpha already) + beta added.
template <class T, class A> INLINE void add_parts(Args& p) {
  const A beta = factor<A>::of(p.beta_re, p.beta_im);
  const bool add = p.beta_re != 0 || p.beta_im != 0;
  for (i64 e = FIRST; e < p.batch * p.m * p.n; e += STEP) {
    const i64 matrix = e / (p.m * p.n), r = e / p.n % p.m, s = e % p.n;
    const A* part = (const A*)p.a + matrix * p.parts * p.m * p.n + r * p.n + s;
    A sum = part[0];
    for (i64 i = 1; i < p.parts; i++) sum = sum + part[i * p.m * p.n];
    const T* added = (const T*)p.added + matrix * p.added_batch + r * p.added_row + s;
    ((T*)p.c)[matrix * p.c_batch + r * p.c_row + s] = as<T>(add ? fma_of(beta, as<A>(*added), sum) : sum);
  }
}

// c = added.
template <class T> INLINE void spread(Args& p) {
  for (i64 e = FIRST; e < p.batch * p.m * p.n; e += STEP) {
    const i64 matrix = e / (p.m * p.n), r = e / p.n % p.m, s = e % p.n;
    ((T*)p.c)[matrix * p.c_batch + r * p.c_row + s] = ((const T*)p.added)[matrix * p.added_batch + r * p.added_row + s];
  }
}

// c = added, of which every row begins at an address of its own: from odd to even addresses, and back.
template <class T> INLINE void lay(Args& p) {
  constexpr int EACH = 8;
  for (i64 r = blockIdx.x; r < p.m; r += gridDim.x) {
    const T* const from = (const T*)p.added + r * p.added_row;
    T* const to = (T*)p.c + r * p.c_row;
    for (i64 first = threadIdx.x; first < p.n; first += EACH * blockDim.x) {
      T x[EACH];
      #pragma unroll
      for (int e = 0; e < EACH; e++) if (first + e * blockDim.x < p.n) x[e] = from[first + e * blockDim.x];
      #pragma unroll
      for (int e = 0; e < EACH; e++) if (first + e * blockDim.x < p.n) to[first + e * blockDim.x] = x[e];
    }
  }
}

extern "C" __global__ void __launch_bounds__(256) SYMBOL(Args args) { ENTRY(args); }
