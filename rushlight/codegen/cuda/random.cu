// Random numbers by the counter-based generator Philox 4x32-10 (Salmon et al., 2011): numbers follow from seed, call and element alone, so they
// are the same for any launch.
//
// Simple streams take their words from one block of four for two or four neighbouring elements; samplers that reject draw from a stream of
// their own for each element.

#include "elements.cuh"

struct Args {
  void* out; const void* first; const void* second;   // parameters: one for each element, or null for the numbers a and b
  f64 a, b;
  i64 n, seed, call, base, modulus;
  f64 floor;                                           // least value of a sampler
  const u64* stream;                                   // in a captured graph: where seed and number of its first call stand (`call` counts from there)
};

INLINE void philox(u32 x[4], u64 seed) {
  u32 k0 = (u32)seed, k1 = (u32)(seed >> 32);
  #pragma unroll
  for (int round = 0; round < 10; round++) {
    u64 p0 = (u64)0xD2511F53u * x[0], p1 = (u64)0xCD9E8D57u * x[2];
    u32 y0 = (u32)(p1 >> 32) ^ x[1] ^ k0, y2 = (u32)(p0 >> 32) ^ x[3] ^ k1;
    x[0] = y0; x[1] = (u32)p1; x[2] = y2; x[3] = (u32)p0;
    k0 += 0x9E3779B9u; k1 += 0xBB67AE85u;
  }
}

// The block of words number `index` of a call; `turn` distinguishes what one element draws one after the other.
struct Words {
  u32 w[4];
  MEMBER Words(Args& p, u64 index, u32 turn) {
    u64 call = (u64)p.call + (p.stream ? p.stream[1] : 0);
    w[0] = (u32)index; w[1] = (u32)(index >> 32) ^ turn << 8; w[2] = (u32)call; w[3] = (u32)(call >> 32);
    philox(w, p.stream ? p.stream[0] : (u64)p.seed);
  }
  MEMBER u64 wide(int i) { return (u64)w[2 * i] << 32 | w[2 * i + 1]; }
};

template <class A> struct unit;   // [0, 1) with as many bits as the type has
template <> struct unit<f32> { INLINE f32 of(u32 w) { return (f32)(w >> 8) * (1.0f / 16777216); } };
template <> struct unit<f64> { INLINE f64 of(u64 w) { return (f64)(w >> 11) * (1.0 / 9007199254740992.0); } };

INLINE f32 log_of(f32 x) { return logf(x); }
INLINE f64 log_of(f64 x) { return log(x); }
INLINE f32 root(f32 x) { return sqrtf(x); }
INLINE f64 root(f64 x) { return sqrt(x); }
INLINE void turn(f32 angle, f32* s, f32* c) { *s = sinf(angle); *c = cosf(angle); }
INLINE void turn(f64 angle, f64* s, f64* c) { *s = sin(angle); *c = cos(angle); }

template <class T, class A> INLINE A parameter(const void* array, i64 i, f64 number) { return array ? as<A>(((const T*)array)[i]) : (A)number; }

// -- streams of functions of one uniform number, and pairs of normal ones --
struct Uniform {   // rounding must not reach the end of the range
  template <class T, class A> INLINE T of(A u, A low, A high) { T x = as<T>(fma_of(u, high - low, low)); return as<A>(x) < high ? x : as<T>(low); }
};
struct Exponential {
  template <class T, class A> INLINE T of(A u, A rate, A) { return as<T>(most(-log_of(1 - u), (A)5.9604645e-8) / rate); }
};
struct Geometric {
  template <class T, class A> INLINE T of(A u, A p, A) { return as<T>(most((A)1, (A)ceil(log_of(1 - u) / (A)log1p(-(f64)p)))); }
};
struct Cauchy {
  template <class T, class A> INLINE T of(A u, A median, A sigma) { return as<T>(fma_of(sigma, (A)tan(3.14159265358979323846 * ((f64)u - 0.5)), median)); }
};
struct Bernoulli {
  template <class T, class A> INLINE T of(A u, A p, A) { return as<T>((A)(u < p)); }
};

