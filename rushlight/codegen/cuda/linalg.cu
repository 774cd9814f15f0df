// Factorizations of batches of matrices, column-major as LAPACK has them: one block for each matrix. For matrices that a block can handle in
// reasonable time, up to some hundred rows.

#include "elements.cuh"

struct Args {
  void* a; void* b; void* c; i64* pivots; i64* info;
  i64 batch, m, n, k;
  i64 a_step, b_step, c_step, pivot_step;   // from matrix to matrix, in elements
  i64 lower, unit, adjoint;   // adjoint: 0 as it is, 1 transposed, 2 conjugated as well
};
constexpr int THREADS = 256;

template <class T> struct real_of { typedef T type; };
template <class T> struct real_of<complex<T>> { typedef T type; };

INLINE f32 size_of_number(f32 x) { return fabsf(x); }
INLINE f64 size_of_number(f64 x) { return fabs(x); }
template <class T> INLINE T size_of_number(complex<T> x) { return hypot(x.re, x.im); }
template <class T> INLINE T measure(T x) { return fabs(x); }   // by which pivots are chosen, as in LAPACK
template <class T> INLINE T measure(complex<T> x) { return fabs(x.re) + fabs(x.im); }
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
        R size = measure(a[i + j * p.m]);
        if (size > largest[t] || size != size) { largest[t] = size != size ? (R)infinity() : size; place[t] = i; }
      }
      __syncthreads();
      for (int d = THREADS / 2; d > 0; d /= 2) {
        if (t < d && (largest[t + d] > largest[t] || (largest[t + d] == largest[t] && place[t + d] < place[t]))) { largest[t] = largest[t + d]; place[t] = place[t + d]; }
        __syncthreads();
      }
      const i64 pivot = place[0];
      const bool usable = largest[0] > 0;
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
        i64 i = j + 1 + (int)e % (int)rows, c = j + 1 + (int)e / (int)rows;
        a[i + c * p.m] = a[i + c * p.m] - a[i + j * p.m] * a[j + c * p.m];
      }   // no barrier: a thread measures what it wrote of the next column itself
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
        if (i != j) { T x = b[j + c * p.n]; b[j + c * p.n] = b[i + c * p.n]; b[i + c * p.n] = x; }
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
        i64 i = first + (int)e % (int)rows, c = (int)e / (int)rows;
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
        i64 i = j + 1 + (int)e % (int)rows, c = j + 1 + (int)e / (int)rows;
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
    EACH(e, 0, n * n) {
      const int i = (int)e % (int)n, j = (int)e / (int)n;
      v[e] = T((R)(i == j));
      if (j > i) a[e] = conjugate(a[j + i * n]);
      else if (i == j) a[e] = T(real_part(a[e]));
    }
    for (int sweep = 0; sweep < SWEEPS; sweep++) {
      R own = 0, whole = 0;
      EACH(e, 0, n * n) { whole += square(a[e]); if ((int)e / (int)n != (int)e % (int)n) own += square(a[e]); }
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
          }   // no barrier: a thread keeps to its rows
        }
    }
    for (i64 j = 0; j < n; j++) {
      R own = 0;
      EACH(i, 0, m) own += square(a[i + j * m]);
      const R size = root(total(own));
      if (size > 0) EACH(i, 0, m) a[i + j * m] = a[i + j * m] * T(1 / size);
      if (threadIdx.x == 0) values[j] = size;
    }
    if (threadIdx.x == 0) p.info[matrix] = 0;
  }
}

// -- one thread for each matrix: what is rarely asked for --

template <class T> INLINE T twin(T x, i64 adjoint) { return adjoint == 2 ? conjugate(x) : x; }

