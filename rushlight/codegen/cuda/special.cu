// Functions by iteration, in float64: the regularised incomplete gamma functions, Bessel functions, the slope of a gamma variate.

#include "elements.cuh"

struct Args { const f64* first; const f64* second; f64* out; i64 n; };

// x**a exp(-x) / gamma(a + 1), of large arguments by the distance of x from a (Temme 1994, with Stirling's series)
INLINE f64 power_over_gamma(f64 a, f64 x) {
  if (a < 30) return exp(a * log(x) - x - lgamma(a + 1));
  f64 r = (x - a) / a;
  r = exp(a * ((fabs(r) < 0.5 ? log1p(r) : log(x / a)) - r)) / sqrt(2 * 3.141592653589793 * a);
  return r / exp((1 / 12.0 - 1 / (360.0 * a * a) + 1 / (1260.0 * a * a * a * a)) / a);
}

INLINE f64 lower_series(f64 a, f64 x) {   // P(a, x), for x below a
  f64 term = 1, total = 1, k = a;
  while (term > total * 1e-17) { k += 1; term *= x / k; total += term; }
  return total * power_over_gamma(a, x);
}

INLINE f64 upper_fraction(f64 a, f64 x) {   // Q(a, x) by Legendre's continued fraction, for x above a + 1
  f64 b = x + 1 - a, c = 1e300, d = 1 / b, h = d, step = 0;
  for (int k = 1; fabs(step - 1) > 1e-16 && k <= 100000; k++) {
    f64 term = -k * (k - a);
    b += 2; d = 1 / (term * d + b); c = b + term / c; step = c * d; h *= step;
  }
  return h * a * power_over_gamma(a, x);
}

// P(a, x), or UPPER Q(a, x), by Temme's uniform expansion for large a (DLMF 8.12), of whose terms the second is small beside a.
constexpr f64 LARGE = 1e6;   // from there on, where the others have thousands of terms, two are exact
template <bool UPPER> INLINE f64 of_large(f64 a, f64 x) {
  const f64 mu = (x - a) / a;
  const f64 half = fabs(mu) >= 0.01 ? mu - log1p(mu) : mu * mu * (1 / 2.0 - mu * (1 / 3.0 - mu * (1 / 4.0 - mu * (1 / 5.0 - mu * (1 / 6.0 - mu * (1 / 7.0
      - mu * (1 / 8.0 - mu / 9)))))));
  const f64 eta = copysign(sqrt(2 * half), mu), peak = exp(-a * half) / sqrt(2 * 3.14159265358979323846 * a);
  f64 rest = fabs(eta) >= 0.01 ? 1 / mu - 1 / eta : -1 / 3.0 + eta * (1 / 12.0 + eta * (-2 / 135.0 + eta * (1 / 864.0 + eta * (1 / 2835.0
      - eta * (139 / 777600.0)))));
  rest = peak ? peak * (rest - (1 / 540.0 + eta / 288) / a) : 0;
  return UPPER ? erfc(eta * sqrt(a / 2)) / 2 + rest : erfc(-eta * sqrt(a / 2)) / 2 - rest;
}

INLINE f64 not_a_number() { return infinity() - infinity(); }

struct Lower {
  INLINE f64 of(f64 a, f64 x) {
    if (!(a >= 0 && x >= 0)) return not_a_number();
    if (a == 0) return x > 0 ? 1 : not_a_number();
    if (x == 0) return 0;
    if (a == infinity()) return x == infinity() ? not_a_number() : 0;
    if (x == infinity()) return 1;
    if (a >= LARGE) return of_large<false>(a, x);
    return x < a + 1 ? lower_series(a, x) : 1 - upper_fraction(a, x);
  }
};
struct Upper {
  INLINE f64 of(f64 a, f64 x) {
    if (!(a >= 0 && x >= 0)) return not_a_number();
    if (a == 0) return x > 0 ? 0 : not_a_number();
    if (x == 0) return 1;
    if (a == infinity()) return x == infinity() ? not_a_number() : 1;
    if (x == infinity()) return 0;
    if (a >= LARGE) return of_large<true>(a, x);
    return x < a + 1 ? 1 - lower_series(a, x) : upper_fraction(a, x);
  }
};
struct J0 { INLINE f64 of(f64 x, f64) { return j0(x); } };
struct J1 { INLINE f64 of(f64 x, f64) { return j1(x); } };
struct Y0 { INLINE f64 of(f64 x, f64) { return x == 0 ? -infinity() : x < 0 ? not_a_number() : y0(x); } };
struct Y1 { INLINE f64 of(f64 x, f64) { return x == 0 ? -infinity() : x < 0 ? not_a_number() : y1(x); } };

// K0 and K1 times exp(x): Temme's series up to 2, Steed's continued fraction beyond (Temme 1975; Thompson and Barnett 1986).
INLINE void scaled_k(f64 x, f64* k0, f64* k1) {
  if (x <= 2) {
    f64 q = x * x / 4, f = 0.11593151565841244881 - log(x), p = 0.5, c = 1, k = 0, a = f, b = p, delta = f;
    while (fabs(delta) > 1e-17 * fabs(a) || k < 3) {
      k += 1; f = (k * f + 2 * p) / (k * k); p /= k; c *= q / k; delta = c * f; a += delta; b += c * (p - k * f);
    }
    *k0 = a * exp(x); *k1 = 2 * b / x * exp(x);
    return;
  }
  f64 b = 2 * (1 + x), d = 1 / b, h = d, delta = d, q1 = 0, q2 = 1, a = -0.25, q = 0.25, c = 0.25, s = 1 + q * delta, total = 1;
  for (f64 k = 2; fabs(total) > 1e-17 * fabs(s) && k < 10000; k += 1) {
    a -= 2 * (k - 1); c = -a * c / k;
    const f64 next = (q1 - b * q2) / a;
    q1 = q2; q2 = next; q += c * next; b += 2; d = 1 / (b + a * d); delta = (b * d - 1) * delta; h += delta; total = q * delta; s += total;
  }
  *k0 = sqrt(3.14159265358979323846 / (2 * x)) / s;
  *k1 = *k0 * (x + 0.5 - h / 4) / x;
}