template <class A> struct per_block { static constexpr int N = 16 / sizeof(A); };

// P: the type of parameters that are arrays.
template <class T, class A, class P, class Stream> INLINE void simple(Args& p) {
  constexpr int N = per_block<A>::N;
  for (i64 block = FIRST; block * N < p.n; block += STEP) {
    Words words(p, block, 0);
    #pragma unroll
    for (int j = 0; j < N; j++) {
      i64 i = block * N + j;
      if (i >= p.n) break;
      A u = sizeof(A) == 4 ? (A)unit<f32>::of(words.w[j]) : (A)unit<f64>::of(words.wide(j % 2));
      ((T*)p.out)[i] = Stream::template of<T, A>(u, parameter<P, A>(p.first, i, p.a), parameter<P, A>(p.second, i, p.b));
    }
  }
}

template <class T, class A, class P, bool LOGARITHM> INLINE void normal(Args& p) {   // Box and Muller
  constexpr int N = per_block<A>::N;
  for (i64 block = FIRST; block * N < p.n; block += STEP) {
    Words words(p, block, 0);
    #pragma unroll
    for (int j = 0; j < N; j += 2) {
      A u = sizeof(A) == 4 ? (A)unit<f32>::of(words.w[j]) : (A)unit<f64>::of(words.wide(0));
      A v = sizeof(A) == 4 ? (A)unit<f32>::of(words.w[j + 1]) : (A)unit<f64>::of(words.wide(1));
      A radius = root(-2 * log_of(1 - u)), z[2];
      turn((A)6.28318530717958647692 * v, &z[1], &z[0]);
      for (int l = 0; l < 2; l++) {
        i64 i = block * N + j + l;
        if (i >= p.n) break;
        A x = fma_of(radius * z[l], parameter<P, A>(p.second, i, p.b), parameter<P, A>(p.first, i, p.a));
        ((T*)p.out)[i] = as<T>(LOGARITHM ? (A)exp((f64)x) : x);
      }
    }
  }
}

template <class T, bool WIDE> INLINE void integers(Args& p) {   // base + word % modulus; a modulus of 0 takes all words
  constexpr int N = WIDE ? 2 : 4;
  for (i64 block = FIRST; block * N < p.n; block += STEP) {
    Words words(p, block, 0);
    #pragma unroll
    for (int j = 0; j < N; j++) {
      i64 i = block * N + j;
      if (i >= p.n) break;
      u64 w = WIDE ? words.wide(j % 2) : words.w[j];
      if (p.modulus) w = WIDE ? w % (u64)p.modulus : (u32)w % (u32)p.modulus;
      ((T*)p.out)[i] = as<T>((i64)w + p.base);
    }
  }
}

// -- samplers --
struct Draw {
  Args& p; u64 element; u32 turn;
  MEMBER f64 operator()() { Words words(p, element, ++turn); return unit<f64>::of(words.wide(0)); }
  MEMBER f64 normal() {
    Words words(p, element, ++turn);
    return sqrt(-2 * log1p(-unit<f64>::of(words.wide(0)))) * cos(6.28318530717958647692 * unit<f64>::of(words.wide(1)));
  }
};

struct Poisson {   // products of uniforms for small rates, else Hoermann's transformed rejection PTRS (1993)
  INLINE f64 of(Draw& draw, f64 rate, f64) {
    if (rate < 10) {
      if (rate == 0) return 0;
      f64 k = 0, product = draw(), bound = exp(-rate);
      for (; product > bound; product *= draw()) k++;
      return k;
    }
    f64 b = 0.931 + 2.53 * sqrt(rate), a = -0.059 + 0.02483 * b, inverse_alpha = 1.1239 + 1.1328 / (b - 3.4), v_r = 0.9277 - 3.6224 / (b - 2);
    for (;;) {
      f64 u = draw() - 0.5, v = draw(), us = 0.5 - fabs(u), k = floor((2 * a / us + b) * u + rate + 0.43);
      if (us >= 0.07 && v <= v_r) return k;
      if (k < 0 || (us < 0.013 && v > us)) continue;
      if (log(v) + log(inverse_alpha) - log(a / (us * us) + b) <= -rate + k * log(rate) - lgamma(k + 1)) return k;
    }
  }
};