// L D L^T (L^H if adjoint is 2) of the lower triangle, D with blocks of 1 and 2 (Bunch and Kaufman 1977), pivots as LAPACK's sytf2 leaves them.
template <class T> INLINE void ldl(Args& p) {
  typedef typename real_of<T>::type R;
  const i64 n = p.n, adjoint = p.adjoint;
  const R alpha = (R)0.6403882032022076;   // (1 + sqrt(17)) / 8
  for (i64 matrix = FIRST; matrix < p.batch; matrix += STEP) {
    MATRIX(T, a, p.a, p.a_step);
    i64* pivots = p.pivots + matrix * p.pivot_step;
    i64 info = 0;
    for (i64 k = 0; k < n;) {
      i64 width = 1, at = k, below = k;
      R own = adjoint == 2 ? (R)fabs(real_part(a[k + k * n])) : measure(a[k + k * n]), most_below = 0;
      for (i64 i = k + 1; i < n; i++) { R size = measure(a[i + k * n]); if (size > most_below) { most_below = size; below = i; } }
      if (!(most<R>(own, most_below) > 0)) {
        if (!info) info = k + 1;
        if (adjoint == 2) a[k + k * n] = T(real_part(a[k + k * n]));
      } else {
        if (own < alpha * most_below) {
          R row = 0;
          for (i64 j = k; j < below; j++) row = most(row, measure(a[below + j * n]));
          for (i64 i = below + 1; i < n; i++) row = most(row, measure(a[i + below * n]));
          R diagonal = adjoint == 2 ? (R)fabs(real_part(a[below + below * n])) : measure(a[below + below * n]);
          if (own >= alpha * most_below * (most_below / row)) at = k;
          else if (diagonal >= alpha * row) at = below;
          else { at = below; width = 2; }
        }
        const i64 last = k + width - 1;
        if (at != last) {
          for (i64 i = at + 1; i < n; i++) { T x = a[i + last * n]; a[i + last * n] = a[i + at * n]; a[i + at * n] = x; }
          for (i64 j = last + 1; j < at; j++) { T x = twin(a[j + last * n], adjoint); a[j + last * n] = twin(a[at + j * n], adjoint); a[at + j * n] = x; }
          if (adjoint == 2) a[at + last * n] = conjugate(a[at + last * n]);
          T x = a[last + last * n]; a[last + last * n] = a[at + at * n]; a[at + at * n] = x;
          if (width == 2) { x = a[k + 1 + k * n]; a[k + 1 + k * n] = a[at + k * n]; a[at + k * n] = x; }
        }
        if (adjoint == 2) for (i64 i = k; i <= last; i++) a[i + i * n] = T(real_part(a[i + i * n]));
        if (width == 1) {
          const T inverse = T(1) / a[k + k * n];
          for (i64 j = k + 1; j < n; j++) {
            const T factor = inverse * twin(a[j + k * n], adjoint);
            for (i64 i = j; i < n; i++) a[i + j * n] = a[i + j * n] - a[i + k * n] * factor;
          }
          for (i64 i = k + 1; i < n; i++) a[i + k * n] = a[i + k * n] * inverse;
        } else {   // the inverse of [[d, e^*], [e, f]] times two columns
          const T d = a[k + k * n], e = a[k + 1 + k * n], f = a[k + 1 + (k + 1) * n], scale = T(1) / (d * f - e * twin(e, adjoint));
          for (i64 j = k + 2; j < n; j++) {
            const T x = a[j + k * n], y = a[j + (k + 1) * n];
            const T u = (f * x - e * y) * scale, v = (d * y - twin(e, adjoint) * x) * scale;
            for (i64 i = j; i < n; i++) a[i + j * n] = a[i + j * n] - a[i + k * n] * twin(u, adjoint) - a[i + (k + 1) * n] * twin(v, adjoint);
            a[j + k * n] = u; a[j + (k + 1) * n] = v;
          }
        }
      }
      for (i64 i = k; i < k + width; i++) pivots[i] = width == 1 ? at + 1 : -(at + 1);
      k += width;
    }
    p.info[matrix] = info;
  }
}

