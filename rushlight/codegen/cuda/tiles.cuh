// Products of matrices that are read and written through *operands*: one loop nest for matrix products and convolutions. Included as text.
//
// The left operand has rows s and depth k, the right one columns s and depth k. An operand says what element (s, k) is: `row(s)` and `col(k)` find
// the two halves of its address, `at(row, col)` reads it, `next_row`, `next_col` step to the neighbours, `deep` tells which neighbours lie side by
// side in memory. A result `put(r, s, value)` takes the sums. They are made in the order of k, whatever the launch.

template <class T> struct Strided {   // a matrix with any strides, from row `first` on, where p points; what lies outside is 0
  const T* p; i64 first; int rows, depth; i64 row_stride, col_stride; bool conjugated;
  typedef T type; typedef int Row; typedef int Col;
  MEMBER bool deep() { return col_stride == 1; }
  MEMBER Row row(i64 s) { return s - first < rows ? (int)(s - first) : -1; }
  MEMBER Col col(i64 k) { return k < depth ? (int)k : -1; }
  MEMBER void next_row(Row& r) { r = r >= 0 && r + 1 < rows ? r + 1 : -1; }
  MEMBER void next_col(Col& c) { c = c >= 0 && c + 1 < depth ? c + 1 : -1; }
  MEMBER T at(Row r, Col c) { return r >= 0 && c >= 0 ? p[r * row_stride + c * col_stride] : T(0); }
  template <int N> MEMBER bool run(Row r, Col c, u32* x) {   // N neighbours in one access, where memory allows
    i64 across = deep() ? row_stride : col_stride, last = deep() ? c + N : r + N;
    if ((deep() ? 1 : row_stride) != 1 || ((u64)p | (u64)(across * sizeof(T))) % 16 || r < 0 || c < 0 || last > (deep() ? depth : rows)) return false;
    memcpy(x, __builtin_assume_aligned(p + r * row_stride + c * col_stride, 16), 16);
    return true;
  }
};

template <class Op> struct Swapped {   // the same operand with rows and depth exchanged
  Op op;
  typedef typename Op::type type; typedef typename Op::Col Row; typedef typename Op::Row Col;
  static constexpr bool conjugated = false;
  MEMBER bool deep() { return !op.deep(); }
  MEMBER Row row(i64 s) { return op.col(s); }
  MEMBER Col col(i64 k) { return op.row(k); }
  MEMBER void next_row(Row& r) { op.next_col(r); }
  MEMBER void next_col(Col& c) { op.next_row(c); }
  MEMBER type at(Row r, Col c) { return op.at(c, r); }
  template <int N> MEMBER bool run(Row, Col, u32*) { return false; }
};

// -- on threads: each of 256 computes R x R elements of a (16 R) x (16 R) tile at (m0, n0), in type A --
template <class A, int R, class X, class Y, class Z> INLINE void thread_tile(X x_op, Y y_op, Z z, i64 m, i64 n, i64 m0, i64 n0, i64 k_begin, i64 k_end) {
  constexpr int SIDE = 16 * R, DEPTH = 16, LOADS = SIDE * DEPTH / 256;
  __shared__ A x_tile[DEPTH][SIDE + 1];
  __shared__ A y_tile[DEPTH][SIDE + 1];
  const int t = threadIdx.x, column = t % 16, row = t / 16;
  const bool deep_x = x_op.deep(), deep_y = y_op.deep();   // neighbouring threads read neighbouring elements
  typename X::Row x_rows[LOADS];
  typename Y::Row y_rows[LOADS];
  #pragma unroll
  for (int l = 0; l < LOADS; l++) {
    int e = l * 256 + t;
    x_rows[l] = x_op.row(m0 + (deep_x ? e / DEPTH : e % SIDE));
    y_rows[l] = y_op.row(n0 + (deep_y ? e / DEPTH : e % SIDE));
  }
  A sums[R][R];
  for (int i = 0; i < R; i++) for (int j = 0; j < R; j++) sums[i][j] = A(0);
  for (i64 k0 = k_begin; k0 < k_end; k0 += DEPTH) {
    #pragma unroll
    for (int l = 0; l < LOADS; l++) {
      int e = l * 256 + t;
      int k = deep_x ? e % DEPTH : e / SIDE, s = deep_x ? e / DEPTH : e % SIDE;
      A x = k0 + k < k_end ? as<A>(x_op.at(x_rows[l], x_op.col(k0 + k))) : A(0);
      x_tile[k][s] = x_op.conjugated ? conjugate(x) : x;
      k = deep_y ? e % DEPTH : e / SIDE; s = deep_y ? e / DEPTH : e % SIDE;
      x = k0 + k < k_end ? as<A>(y_op.at(y_rows[l], y_op.col(k0 + k))) : A(0);
      y_tile[k][s] = y_op.conjugated ? conjugate(x) : x;
    }
    __syncthreads();
    #pragma unroll 4
    for (int k = 0; k < DEPTH; k++) {
      A x[R], y[R];
      #pragma unroll
      for (int i = 0; i < R; i++) { x[i] = x_tile[k][row + 16 * i]; y[i] = y_tile[k][column + 16 * i]; }
      #pragma unroll
      for (int i = 0; i < R; i++)
        #pragma unroll
        for (int j = 0; j < R; j++) sums[i][j] = fma_of(x[i], y[j], sums[i][j]);
    }
    __syncthreads();
  }
  for (int i = 0; i < R; i++)
    for (int j = 0; j < R; j++) {
      i64 r = m0 + row + 16 * i, s = n0 + column + 16 * j;
      if (r < m && s < n) z.put(r, s, sums[i][j]);
    }
}