INLINE f64 stirling_tail(f64 k) {
  f64 x = k + 1;
  if (k <= 9) return lgamma(x) - (0.91893853320467274178 + (k + 0.5) * log(x) - x);
  return (1.0 / 12 - (1.0 / 360 - 1.0 / 1260 / (x * x)) / (x * x)) / x;
}

struct Binomial {   // geometric gaps between successes, or Hoermann's transformed rejection BTRS (1993)
  INLINE f64 gaps(Draw& draw, f64 count, f64 p) {
    f64 reached = 0, successes = 0;
    for (;; successes++) {
      reached += ceil(log(1 - draw()) / log1p(-p));
      if (reached > count) return successes;
    }
  }
  INLINE f64 rejection(Draw& draw, f64 count, f64 p) {
    f64 deviation = sqrt(count * p * (1 - p)), b = 1.15 + 2.53 * deviation, a = -0.0873 + 0.0248 * b + 0.01 * p, centre = count * p + 0.5;
    f64 v_r = 0.92 - 4.2 / b, odds = p / (1 - p), alpha = (2.83 + 5.1 / b) * deviation, mode = floor((count + 1) * p);
    for (;;) {
      f64 u = draw() - 0.5, v = draw(), us = 0.5 - fabs(u), k = floor((2 * a / us + b) * u + centre);
      if (us >= 0.07 && v <= v_r) return k;
      if (k < 0 || k > count) continue;
      f64 bound = (mode + 0.5) * log((mode + 1) / (odds * (count - mode + 1))) + (count + 1) * log((count - mode + 1) / (count - k + 1))
          + (k + 0.5) * log(odds * (count - k + 1) / (k + 1)) + stirling_tail(mode) + stirling_tail(count - mode) - stirling_tail(k)
          - stirling_tail(count - k);
      if (log(v * alpha / (a / (us * us) + b)) <= bound) return k;
    }
  }
  INLINE f64 of(Draw& draw, f64 count, f64 p) {
    if (p != p || count != count) return p + count;
    if (count <= 0 || p <= 0) return 0;
    if (p >= 1) return count;
    f64 q = p > 0.5 ? 1 - p : p, k = count * q >= 10 ? rejection(draw, count, q) : gaps(draw, count, q);
    return p > 0.5 ? count - k : k;
  }
};

struct Gamma {   // Marsaglia and Tsang (2000), raised by one below 1
  INLINE f64 of(Draw& draw, f64 alpha, f64) {
    f64 scale = 1;
    if (alpha != alpha) return alpha;
    if (alpha == 0) return 0;
    if (alpha < 1) { scale = pow(1 - draw(), 1 / alpha); alpha += 1; }
    f64 d = alpha - 1.0 / 3, c = 1 / sqrt(9 * d);
    for (;;) {
      f64 x, y;
      do { x = draw.normal(); y = 1 + c * x; } while (y <= 0);
      f64 v = y * y * y, u = 1 - draw();
      if (u < 1 - 0.0331 * (x * x) * (x * x) || log(u) < 0.5 * (x * x) + d * (1 - v + log(v))) return scale * d * v;
    }
  }
};

template <class T, class P, class Sampler> INLINE void sampled(Args& p) {
  for (i64 i = FIRST; i < p.n; i += STEP) {
    Draw draw = {p, (u64)i, 0};
    f64 x = Sampler::of(draw, parameter<P, f64>(p.first, i, p.a), parameter<P, f64>(p.second, i, p.b));
    ((T*)p.out)[i] = as<T>(x < p.floor ? p.floor : x);
  }
}

// Says where a captured graph's next replay begins.
INLINE void begin(Args& p) {
  if (FIRST == 0) { ((u64*)p.out)[0] = (u64)p.seed; ((u64*)p.out)[1] = (u64)p.call; }
}

extern "C" __global__ void __launch_bounds__(256) SYMBOL(Args args) { ENTRY(args); }