// Overwrites b (n x k) with the solution from the factors of `ldl`.
template <class T> INLINE void ldl_solve(Args& p) {
  const i64 n = p.n, adjoint = p.adjoint;
  for (i64 e = FIRST; e < p.batch * p.k; e += STEP) {
    const i64 matrix = e / p.k;
    MATRIX(T, a, p.a, p.a_step);
    T* x = (T*)p.b + matrix * p.b_step + e % p.k * n;
    const i64* pivots = p.pivots + matrix * p.pivot_step;
    for (i64 k = 0; k < n;) {
      const bool one = pivots[k] > 0;
      const i64 last = one ? k : k + 1, at = (one ? pivots[k] : -pivots[k]) - 1;
      T y = x[last]; x[last] = x[at]; x[at] = y;
      for (i64 i = last + 1; i < n; i++) { x[i] = x[i] - a[i + k * n] * x[k]; if (!one) x[i] = x[i] - a[i + (k + 1) * n] * x[k + 1]; }
      if (one) x[k] = x[k] / a[k + k * n];
      else {
        const T d = a[k + k * n], c = a[k + 1 + k * n], f = a[k + 1 + (k + 1) * n], scale = T(1) / (d * f - c * twin(c, adjoint));
        const T u = (f * x[k] - twin(c, adjoint) * x[k + 1]) * scale, v = (d * x[k + 1] - c * x[k]) * scale;
        x[k] = u; x[k + 1] = v;
      }
      k = last + 1;
    }
    for (i64 k = n - 1; k >= 0;) {
      const bool one = pivots[k] > 0;
      const i64 first = one ? k : k - 1, at = (one ? pivots[k] : -pivots[k]) - 1;
      for (i64 j = first; j <= k; j++)
        for (i64 i = k + 1; i < n; i++) x[j] = x[j] - twin(a[i + j * n], adjoint) * x[i];
      T y = x[k]; x[k] = x[at]; x[at] = y;
      k = first - 1;
    }
  }
}

