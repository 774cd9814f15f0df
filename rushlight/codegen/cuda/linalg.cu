// Factorizations of batches of matrices, column-major as LAPACK has them: one block for each matrix. For matrices that a block can handle in
// reasonable time, up to some hundred rows.

#include "elements.cuh"

struct Args {
  void* a; void* b; void* c; i64* pivots; i64* info; const void* scale;
  i64 batch, m, n, k;
  i64 a_step, b_step, c_step, pivot_step;   // from matrix to matrix, in elements
  i64 lower, unit, adjoint, left;
};
constexpr int THREADS = 256;

template <class T> struct real_of { typedef T type; };
template <class T> struct real_of<complex<T>> { typedef T type; };

INLINE f32 size_of_number(f32 x) { return fabsf(x); }
INLINE f64 size_of_number(f64 x) { return fabs(x); }
template <class T> INLINE T size_of_number(complex<T> x) { return hypot(x.re, x.im); }
INLINE f32 square(f32 x) { return x * x; }
INLINE f64 square(f64 x) { return x * x; }
template <class T> INLINE T square(complex<T> x) { return x.re * x.re + x.im * x.im; }
INLINE f32 real_part(f32 x) { return x; }
INLINE f64 real_part(f64 x) { return x; }
template <class T> INLINE T real_part(complex<T> x) { return x.re; }
INLINE f32 root(f32 x) { return sqrtf(x); }
INLINE f64 root(f64 x) { return sqrt(x); }

// The sum of what the threads hold, the same for all of them.
template <class T> INLINE T total(T own) {
  __shared__ T shared[THREADS];
  const int t = threadIdx.x;
  __syncthreads();
  shared[t] = own;
  __syncthreads();
  for (int d = THREADS / 2; d > 0; d /= 2) {
    if (t < d) shared[t] = shared[t] + shared[t + d];
    __syncthreads();
  }
  return shared[0];
}

#define MATRIX(T, name, pointer, step) T* name = (T*)pointer + matrix * step
#define EACH_MATRIX for (i64 matrix = blockIdx.x; matrix < p.batch; matrix += gridDim.x)
#define EACH(i, begin, end) for (i64 i = (begin) + threadIdx.x; i < (end); i += THREADS)

// P L U with the largest element of each column as its pivot; pivots count from 1.
template <class T> INLINE void lu(Args& p) {
  typedef typename real_of<T>::type R;
  __shared__ R largest[THREADS];
  __shared__ i64 place[THREADS];
  const int t = threadIdx.x;
  EACH_MATRIX {
    MATRIX(T, a, p.a, p.a_step);
    i64 info = 0;
    for (i64 j = 0; j < least(p.m, p.n); j++) {
      largest[t] = -1; place[t] = j;
      EACH(i, j, p.m) {
        R size = size_of_number(a[i + j * p.m]);
        if (size > largest[t] || size != size) { largest[t] = size != size ? (R)infinity() : size; place[t] = i; }
      }
      __syncthreads();
      for (int d = THREADS / 2; d > 0; d /= 2) {
        if (t < d && (largest[t + d] > largest[t] || (largest[t + d] == largest[t] && place[t + d] < place[t]))) { largest[t] = largest[t + d]; place[t] = place[t + d]; }
        __syncthreads();
      }
      const i64 pivot = place[0];
      const bool usable = largest[0] > 0;
      __syncthreads();
      if (t == 0) p.pivots[matrix * p.pivot_step + j] = pivot + 1;
      if (!usable && info == 0) info = j + 1;
      if (pivot != j) EACH(c, 0, p.n) { T x = a[j + c * p.m]; a[j + c * p.m] = a[pivot + c * p.m]; a[pivot + c * p.m] = x; }
      __syncthreads();
      if (usable) {
        const T inverse = T(1) / a[j + j * p.m];
        EACH(i, j + 1, p.m) a[i + j * p.m] = a[i + j * p.m] * inverse;
      }
      __syncthreads();
      const i64 rows = p.m - j - 1, columns = p.n - j - 1;
      EACH(e, 0, rows * columns) {
        i64 i = j + 1 + e % rows, c = j + 1 + e / rows;
        a[i + c * p.m] = a[i + c * p.m] - a[i + j * p.m] * a[j + c * p.m];
      }
      __syncthreads();
    }
    if (t == 0) p.info[matrix] = info;
  }
}

