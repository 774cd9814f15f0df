// What follows from a place alone: progressions, and the coordinates of a triangle's elements.

#include "elements.cuh"

struct Args {
  void* out;
  f64 start, step, end;
  i64 first, gap, n;                       // steps of int64 are exact
  i64 rows, columns, offset, upper;        // of the triangle
};

INLINE void whole(Args& p) {
  for (i64 i = FIRST; i < p.n; i += STEP) ((i64*)p.out)[i] = (i64)((u64)p.first + (u64)i * (u64)p.gap);
}

template <class T> INLINE void steps(Args& p) {
  for (i64 i = FIRST; i < p.n; i += STEP) ((T*)p.out)[i] = (T)(p.start + (f64)i * p.step);
}

// A value is rounded once: of float32, whose step is one too, the product is exact in float64.
template <class T> INLINE void put(T* out, f64 i, f64 step, f64 from) { *out = (T)(from + i * step); }
INLINE void put(f64* out, f64 i, f64 step, f64 from) { *out = fma(i, step, from); }

// Counted from the nearer end, so that both ends are exact.
template <class T> INLINE void between(Args& p) {
  for (i64 i = FIRST; i < p.n; i += STEP) {
    bool late = i > 0 && i >= p.n / 2;
    put((T*)p.out + i, late ? -(f64)(p.n - 1 - i) : (f64)i, p.step, late ? p.end : p.start);
  }
}

// How many elements of the lower triangle lie in rows before `row`: each row has one more than the one before, between 0 and `columns`.
INLINE i64 before(i64 row, i64 columns, i64 offset) {
  i64 first = offset < 0 ? -offset : 0, full = columns - offset;   // the first row that has elements; the first behind those that still grow
  i64 last = row < full ? row : full, n = 0;
  if (last > first) n = (first + offset + 1 + last + offset) * (last - first) / 2;
  if (row > full && row > 0) n += (row - (full > 0 ? full : 0)) * columns;
  return n;
}

INLINE i64 counted(Args& p, i64 row) {
  return p.upper ? row * p.columns - before(row, p.columns, p.offset - 1) : before(row, p.columns, p.offset);
}

// Rows and columns of a triangle's elements, row by row: out is [2][n].
INLINE void triangle(Args& p) {
  i64* out = (i64*)p.out;
  for (i64 i = FIRST; i < p.n; i += STEP) {
    i64 low = 0, high = p.rows - 1;        // the last row with at most i elements before it
    while (low < high) {
      i64 middle = (low + high + 1) / 2;
      if (counted(p, middle) <= i) low = middle; else high = middle - 1;
    }
    i64 first = p.upper && low + p.offset > 0 ? low + p.offset : 0;
    out[i] = low;
    out[p.n + i] = first + i - counted(p, low);
  }
}

extern "C" __global__ void __launch_bounds__(256) SYMBOL(Args args) { ENTRY(args); }
