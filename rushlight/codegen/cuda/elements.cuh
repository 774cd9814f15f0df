// What the library kernels share: the elements' types and their conversions, complex numbers, positions in a grid. Included as text.
//
// Every kernel takes one struct whose members are 8 bytes each. Its file ends with an entry that calls ENTRY, a template with its arguments.

#define MEMBER __device__ __forceinline__   // of a struct

struct bf16 {
  u16 bits;
  bf16() = default;
  MEMBER bf16(f32 x) : bits(to_bf16(x)) {}
  MEMBER operator f32() const { return from_bf16(bits); }
};

struct f16 {
  u16 bits;
  f16() = default;
  MEMBER f16(f32 x) : bits(to_f16(x)) {}
  MEMBER operator f32() const { return from_f16(bits); }
};

template <class T> struct complex {
  T re, im;
  complex() = default;
  MEMBER complex(T r, T i = 0) : re(r), im(i) {}
};
typedef complex<f32> c64; typedef complex<f64> c128;
template <class T> INLINE complex<T> operator+(complex<T> a, complex<T> b) { return {a.re + b.re, a.im + b.im}; }
template <class T> INLINE complex<T> operator-(complex<T> a, complex<T> b) { return {a.re - b.re, a.im - b.im}; }
template <class T> INLINE complex<T> operator-(complex<T> a) { return {-a.re, -a.im}; }
template <class T> INLINE complex<T> operator*(complex<T> a, complex<T> b) { return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re}; }
template <class T> INLINE complex<T> operator/(complex<T> a, complex<T> b) {
  T s = 1 / (b.re * b.re + b.im * b.im);
  return {(a.re * b.re + a.im * b.im) * s, (a.im * b.re - a.re * b.im) * s};
}
template <class T> INLINE bool operator==(complex<T> a, complex<T> b) { return a.re == b.re && a.im == b.im; }

// -- generic arithmetic: a number of type A from one of type T, a factor given as two doubles, conjugation, a * b + c --
template <class A, class T> struct convert { INLINE A of(T x) { return (A)x; } };
template <class A> struct convert<A, bf16> { INLINE A of(bf16 x) { return (A)(f32)x; } };
template <class A> struct convert<A, f16> { INLINE A of(f16 x) { return (A)(f32)x; } };
template <class T> struct convert<complex<T>, complex<T>> { INLINE complex<T> of(complex<T> x) { return x; } };
template <class T> struct convert<bf16, T> { INLINE bf16 of(T x) { return bf16((f32)x); } };
template <class T> struct convert<f16, T> { INLINE f16 of(T x) { return f16((f32)x); } };
template <> struct convert<bf16, bf16> { INLINE bf16 of(bf16 x) { return x; } };
template <> struct convert<f16, f16> { INLINE f16 of(f16 x) { return x; } };
template <> struct convert<bf16, f16> { INLINE bf16 of(f16 x) { return bf16((f32)x); } };
template <> struct convert<f16, bf16> { INLINE f16 of(bf16 x) { return f16((f32)x); } };
template <class A, class T> INLINE A as(T x) { return convert<A, T>::of(x); }

template <class A> struct factor { INLINE A of(f64 re, f64 im) { return (A)re; } };
template <class T> struct factor<complex<T>> { INLINE complex<T> of(f64 re, f64 im) { return {(T)re, (T)im}; } };

template <class A> INLINE A conjugate(A x) { return x; }
template <class T> INLINE complex<T> conjugate(complex<T> x) { return {x.re, -x.im}; }

template <class A> INLINE A fma_of(A a, A b, A c) { return a * b + c; }
INLINE f32 fma_of(f32 a, f32 b, f32 c) { return fmaf(a, b, c); }
INLINE f64 fma_of(f64 a, f64 b, f64 c) { return fma(a, b, c); }
template <class T> INLINE complex<T> fma_of(complex<T> a, complex<T> b, complex<T> c) {
  return {fma_of(a.re, b.re, fma_of(-a.im, b.im, c.re)), fma_of(a.re, b.im, fma_of(a.im, b.re, c.im))};
}

INLINE f64 infinity() { return bits_as<f64>((u64)0x7ff0000000000000); }

// The integer of so many bytes.
template <int BYTES> struct Unsigned;
template <> struct Unsigned<1> { typedef u8 type; };
template <> struct Unsigned<2> { typedef u16 type; };
template <> struct Unsigned<4> { typedef u32 type; };
template <> struct Unsigned<8> { typedef u64 type; };

// -- the first index of this thread in a loop over elements, and the distance to its next --
#define FIRST ((i64)blockIdx.x * blockDim.x + threadIdx.x)
#define STEP ((i64)gridDim.x * blockDim.x)
template <class T> INLINE T least(T a, T b) { return b < a ? b : a; }
template <class T> INLINE T most(T a, T b) { return a < b ? b : a; }
INLINE i64 ceil_div(i64 a, i64 b) { return (a + b - 1) / b; }

// The value of the lane ``by`` places to the left (of this one where there is none), and that of lane ``from``; of types of 4, 8 ... bytes.
template <class V, class Move> INLINE V moved(V v, Move move) {
  constexpr int WORDS = sizeof(V) / 4;
  u32 words[WORDS];
  memcpy(words, &v, sizeof(V));
  #pragma unroll
  for (int i = 0; i < WORDS; i++) words[i] = move(words[i]);
  memcpy(&v, words, sizeof(V));
  return v;
}
template <class V> INLINE V from_left(V v, int by) { return moved(v, [=](u32 w) { return __shfl_up_sync(~0u, w, by); }); }
template <class V> INLINE V from_lane(V v, int from) { return moved(v, [=](u32 w) { return __shfl_sync(~0u, w, from); }); }