// The rows of b (n x k) exchanged as pivots say, forwards or (adjoint) backwards.
template <class T> INLINE void exchange(Args& p) {
  EACH_MATRIX {
    MATRIX(T, b, p.b, p.b_step);
    const i64* pivots = p.pivots + matrix * p.pivot_step;
    EACH(c, 0, p.k)
      for (i64 s = 0; s < p.n; s++) {
        i64 j = p.adjoint ? p.n - 1 - s : s, i = pivots[j] - 1;
        if (i != j) { T x = b[j + c * p.m]; b[j + c * p.m] = b[i + c * p.m]; b[i + c * p.m] = x; }
      }
  }
}

// Overwrites b (n x k) with the solution of op(a) x = b, a triangular n x n with columns m apart; op: 0 none, 1 transposed, 2 adjoint.
template <class T> INLINE void triangular(Args& p) {
  EACH_MATRIX {
    MATRIX(T, a, p.a, p.a_step);
    MATRIX(T, b, p.b, p.b_step);
    const bool forward = (p.lower != 0) == (p.adjoint == 0);
    for (i64 s = 0; s < p.n; s++) {
      const i64 j = forward ? s : p.n - 1 - s;
      if (!p.unit) {
        T d = a[j + j * p.m];
        if (p.adjoint == 2) d = conjugate(d);
        EACH(c, 0, p.k) b[j + c * p.n] = b[j + c * p.n] / d;
        __syncthreads();
      }
      const i64 first = forward ? j + 1 : 0, rows = forward ? p.n - j - 1 : j;
      EACH(e, 0, rows * p.k) {
        i64 i = first + e % rows, c = e / rows;
        T x = p.adjoint ? a[j + i * p.m] : a[i + j * p.m];
        if (p.adjoint == 2) x = conjugate(x);
        b[i + c * p.n] = b[i + c * p.n] - x * b[j + c * p.n];
      }
      __syncthreads();
    }
  }
}

// L L^H of the lower triangle; info: the first leading minor that is not positive.
template <class T> INLINE void cholesky(Args& p) {
  typedef typename real_of<T>::type R;
  EACH_MATRIX {
    MATRIX(T, a, p.a, p.a_step);
    i64 info = 0;
    for (i64 j = 0; j < p.n && info == 0; j++) {
      const R d = real_part(a[j + j * p.n]);
      __syncthreads();
      if (!(d > 0)) { info = j + 1; break; }
      const R r = root(d);
      EACH(i, j, p.n) a[i + j * p.n] = i == j ? T(r) : a[i + j * p.n] * T(1 / r);
      __syncthreads();
      const i64 rows = p.n - j - 1;
      EACH(e, 0, rows * rows) {
        i64 i = j + 1 + e % rows, c = j + 1 + e / rows;
        if (i >= c) a[i + c * p.n] = a[i + c * p.n] - a[i + j * p.n] * conjugate(a[c + j * p.n]);
      }
      __syncthreads();
    }
    if (threadIdx.x == 0) p.info[matrix] = info;
  }
}

// Householder's reflection that turns x (x[0] = alpha) onto the first axis: x becomes v (v[0] is 1 and not stored), alpha beta; returns tau.
template <class T> INLINE T reflector(T* x, i64 n) {
  typedef typename real_of<T>::type R;
  R own = 0;
  EACH(i, 1, n) own += square(x[i]);
  const R rest = total(own);
  const T alpha = x[0];
  __syncthreads();
  const R imaginary = square(alpha) - real_part(alpha) * real_part(alpha);
  if (rest == 0 && !(imaginary > 0)) return T(0);
  R beta = root(square(alpha) + rest);
  if (real_part(alpha) > 0) beta = -beta;
  const T tau = (T(beta) - alpha) / T(beta), scale = T(1) / (alpha - T(beta));
  EACH(i, 1, n) x[i] = x[i] * scale;
  if (threadIdx.x == 0) x[0] = T(beta);
  __syncthreads();
  return tau;
}