template <bool ONE, bool SCALED> struct ModifiedK {
  INLINE f64 of(f64 x, f64) {
    if (!(x >= 0)) return not_a_number();
    if (x == 0 || x == infinity()) return x == 0 ? x + infinity() : 0;
    f64 k0, k1;
    scaled_k(x, &k0, &k1);
    return (ONE ? k1 : k0) * (SCALED ? 1 : exp(-x));
  }
};

// Airy's function at -9 ... 8, and its derivative: from the nearest of these points by the Taylor series that y'' = x y gives.
__constant__ f64 AIRY[18] = {
    -0.022133721547341404, -0.052705050356386203, 0.18428083525050564, -0.32914517362982311, 0.35076100902411432, -0.070265532949289515,
    -0.37881429367765807, 0.22740742820168558, 0.53556088329235212, 0.35502805388781724, 0.13529241631288142, 0.034924130423274379,
    0.0065911393574607191, 0.00095156385120480187, 0.00010834442813607442, 9.9476943602528896e-6, 7.4921288639971671e-7, 4.6922076160992316e-8};
__constant__ f64 AIRY_SLOPE[18] = {
    -0.97566398092633159, 0.93556093819830655, -0.77100816841012655, 0.34593548728134289, 0.32719281855444314, -0.79062857536858138,
    0.31458376921659881, 0.61825902074169104, -0.010160567116645209, -0.2588194037928068, -0.15914744129679321, -0.053090384433653632,
    -0.011912976705951318, -0.0019586409502041789, -0.00024741389086846248, -2.4765200397034955e-5, -2.008150894738792e-6, -1.3414392979067866e-7};

struct Airy {
  INLINE f64 of(f64 x, f64) {
    if (x != x || fabs(x) == infinity()) return x != x ? x : 0;
    if (-9.5 < x && x < 8.5) {
      const int at = (int)rint(x);
      const f64 t = x - at;
      f64 before = 0, a = AIRY[at + 9], b = AIRY_SLOPE[at + 9], total = a + b * t, power = t;
      for (int k = 0; k < 26; k++) {   // c[k + 2] = (at c[k] + c[k - 1]) / ((k + 1) (k + 2))
        power *= t;
        const f64 next = (at * a + before) / ((k + 1) * (k + 2));
        before = a; a = b; b = next;
        total += b * power;
      }
      return total;
    }
    f64 z = 2 * fabs(x) * sqrt(fabs(x)) / 3, term = 1, even = 1, odd = 0;
    for (int k = 1; k < 24; k++) {     // Olver, Asymptotics and Special Functions, chapter 11
      const f64 t = term * (6 * k - 5) * (6 * k - 3) * (6 * k - 1) / (216.0 * k * (2 * k - 1) * z);
      if (t > term) break;
      term = t;
      if (x > 0) even += k % 2 == 0 ? term : -term;
      else if (k % 2 == 0) even += k % 4 == 0 ? term : -term;
      else odd += k % 4 == 1 ? term : -term;
    }
    if (x > 0) return exp(-z) / (2 * sqrt(3.14159265358979323846 * sqrt(x))) * even;
    z -= 0.78539816339744830962;
    return (cos(z) * even + sin(z) * odd) / sqrt(3.14159265358979323846 * sqrt(-x));
  }
};

INLINE f64 digamma(f64 x) {   // x > 0: the recurrence up to 10, then Stirling's series
  f64 shift = 0;
  for (; x < 10; x += 1) shift -= 1 / x;
  f64 z = 1 / (x * x);
  return shift + log(x) - 0.5 / x - z * (1.0 / 12 - z * (1.0 / 120 - z * (1.0 / 252 - z * (1.0 / 240 - z * (1.0 / 132)))));
}

struct GammaSlope {   // d x / d alpha of a gamma variate x at a fixed quantile (Figurnov, Mohamed and Mnih 2018)
  INLINE f64 of(f64 alpha, f64 x) {
    f64 term = 1, harmonic = 0, total = 1, weighted = 0, k = 0;
    if (!(x < infinity() && alpha < infinity())) return not_a_number();
    if (alpha >= 1e8) {   // where the series has 10**5 terms: by Wilson and Hilferty's normal approximation of cbrt(x / alpha)
      const f64 c = cbrt(x / alpha);
      return c * c * (c + 1 / (6 * alpha) - 1.5 * (c - 1));
    }
    while (term > total * 1e-17 || k < x - alpha) {
      k += 1; term *= x / (alpha + k); harmonic += 1 / (alpha + k); total += term; weighted += term * harmonic;
    }
    return x / alpha * (weighted - total * (log(x) - digamma(alpha + 1)));
  }
};

template <class Function> INLINE void evaluate(Args& p) {
  for (i64 i = FIRST; i < p.n; i += STEP) p.out[i] = Function::of(p.first[i], p.second[i]);
}

extern "C" __global__ void __launch_bounds__(256) SYMBOL(Args args) { ENTRY(args); }
