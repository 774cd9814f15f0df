// Special functions by iteration, in float64: the regularised incomplete gamma functions, Bessel functions, and the slope of a gamma variate.

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

INLINE f64 not_a_number() { return infinity() - infinity(); }

struct Lower {
  INLINE f64 of(f64 a, f64 x) {
    if (!(a >= 0 && x >= 0)) return not_a_number();
    if (a == 0) return x > 0 ? 1 : not_a_number();
    if (x == 0) return 0;
    if (a == infinity()) return x == infinity() ? not_a_number() : 0;
    if (x == infinity()) return 1;
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
    return x < a + 1 ? 1 - lower_series(a, x) : upper_fraction(a, x);
  }
};
struct J0 { INLINE f64 of(f64 x, f64) { return j0(x); } };
struct J1 { INLINE f64 of(f64 x, f64) { return j1(x); } };
struct Y0 { INLINE f64 of(f64 x, f64) { return x == 0 ? -infinity() : x < 0 ? not_a_number() : y0(x); } };
struct Y1 { INLINE f64 of(f64 x, f64) { return x == 0 ? -infinity() : x < 0 ? not_a_number() : y1(x); } };

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