// c (columns of n rows, `step` apart) becomes (1 - tau v v^H) c.
template <class T> INLINE void reflect(const T* v, T tau, T* c, i64 n, i64 columns, i64 step) {
  for (i64 j = 0; j < columns; j++) {
    T own = T(0);
    EACH(i, 0, n) own = own + (i == 0 ? c[j * step] : conjugate(v[i]) * c[i + j * step]);
    const T dot = tau * total(own);
    EACH(i, 0, n) c[i + j * step] = c[i + j * step] - (i == 0 ? dot : v[i] * dot);
    __syncthreads();
  }
}

// R above the diagonal, reflectors below, their tau in c.
template <class T> INLINE void qr(Args& p) {
  EACH_MATRIX {
    MATRIX(T, a, p.a, p.a_step);
    MATRIX(T, taus, p.c, p.c_step);
    for (i64 j = 0; j < least(p.m, p.n); j++) {
      T* x = a + j + j * p.m;
      const T tau = reflector(x, p.m - j);
      if (threadIdx.x == 0) taus[j] = tau;
      reflect(x, conjugate(tau), x + p.m, p.m - j, p.n - j - 1, p.m);
      __syncthreads();
    }
  }
}

// b (m x n): Q b (or Q^H b, adjoint) for Q the product of the first k reflectors in a (m rows) with tau in c.
template <class T> INLINE void apply_q(Args& p) {
  EACH_MATRIX {
    MATRIX(T, a, p.a, p.a_step);
    MATRIX(T, b, p.b, p.b_step);
    MATRIX(T, taus, p.c, p.c_step);
    for (i64 s = 0; s < p.k; s++) {
      const i64 j = p.adjoint ? s : p.k - 1 - s;
      const T tau = taus[j];
      reflect(a + j + j * p.m, p.adjoint ? conjugate(tau) : tau, b + j, p.m - j, p.n, p.m);
      __syncthreads();
    }
  }
}

// The rotation that makes the off-diagonal element of [[a, g], [g^*, b]] zero: c real, s with the phase of g.
template <class T> struct Rotation { typename real_of<T>::type c; T s; };
template <class T> INLINE Rotation<T> rotation(typename real_of<T>::type a, typename real_of<T>::type b, T g) {
  typedef typename real_of<T>::type R;
  const R size = size_of_number(g), theta = (b - a) / (2 * size);
  const R t = (theta >= 0 ? 1 : -1) / (fabs(theta) + root(theta * theta + 1)), c = 1 / root(t * t + 1);
  return {c, g * T(t * c / size)};
}

constexpr int SWEEPS = 60;