// -- on tensor cores: one piece of work for a warp, 16 x 8 of the result --
//
// The host's twin gathers the operands' fragments from the lanes that hold them (layouts as in the PTX manual, m16n8k16 and m16n8k8), adds the exact
// products, and cuts what a float32 has no bits for, as tensor cores do; of a float32 they take the leading bits.
#ifndef __CUDA_ARCH__
template <class T> INLINE f64 dot_of_words(u32 a, u32 b) {
  const f64 low = (f64)(f32)bits_as<T>((u16)a) * (f32)bits_as<T>((u16)b);
  return low + (f64)(f32)bits_as<T>((u16)(a >> 16)) * (f32)bits_as<T>((u16)(b >> 16));
}
template <> MEMBER f64 dot_of_words<f32>(u32 a, u32 b) { return (f64)bits_as<f32>(a & 0xffffe000u) * bits_as<f32>(b & 0xffffe000u); }
INLINE f32 cut(f64 x) {
  const f32 near = (f32)x;
  return fabs((f64)near) > fabs(x) && near - near == 0 ? bits_as<f32>(bits_as<u32>(near) - 1) : near;
}
struct Fragments { u32 a[4], b[2]; };
template <class T> INLINE void multiply(f32 c[4], const u32 a[4], const u32 b[2]) {
  const int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
  Fragments of[32];
  shim::gathered(Fragments{{a[0], a[1], a[2], a[3]}, {b[0], b[1]}}, of);
  f64 sums[4] = {c[0], c[1], c[2], c[3]};
  for (int half = 0; half < 2; half++)
    for (int j = 0; j < 4; j++) {
      u32 low = of[4 * g + j].a[2 * half], high = of[4 * g + j].a[2 * half + 1];
      u32 left = of[8 * t + j].b[half], right = of[8 * t + 4 + j].b[half];
      sums[0] += dot_of_words<T>(low, left); sums[1] += dot_of_words<T>(low, right);
      sums[2] += dot_of_words<T>(high, left); sums[3] += dot_of_words<T>(high, right);
    }
  for (int i = 0; i < 4; i++) c[i] = cut(sums[i]);
}
#else
template <class T> INLINE void multiply(f32 c[4], const u32 a[4], const u32 b[2]);
#define TENSOR_MULTIPLY(T, SHAPE, KIND)                                                                                              \
  template <> MEMBER void multiply<T>(f32 c[4], const u32 a[4], const u32 b[2]) {                                                    \
    asm volatile("mma.sync.aligned." SHAPE ".row.col.f32." KIND "." KIND ".f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};" \
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));          \
  }
TENSOR_MULTIPLY(bf16, "m16n8k16", "bf16")
TENSOR_MULTIPLY(f16, "m16n8k16", "f16")
TENSOR_MULTIPLY(f32, "m16n8k8", "tf32")
#endif

