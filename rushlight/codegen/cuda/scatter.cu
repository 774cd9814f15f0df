// Writes whose elements may meet at one place, in the order of the elements: the same bits on every device.
//
// Dims are of two kinds: along `still` ones the target stands still and the offsets decide, along `moving` ones it moves on, so that elements do not
// meet. `in_order` gives each moving position a thread that goes through the still ones. Where those are many, `keys` writes down where each
// element goes, the keys are sorted, and `in_segments` gives each place a thread for its elements.

#include "elements.cuh"

struct Args {
  void* target; const void* values; const void* offsets;
  i64 still, moving, still_rank, moving_rank;
  i64 sizes[64];                                       // still dims, then moving ones, inner first
  i64 target_stride[64]; i64 value_stride[64]; i64 offset_stride[64];   // bytes
  u64* keys; const i64* order; i64 count;              // sorted: count keys, and the element of each
  i64 together;                                        // an element of the sorted list is a still position (else still and moving: still * moving + moving)
};

struct Place { i64 target, value, offset; };

// I: int where all counts fit into it, else i64.
template <class I> INLINE Place still_place(Args& p, I s) {
  Place at = {0, 0, 0};
  for (int d = 0; d < p.still_rank; d++) {
    const I size = (I)p.sizes[d], q = s / size, c = s - q * size;
    at.value += (i64)c * p.value_stride[d]; at.offset += (i64)c * p.offset_stride[d];
    s = q;
  }
  return at;
}
template <class I> INLINE Place moving_place(Args& p, I m) {
  Place at = {0, 0, 0};
  for (int d = (int)p.still_rank; d < p.still_rank + p.moving_rank; d++) {
    const I size = (I)p.sizes[d], q = m / size, c = m - q * size;
    at.target += (i64)c * p.target_stride[d]; at.value += (i64)c * p.value_stride[d]; at.offset += (i64)c * p.offset_stride[d];
    m = q;
  }
  return at;
}
INLINE Place operator+(Place a, Place b) { return {a.target + b.target, a.value + b.value, a.offset + b.offset}; }

struct Set { template <class A> INLINE A of(A, A b) { return b; } };
struct Add { template <class A> INLINE A of(A a, A b) { return a + b; } };
struct Mul { template <class A> INLINE A of(A a, A b) { return a * b; } };
struct Or { template <class A> INLINE A of(A a, A b) { return a | b; } };
struct Max { template <class A> INLINE A of(A a, A b) { return a != a ? a : b != b ? b : a < b ? b : a; } };
struct Min { template <class A> INLINE A of(A a, A b) { return a != a ? a : b != b ? b : b < a ? b : a; } };

template <class T, class A, class Op, class I> INLINE void in_order(Args& p) {
  for (i64 m = FIRST; m < p.moving; m += STEP) {
    Place base = moving_place<I>(p, (I)m);
    for (i64 s = 0; s < p.still; s++) {
      Place at = base + still_place<I>(p, (I)s);
      T* to = (T*)((char*)p.target + at.target + *(const i64*)((const char*)p.offsets + at.offset));
      *to = as<T>(Op::of(as<A>(*to), as<A>(*(const T*)((const char*)p.values + at.value))));
    }
  }
}

template <class I> INLINE void keys(Args& p) {
  for (i64 i = FIRST; i < p.count; i += STEP) {
    Place at = p.together ? still_place<I>(p, (I)i) : still_place<I>(p, (I)i / (I)p.moving) + moving_place<I>(p, (I)i % (I)p.moving);
    p.keys[i] = (u64)(at.target + *(const i64*)((const char*)p.offsets + at.offset));
  }
}

template <class T, class A, class Op, class I> INLINE void in_segments(Args& p) {
  const I each = p.together ? (I)p.moving : 1;
  for (i64 e = FIRST; e < p.count * each; e += STEP) {
    i64 i = (I)e / each;
    const u64 key = p.keys[i];
    if (i > 0 && p.keys[i - 1] == key) continue;
    Place base = p.together ? moving_place<I>(p, (I)e % each) : Place{0, 0, 0};
    T* to = (T*)((char*)p.target + base.target + key);
    A value = as<A>(*to);
    for (; i < p.count && p.keys[i] == key; i++) {
      i64 o = p.order[i];
      Place at = p.together ? still_place<I>(p, (I)o) + base : still_place<I>(p, (I)o / (I)p.moving) + moving_place<I>(p, (I)o % (I)p.moving);
      value = as<A>(as<T>(Op::of(value, as<A>(*(const T*)((const char*)p.values + at.value)))));
    }
    *to = as<T>(value);
  }
}

extern "C" __global__ void __launch_bounds__(256) SYMBOL(Args args) { ENTRY(args); }