// Eigenvalues (b, real) and vectors (in c) of the Hermitian matrix in the lower triangle of a, which is used up: Jacobi's method, one pair at a time.
template <class T> INLINE void eigen(Args& p) {
  typedef typename real_of<T>::type R;
  EACH_MATRIX {
    MATRIX(T, a, p.a, p.a_step);
    MATRIX(T, v, p.c, p.c_step);
    MATRIX(R, values, p.b, p.b_step);
    const i64 n = p.n;
    EACH(e, 0, n * n) { v[e] = T((R)(e / n == e % n)); if (e / n > e % n) a[e] = conjugate(a[e / n + e % n * n]); }
    __syncthreads();
    EACH(i, 0, n) a[i * (n + 1)] = T(real_part(a[i * (n + 1)]));
    __syncthreads();
    for (int sweep = 0; sweep < SWEEPS; sweep++) {
      R own = 0, whole = 0;
      EACH(e, 0, n * n) { whole += square(a[e]); if (e / n != e % n) own += square(a[e]); }
      const R off = total(own), all = total(whole);
      const R eps = sizeof(R) == 4 ? (R)5.9604645e-8 : (R)1.1102230246251565e-16;
      if (!(off > all * eps * eps)) break;
      for (i64 x = 0; x < n - 1; x++)
        for (i64 y = x + 1; y < n; y++) {
          const T g = a[x + y * n];
          const R first = real_part(a[x + x * n]), second = real_part(a[y + y * n]);
          __syncthreads();
          if (!(square(g) > 0)) continue;
          const Rotation<T> q = rotation<T>(first, second, g);
          EACH(i, 0, n) {   // columns x and y: (x, y) [[c, s], [-s^*, c]]
            T l = a[i + x * n], r = a[i + y * n];
            a[i + x * n] = l * T(q.c) - r * conjugate(q.s); a[i + y * n] = l * q.s + r * T(q.c);
            l = v[i + x * n]; r = v[i + y * n];
            v[i + x * n] = l * T(q.c) - r * conjugate(q.s); v[i + y * n] = l * q.s + r * T(q.c);
          }
          __syncthreads();
          EACH(i, 0, n) {   // rows
            T l = a[x + i * n], r = a[y + i * n];
            a[x + i * n] = l * T(q.c) - r * q.s; a[y + i * n] = l * conjugate(q.s) + r * T(q.c);
          }
          __syncthreads();
        }
    }
    EACH(i, 0, n) values[i] = real_part(a[i * (n + 1)]);
    if (threadIdx.x == 0) p.info[matrix] = 0;
  }
}

// One-sided Jacobi: the columns of a (m x n, m >= n) become orthogonal, a V = U S; V in c, S (not sorted) in b, U left in a.
template <class T> INLINE void singular(Args& p) {
  typedef typename real_of<T>::type R;
  EACH_MATRIX {
    MATRIX(T, a, p.a, p.a_step);
    MATRIX(T, v, p.c, p.c_step);
    MATRIX(R, values, p.b, p.b_step);
    const i64 m = p.m, n = p.n;
    const R eps = sizeof(R) == 4 ? (R)5.9604645e-8 : (R)1.1102230246251565e-16;
    EACH(e, 0, n * n) v[e] = T((R)(e / n == e % n));
    __syncthreads();
    bool turned = true;
    for (int sweep = 0; sweep < SWEEPS && turned; sweep++) {
      turned = false;
      for (i64 x = 0; x < n - 1; x++)
        for (i64 y = x + 1; y < n; y++) {
          R xx = 0, yy = 0;
          T xy = T(0);
          EACH(i, 0, m) { xx += square(a[i + x * m]); yy += square(a[i + y * m]); xy = xy + conjugate(a[i + x * m]) * a[i + y * m]; }
          xx = total(xx); yy = total(yy); xy = total(xy);
          if (!(size_of_number(xy) > eps * root(xx) * root(yy))) continue;
          turned = true;
          const Rotation<T> q = rotation<T>(xx, yy, xy);
          EACH(i, 0, m) {
            T l = a[i + x * m], r = a[i + y * m];
            a[i + x * m] = l * T(q.c) - r * conjugate(q.s); a[i + y * m] = l * q.s + r * T(q.c);
          }
          EACH(i, 0, n) {
            T l = v[i + x * n], r = v[i + y * n];
            v[i + x * n] = l * T(q.c) - r * conjugate(q.s); v[i + y * n] = l * q.s + r * T(q.c);
          }
          __syncthreads();
        }
    }
    for (i64 j = 0; j < n; j++) {
      R own = 0;
      EACH(i, 0, m) own += square(a[i + j * m]);
      const R size = root(total(own));
      if (size > 0) EACH(i, 0, m) a[i + j * m] = a[i + j * m] * T(1 / size);
      if (threadIdx.x == 0) values[j] = size;
      __syncthreads();
    }
    if (threadIdx.x == 0) p.info[matrix] = 0;
  }
}

extern "C" __global__ void __launch_bounds__(256) SYMBOL(Args args) { ENTRY(args); }