// -- from memory to shared memory without registers between, and from there to fragments --
//
// `fetch` asks for 16 bytes, `arrived` waits for all that this thread asked for. `matrices` gives four 8 x 8 matrices of 16-bit elements, neighbours in
// a tile whose rows take ROW words, from (row, word) on: to lane 4 g + t the elements 2 t, 2 t + 1 of row g, or, TURNED, of column g. The first and the
// second matrix lie one below the other, the third and fourth eight columns on.
#ifdef __CUDA_ARCH__
INLINE u32 in_shared(const void* p) {
  u32 address;
  asm("{ .reg .u64 a; cvta.to.shared.u64 a, %1; cvt.u32.u64 %0, a; }" : "=r"(address) : "l"(p));
  return address;
}
INLINE void fetch(void* to, const void* from) { asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" :: "r"(in_shared(to)), "l"(from) : "memory"); }
INLINE void arrived() { asm volatile("cp.async.wait_all;" ::: "memory"); }
template <int ROW, bool TURNED> INLINE void matrices(u32 x[4], const u32* tile, int row, int word) {
  const int lane = threadIdx.x % 32;
  const u32 mine = in_shared(tile + lane % 16 * ROW + lane / 16 * 4) + 4 * (row * ROW + word);   // what loops change is added to 32 bits
  if (TURNED)
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
        : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3]) : "r"(mine) : "memory");
  else
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
        : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3]) : "r"(mine) : "memory");
}
#else
static struct { void* to; const void* from; } asked[256][64];   // they arrive as late as they may
static int waiting[256];
INLINE void fetch(void* to, const void* from) { asked[threadIdx.x][waiting[threadIdx.x]++] = {to, from}; }
INLINE void arrived() {
  for (int i = 0; i < waiting[threadIdx.x]; i++) memcpy(asked[threadIdx.x][i].to, asked[threadIdx.x][i].from, 16);
  waiting[threadIdx.x] = 0;
}
template <int ROW, bool TURNED> INLINE void matrices(u32 x[4], const u32* tile, int row, int word) {
  const int g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
  for (int i = 0; i < 4; i++) {
    const u32* at = tile + (row + i % 2 * 8) * ROW + word + i / 2 * 4;
    if (TURNED) x[i] = ((const u16*)(at + 2 * t * ROW))[g] | (u32)((const u16*)(at + (2 * t + 1) * ROW))[g] << 16;
    else x[i] = at[g * ROW + t];
  }
}
#endif

// To tf32: 10 bits of fraction. A NaN stays one: that of a GPU has all bits set, and would carry over to a zero.
INLINE f32 rounded(f32 x) { return bits_as<f32>(x == x ? (bits_as<u32>(x) + 0x1000u) & 0xffffe000u : 0x7fffe000u); }

// A tile of 128 x 128 belongs to a block of eight warps, 64 x 32 of it to a warp. Tiles of the operands are 64 bytes of k deep; a row takes 80
// bytes, so that the 32 lanes of a warp read their fragments from 32 different banks.
constexpr int TILE = 128, TILE_ROW = 20;

INLINE u32 word_of(f32 x) { return bits_as<u32>(x); }
INLINE u32 word_of(bf16 x) { return x.bits; }
INLINE u32 word_of(f16 x) { return x.bits; }

INLINE void store_words(u32* to, const u32 x[4]) { *(Pack<u32, 4>*)to = {x[0], x[1], x[2], x[3]}; }

template <class Op> struct Share {   // of a tile: two runs of 16 bytes along k or, where memory runs across, along the other dim
  typedef typename Op::type T;
  static constexpr int N = 16 / sizeof(T), DEPTH = 64 / sizeof(T), EACH = 4 / sizeof(T);   // EACH: elements in a word
  typename Op::Row rows[2];
  u32 x[2][4];
  MEMBER void start(Op& op, i64 first) {
    #pragma unroll
    for (int r = 0; r < 2; r++) { int e = r * 256 + threadIdx.x; rows[r] = op.row(first + (op.deep() ? e / 4 : e % (TILE / N) * N)); }
  }
  MEMBER void load(Op& op, i64 k0) {
    const bool deep = op.deep();
    #pragma unroll
    for (int r = 0; r < 2; r++) {
      int e = r * 256 + threadIdx.x;
      typename Op::Row row = rows[r];
      typename Op::Col col = op.col(k0 + (deep ? e % 4 * N : e / (TILE / N)));
      if (op.template run<N>(row, col, x[r])) continue;
      #pragma unroll
      for (int i = 0; i < N; i++) {
        const u32 bits = word_of(op.at(row, col)) << (i % EACH * 16);
        x[r][i / EACH] = i % EACH ? x[r][i / EACH] | bits : bits;
        if (deep) op.next_col(col); else op.next_row(row);
      }
    }
  }
  MEMBER void store(u32 (*tile)[TILE_ROW], bool deep) {
    #pragma unroll
    for (int r = 0; r < 2; r++) {
      int e = r * 256 + threadIdx.x;
      if (sizeof(T) == 4) for (int i = 0; i < 4; i++) x[r][i] = word_of(rounded(bits_as<f32>(x[r][i])));
      if (deep) {
        store_words(tile[e / 4] + e % 4 * 4, x[r]);
        continue;
      }
      #pragma unroll
      for (int i = 0; i < N; i++) {
        u32* const to = tile[e % (TILE / N) * N + i];
        if (sizeof(T) == 4) to[e / (TILE / N)] = x[r][i / EACH];
        else ((u16*)to)[e / (TILE / N)] = (u16)(x[r][i / EACH] >> (i % EACH * 16));
      }
    }
  }
};