// Eigenvalues (b) and right eigenvectors of length 1 (c) of a complex matrix a, which is used up: reduction to Hessenberg form by reflections, then
// the QR algorithm with Wilkinson's shifts, then the triangular factor's vectors by substitution.
template <class T> INLINE void general(Args& p) {
  typedef typename real_of<T>::type R;
  const i64 n = p.n;
  const R eps = sizeof(R) == 4 ? (R)1.1920929e-7 : (R)2.220446049250313e-16;
  for (i64 matrix = FIRST; matrix < p.batch; matrix += STEP) {
    MATRIX(T, a, p.a, p.a_step);
    MATRIX(T, z, p.c, p.c_step);
    MATRIX(T, w, p.b, p.b_step);
    for (i64 e = 0; e < n * n; e++) z[e] = T((R)(e / n == e % n));
    for (i64 k = 0; k + 2 < n; k++) {
      R rest = 0;
      for (i64 i = k + 2; i < n; i++) rest += square(a[i + k * n]);
      if (!(rest > 0)) continue;
      const T alpha = a[k + 1 + k * n];
      const R norm = root(rest + square(alpha)), size = size_of_number(alpha);
      const T phase = size > 0 ? alpha * T(1 / size) : T(1), first = alpha + phase * T(norm);
      // v = (first, a[k+2..]); H = 1 - 2 v v^H / v^H v; v is kept in w while it is needed
      const R length = square(first) + rest;
      w[k + 1] = first;
      for (i64 i = k + 2; i < n; i++) w[i] = a[i + k * n];
      for (i64 j = k; j < n; j++) {
        T dot = T(0);
        for (i64 i = k + 1; i < n; i++) dot = dot + conjugate(w[i]) * a[i + j * n];
        dot = dot * T(2 / length);
        for (i64 i = k + 1; i < n; i++) a[i + j * n] = a[i + j * n] - w[i] * dot;
      }
      for (i64 side = 0; side < 2; side++) {
        T* x = side ? z : a;
        for (i64 i = 0; i < n; i++) {
          T dot = T(0);
          for (i64 j = k + 1; j < n; j++) dot = dot + x[i + j * n] * w[j];
          dot = dot * T(2 / length);
          for (i64 j = k + 1; j < n; j++) x[i + j * n] = x[i + j * n] - dot * conjugate(w[j]);
        }
      }
    }
    i64 high = n - 1, info = 0;
    int turns = 0;
    while (high > 0) {
      i64 low = high;
      for (; low > 0; low--) {
        R near = size_of_number(a[low + low * n]) + size_of_number(a[low - 1 + (low - 1) * n]);
        if (!(size_of_number(a[low + (low - 1) * n]) > eps * near)) { a[low + (low - 1) * n] = T(0); break; }
      }
      if (low == high) { high--; turns = 0; continue; }
      if (++turns > 300) { info = high + 1; break; }
      // the eigenvalue of the last 2 x 2 that is nearer to its corner
      const T p11 = a[high - 1 + (high - 1) * n], p12 = a[high - 1 + high * n], p21 = a[high + (high - 1) * n], p22 = a[high + high * n];
      const T half = (p11 - p22) * T((R)0.5), inside = half * half + p12 * p21;
      const R modulus = size_of_number(inside);
      T r = T(root((modulus + real_part(inside)) / 2 > 0 ? (modulus + real_part(inside)) / 2 : 0), root((modulus - real_part(inside)) / 2 > 0 ? (modulus - real_part(inside)) / 2 : 0));
      if (inside.im < 0) r.im = -r.im;
      if (real_part(half * conjugate(r)) < 0) r = -r;
      T shift = square(half + r) > 0 ? p22 - p12 * p21 / (half + r) : p22;
      if (turns % 10 == 0) shift = p22 + T(size_of_number(p21));   // an exceptional shift against cycles
      for (i64 i = low; i <= high; i++) a[i + i * n] = a[i + i * n] - shift;
      // QR by rotations, applied to the right one step behind
      T s_before = T(0);
      R c_before = 1;
      for (i64 k = low; k <= high; k++) {
        T s = T(0);
        R c = 1;
        if (k < high) {
          const T x = a[k + k * n], y = a[k + 1 + k * n];
          const R norm = root(square(x) + square(y)), size = size_of_number(x);
          if (norm > 0) {
            const T phase = size > 0 ? x * T(1 / size) : T(1);
            c = size / norm; s = phase * conjugate(y) * T(1 / norm);
            for (i64 j = k; j < n; j++) {
              const T l = a[k + j * n], m = a[k + 1 + j * n];
              a[k + j * n] = T(c) * l + s * m; a[k + 1 + j * n] = T(c) * m - conjugate(s) * l;
            }
          }
        }
        if (k > low)
          for (i64 side = 0; side < 2; side++) {
            T* x = side ? z : a;
            for (i64 i = 0; i < (side ? n : k + 1); i++) {
              const T l = x[i + (k - 1) * n], m = x[i + k * n];
              x[i + (k - 1) * n] = l * T(c_before) + m * conjugate(s_before); x[i + k * n] = m * T(c_before) - l * s_before;
            }
          }
        c_before = c; s_before = s;
      }
      for (i64 i = low; i <= high; i++) a[i + i * n] = a[i + i * n] + shift;
    }
    for (i64 i = 0; i < n; i++) w[i] = a[i + i * n];
    for (i64 k = n - 1; k >= 0; k--) {   // vectors of the triangle, in its columns; those to the left are still wanted
      for (i64 i = k - 1; i >= 0; i--) {
        T sum = a[i + k * n];
        for (i64 j = i + 1; j < k; j++) sum = sum + a[i + j * n] * a[j + k * n];
        T gap = w[k] - w[i];
        if (!(size_of_number(gap) > eps * size_of_number(w[k]))) gap = T(eps * (size_of_number(w[k]) > 0 ? size_of_number(w[k]) : 1));
        a[i + k * n] = sum / gap;
      }
      R length = 0;
      for (i64 i = 0; i < n; i++) {
        T sum = z[i + k * n];
        for (i64 j = 0; j < k; j++) sum = sum + z[i + j * n] * a[j + k * n];
        length += square(sum);
        z[i + k * n] = sum;
      }
      const R inverse = 1 / root(length);
      for (i64 i = 0; i < n; i++) z[i + k * n] = z[i + k * n] * T(inverse);
    }
    p.info[matrix] = info;
  }
}

extern "C" __global__ void __launch_bounds__(256) SYMBOL(Args args) { ENTRY(args); }