// k_begin and k_end - k_begin (but for the last stretch) are multiples of 64.
template <class X, class Y, class Z> INLINE void tensor_tile(X x_op, Y y_op, Z z, i64 m, i64 n, i64 m0, i64 n0, i64 k_begin, i64 k_end) {
  typedef typename X::type T;
  __shared__ __align__(16) u32 x_tile[TILE][TILE_ROW];
  __shared__ __align__(16) u32 y_tile[TILE][TILE_ROW];
  constexpr int DEPTH = Share<X>::DEPTH;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, t = lane % 4, m1 = warp / 4 * 64, n1 = warp % 4 * 32;
  f32 sums[4][4][4];
  for (int i = 0; i < 4; i++) for (int j = 0; j < 4; j++) for (int l = 0; l < 4; l++) sums[i][j][l] = 0;
  Share<X> next_x;
  Share<Y> next_y;
  next_x.start(x_op, m0); next_y.start(y_op, n0);
  next_x.load(x_op, k_begin); next_y.load(y_op, k_begin);
  for (i64 k0 = k_begin; k0 < k_end; k0 += DEPTH) {
    next_x.store(x_tile, x_op.deep());
    next_y.store(y_tile, y_op.deep());
    __syncthreads();
    if (k0 + DEPTH < k_end) { next_x.load(x_op, k0 + DEPTH); next_y.load(y_op, k0 + DEPTH); }
    #pragma unroll
    for (int word = 0; word < 16; word += 8) {
      u32 x[4][4], y[4][2];
      #pragma unroll
      for (int i = 0; i < 4; i++) {
        const int r = m1 + 16 * i + g, s = n1 + 8 * i + g;
        x[i][0] = x_tile[r][word + t]; x[i][1] = x_tile[r + 8][word + t]; x[i][2] = x_tile[r][word + t + 4]; x[i][3] = x_tile[r + 8][word + t + 4];
        y[i][0] = y_tile[s][word + t]; y[i][1] = y_tile[s][word + t + 4];
      }
      #pragma unroll
      for (int i = 0; i < 4; i++)
        #pragma unroll
        for (int j = 0; j < 4; j++) multiply<T>(sums[i][j], x[i], y[j]);
    }
    __syncthreads();
  }
  #pragma unroll
  for (int i = 0; i < 4; i++)
    #pragma unroll
    for (int j = 0; j < 4; j++)
      #pragma unroll
      for (int l = 0; l < 4; l++) {
        i64 r = m0 + m1 + 16 * i + g + l / 2 * 8, s = n0 + n1 + 8 * j + 2 * t + l % 2;
        if (r < m && s < n) z.put(r, s, sums[i][j][l]);
      }
}

// Which machinery, and the side of its tile.
template <class A, int R> struct OnThreads {
  static constexpr int SIDE = 16 * R;
  template <class X, class Y, class Z> INLINE void tile(X x, Y y, Z z, i64 m, i64 n, i64 m0, i64 n0, i64 begin, i64 end) {
    thread_tile<A, R>(x, y, z, m, n, m0, n0, begin, end);
  }
};
struct OnTensorCores {
  static constexpr int SIDE = TILE;
  template <class X, class Y, class Z> INLINE void tile(X x, Y y, Z z, i64 m, i64 n, i64 m0, i64 n0, i64 begin, i64 end) {
    tensor_tile(x, y, z, m, n, m0, n0, begin, end);
  }
};
