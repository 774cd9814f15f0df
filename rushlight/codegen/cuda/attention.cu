// Scaled dot-product attention on tensor cores, of half-width floats and of float32, in one pass over tiles of the scores. A warp has 16 rows, a block
// four warps. Rows of tiles are words of shared memory: two half-width floats, or a float32.

#include "attention.cuh"
#include "tiles.cuh"

constexpr int WARPS = 4, ROWS = 16 * WARPS;
template <class T, int D> constexpr int WORDS = D * (int)sizeof(T) / 4;
template <class T, int D> constexpr int ROW = WORDS<T, D> + 4;   // rows begin 16 bytes further on in the banks than the one before

// Asks for positions first ... of a matrix as rows of a tile (D elements, zeros beyond the matrix), to be there after `arrived` and a barrier.
template <class T, int D, int N> INLINE void ask(u32* tile, const T* p, i64 step, int first, int count, int width) {
  constexpr int EACH = 16 / sizeof(T), APART = 32 * WARPS * EACH / D;   // rows from one of a thread's to its next
  const int s = threadIdx.x * EACH / D, d = threadIdx.x * EACH % D;
  const T* at = p + (first + s) * step + d;
  u32* to = tile + s * ROW<T, D> + d * (int)sizeof(T) / 4;
  const u32 nothing[4] = {0, 0, 0, 0};
  if (d >= width || (d + EACH <= width && ((u64)at | (u64)(step * sizeof(T))) % 16 == 0)) {
    #pragma unroll
    for (int i = 0; i < N / APART; i++, at += APART * step, to += APART * ROW<T, D>) {
      if (d < width && first + s + i * APART < count) fetch(to, at); else store_words(to, nothing);
    }
  } else {
    #pragma unroll 1
    for (int i = 0; i < N / APART; i++, at += APART * step, to += APART * ROW<T, D>) {
      #pragma unroll 1
      for (int e = 0; e < EACH; e++) ((T*)to)[e] = first + s + i * APART < count && d + e < width ? at[e] : T(0);
    }
  }
}

// -- operands of products, from tiles: 32 bytes of 16 rows, columns 8 kk ... in words --
template <class T, int D> INLINE void left(u32 a[4], const u32* tile, int row, int kk) { matrices<ROW<T, D>, false>(a, tile, row, 8 * kk); }
// For the right of two products: rows row ... row + 15 of a tile are their columns.
template <class T, int D> INLINE void right(u32 b[4], const u32* tile, int row, int kk) {
  u32 c[4];
  left<T, D>(c, tile, row, kk);
  b[0] = c[0]; b[1] = c[2]; b[2] = c[1]; b[3] = c[3];
}

// -- products: an operand as the tensor cores take it, and the sums of 16 x 8 of their results --
template <class T> struct Operand {
  u32 x[4];
  MEMBER Operand(const u32 words[4]) { for (int i = 0; i < 4; i++) x[i] = words[i]; }
};
template <class T> struct Sum {
  f32 c[4] = {0, 0, 0, 0};
  MEMBER f32 total(int l) { return c[l]; }
};
template <class T> INLINE void multiply_both(Sum<T>& left, Sum<T>& right, const Operand<T>& a, const Operand<T>& b) {
  multiply<T>(left.c, a.x, b.x);
  multiply<T>(right.c, a.x, b.x + 2);
}

// Tensor cores take the 11 leading bits of a float32. So it is the sum of two such numbers, of whose three larger products the small two are summed
// apart, and join the others by an addition that rounds (tensor cores cut). An infinite number has no second part: then the larger product stands alone.
template <> struct Operand<f32> {
  u32 x[4], rest[4];
  MEMBER Operand(const u32 words[4]) {
    #pragma unroll
    for (int i = 0; i < 4; i++) {
      const f32 number = bits_as<f32>(words[i]), near = rounded(number);
      x[i] = bits_as<u32>(near);
      rest[i] = bits_as<u32>(number - near);
    }
  }
};
template <> struct Sum<f32> {
  f32 c[4] = {0, 0, 0, 0}, rest[4] = {0, 0, 0, 0};
  MEMBER f32 total(int l) { return fabsf(c[l]) < (f32)infinity() ? c[l] + rest[l] : c[l]; }
};
template <> MEMBER void multiply_both<f32>(Sum<f32>& left, Sum<f32>& right, const Operand<f32>& a, const Operand<f32>& b) {
  multiply<f32>(left.rest, a.x, b.rest);
  multiply<f32>(right.rest, a.x, b.rest + 2);
  multiply<f32>(left.c, a.x, b.x);
  multiply<f32>(right.c, a.x, b.x + 2);
  multiply<f32>(left.rest, a.rest, b.x);
  multiply<f32>(right.rest, a.rest, b.x + 2);
}

// -- sums += weights x tile: weights are what products of 16 x N left behind, the tile has N rows of which `width` elements count --
template <class T> INLINE u32 packed(f32 low, f32 high) { return (u32)as<T>(low).bits | (u32)as<T>(high).bits << 16; }

template <class T, int D, int N> struct Weighted {
  INLINE void add(f32 (*sums)[4], f32 (*weights)[4], const u32* tile, int) {
    #pragma unroll
    for (int j = 0; j < N / 16; j++) {
      const f32 (*c)[4] = weights + 2 * j;
      const u32 a[4] = {packed<T>(c[0][0], c[0][1]), packed<T>(c[0][2], c[0][3]), packed<T>(c[1][0], c[1][1]), packed<T>(c[1][2], c[1][3])};
      #pragma unroll
      for (int n = 0; n < D / 8; n += 2) {
        u32 b[4];
        matrices<ROW<T, D>, true>(b, tile, 16 * j, 4 * n);
        multiply<T>(sums[n], a, b);
        multiply<T>(sums[n + 1], a, b + 2);
      }
    }
  }
  // The column of element l of a lane's part of sums[n].
  INLINE int column(int n, int l) { return 8 * n + threadIdx.x % 4 * 2 + l % 2; }
};

// The order of what is summed over is free: a lane's weights are an operand as they are if it begins with the even rows of eight. The order of columns is
// too: a lane reads two neighbours, one for each of two products. (The branch also keeps ptxas from reading far ahead, for which registers are too few.)
template <int D, int N> struct Weighted<f32, D, N> {
  INLINE void add(f32 (*sums)[4], f32 (*weights)[4], const u32* tile, int width) {
    typedef Pack<u32, 2> Run;
    const int g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
    #pragma unroll
    for (int n = 0; n < D / 8; n += 2) {
      if (n % 4 == 0 && 8 * n >= width) break;
      Sum<f32> c[2];
      #pragma unroll
      for (int j = 0; j < N / 8; j++) {
        const u32* const at = tile + (8 * j + 2 * t) * ROW<f32, D> + 8 * n + 2 * g;
        const Run even = *(const Run*)at, odd = *(const Run*)(at + ROW<f32, D>);
        const u32 a[4] = {word_of(weights[j][0]), word_of(weights[j][2]), word_of(weights[j][1]), word_of(weights[j][3])};
        const u32 b[4] = {even.v[0], odd.v[0], even.v[1], odd.v[1]};
        multiply_both<f32>(c[0], c[1], Operand<f32>(a), Operand<f32>(b));
      }
      #pragma unroll
      for (int l = 0; l < 4; l++) { sums[n][l] += c[0].total(l); sums[n + 1][l] += c[1].total(l); }
    }
  }
  INLINE int column(int n, int l) { return n / 2 * 16 + threadIdx.x % 4 * 4 + l % 2 * 2 + n % 2; }
};

// f(n, l) for all that a lane has of N products.
template <int N, class F> INLINE void each(F f) {
  #pragma unroll
  for (int n = 0; n < N; n++)
    #pragma unroll
    for (int l = 0; l < 4; l++) f(n, l);
}

// The inner products of a warp's rows of one tile and the N of another, in stretches of 64 words (what tensor cores cut adds up).
template <class T, int D, int N> INLINE void inner(f32 (*results)[4], const u32* own, const u32* tile) {
  #pragma unroll
  for (int first = 0; first < WORDS<T, D> / 8; first += 8) {
    Sum<T> sums[N / 8];
    #pragma unroll 2
    for (int kk = first; kk < least(first + 8, WORDS<T, D> / 8); kk++) {
      u32 x[4];
      left<T, D>(x, own, threadIdx.x / 32 * 16, kk);
      const Operand<T> a(x);
      #pragma unroll
      for (int n = 0; n < N / 8; n += 2) {
        right<T, D>(x, tile, 8 * n, kk);
        multiply_both<T>(sums[n], sums[n + 1], a, Operand<T>(x));
      }
    }
    each<N / 8>([&](int n, int l) { results[n][l] = first ? results[n][l] + sums[n].total(l) : sums[n].total(l); });
  }
}
// The same of rows in registers.
template <class T, int D, int N> INLINE void inner(f32 (*results)[4], const u32 (*own)[4], const u32* tile) {
  #pragma unroll
  for (int n = 0; n < N / 8; n += 2) {
    Sum<T> left, other;
    #pragma unroll
    for (int kk = 0; kk < WORDS<T, D> / 8; kk++) {
      u32 x[4];
      right<T, D>(x, tile, 8 * n, kk);
      multiply_both<T>(left, other, Operand<T>(own[kk]), Operand<T>(x));
    }
    #pragma unroll
    for (int l = 0; l < 4; l++) { results[n][l] = left.total(l); results[n + 1][l] = other.total(l); }
  }
}

// Scores of half-width floats are kept times UNIT, so that their weights are powers of two. Those of float32 are as they are: what this multiplication
// rounds would be as much as all the rest, while of a difference to the largest score it is little.
constexpr f64 LOG2E = 1.4426950408889634;
template <class T> constexpr f64 UNIT = sizeof(T) == 2 ? LOG2E : 1;
#ifdef __CUDA_ARCH__
INLINE f32 exp2_of(f32 x) {
  f32 result;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
  return result;
}
#else
INLINE f32 exp2_of(f32 x) { return exp2f(x); }
#endif
template <class T> INLINE f32 power(f32 x) { return exp2_of(sizeof(T) == 2 ? x : x * (f32)LOG2E); }

// Blocks begin with the last rows, which see most keys where calls are causal: what ends last is short.
INLINE int last_first() { return (int)(gridDim.x - 1 - blockIdx.x) * ROWS; }

// While a tile's scores are made its values are on their way, and while they are summed the next tile's keys.
template <class T, int D, bool DROPS> INLINE void forward(Args& p) {
  constexpr bool HELD = sizeof(T) == 2;   // queries, in registers
  constexpr int N = HELD ? 64 : 32, DEPTH = WORDS<T, D> / 8;
  DYNAMIC_SHARED(u32, keys);
  u32* const values = keys + N * ROW<T, D>;
  u32* const queries = HELD ? keys : values + N * ROW<T, D>;
  const int warp = threadIdx.x / 32, g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
  const int first = last_first(), length = (int)p.length, count = (int)p.keys, width = (int)p.width, value_width = (int)p.value_width;
  const int end = p.causal ? least(count, first + ROWS) : count;
  const f32 scale = (f32)(p.scale * UNIT<T>);
  for (int z = blockIdx.y; z < (int)(p.batch * p.heads); z += gridDim.y) {
    const int heads = (int)p.heads, b = z / heads, h = z % heads, shared_head = h / (heads / (int)p.key_heads);
    const T* const key = matrix<T>(p.k, p.k_step, b, shared_head);
    const T* const value = matrix<T>(p.v, p.v_step, b, shared_head);
    ask<T, D, ROWS>(queries, matrix<T>(p.q, p.q_step, b, h), p.q_step[2], first, length, width);
    u32 query[HELD ? DEPTH : 1][4];
    if (HELD) {
      arrived();
      __syncthreads();
      #pragma unroll
      for (int kk = 0; kk < DEPTH; kk++) left<T, D>(query[HELD ? kk : 0], queries, 16 * warp, kk);
      __syncthreads();
    }
    ask<T, D, N>(keys, key, p.k_step[2], 0, count, width);
    f32 out[D / 8][4], top[2] = {-(f32)infinity(), -(f32)infinity()}, sum[2] = {0, 0};
    #pragma unroll
    for (int n = 0; n < D / 8; n++) for (int l = 0; l < 4; l++) out[n][l] = 0;
    for (int k0 = 0; k0 < end; k0 += N) {
      arrived();
      __syncthreads();   // the keys are there, and nobody needs the values before
      ask<T, D, N>(values, value, p.v_step[2], k0, count, value_width);
      f32 s[N / 8][4], highest[2] = {top[0], top[1]};
      if constexpr (HELD) inner<T, D, N>(s, query, keys);
      else inner<T, D, N>(s, queries, keys);
      each<N / 8>([&](int n, int l) { s[n][l] *= scale; });
      if (!plain(p, first, ROWS, k0, N))
        each<N / 8>([&](int n, int l) {
          s[n][l] = masked<T>(p, s[n][l], (f32)UNIT<T>, b, h, first + 16 * warp + g + l / 2 * 8, k0 + 8 * n + 2 * t + l % 2);
        });
      each<N / 8>([&](int n, int l) { highest[l / 2] = most(highest[l / 2], s[n][l]); });
      arrived();
      __syncthreads();   // the values are there, and nobody needs the keys any more
      if (k0 + N < end) ask<T, D, N>(keys, key, p.k_step[2], k0 + N, count, width);
      #pragma unroll
      for (int r = 0; r < 2; r++) {
        highest[r] = most(highest[r], shuffle_xor(highest[r], 1));
        highest[r] = most(highest[r], shuffle_xor(highest[r], 2));
        const f32 base = highest[r] == -(f32)infinity() ? 0 : highest[r], shrink = power<T>(top[r] - base);
        top[r] = highest[r];
        sum[r] *= shrink;
        #pragma unroll
        for (int n = 0; n < D / 8; n++) { out[n][2 * r] *= shrink; out[n][2 * r + 1] *= shrink; }
        #pragma unroll
        for (int n = 0; n < N / 8; n++)
          for (int l = 2 * r; l < 2 * r + 2; l++) {
            s[n][l] = power<T>(s[n][l] - base);
            sum[r] += s[n][l];
            if (DROPS) s[n][l] *= kept<T, f32>(p, b, h, first + 16 * warp + g + 8 * r, k0 + 8 * n + 2 * t + l % 2);
          }
      }
      Weighted<T, D, N>::add(out, s, values, value_width);
    }
    #pragma unroll
    for (int r = 0; r < 2; r++) {
      sum[r] += shuffle_xor(sum[r], 1);
      sum[r] += shuffle_xor(sum[r], 2);
      const int at = first + 16 * warp + g + 8 * r;
      const f32 inverse = sum[r] == 0 ? 0 : 1 / sum[r];   // 0: of who sees no key
      if (at < length && t == 0) ((f32*)p.logs)[(i64)z * p.length + at] = sum[r] == 0 ? (f32)infinity() : top[r] * (f32)(1 / UNIT<T>) + logf(sum[r]);
      T* to = (T*)p.out + b * p.out_step[0] + h * p.out_step[1] + at * p.out_step[2];
      #pragma unroll
      for (int n = 0; n < D / 8; n++)
        for (int l = 0; l < 2; l++) {
          const int d = Weighted<T, D, N>::column(n, l);
          if (at < length && d < value_width) to[d] = as<T>(out[n][2 * r + l] * inverse);
        }
    }
    arrived();   // the first tile of keys, where no key counts
  }
}

template <class T, int D> INLINE void put(void* out, const i64 step[3], int b, int h, int first, int count, int width, f32 (*sums)[4]) {
  const int warp = threadIdx.x / 32, g = threadIdx.x % 32 / 4;
  each<D / 8>([&](int n, int l) {
    const i64 at = first + 16 * warp + g + l / 2 * 8;
    const int d = Weighted<T, D, 16>::column(n, l);
    if (at < count && d < width) ((T*)out)[b * step[0] + h * step[1] + at * step[2] + d] = as<T>(sums[n][l]);
  });
}

// Tiles come in turns into two buffers: while one is worked on the next one is on its way. Where rows are long, memory has room for one of half the height.
template <class T, int D, bool KEYS> INLINE void gradient(Args& p) {
  constexpr int BUFFERS = WORDS<T, D> > 64 ? 1 : 2, N = 16 * BUFFERS, BUFFER = 2 * N * ROW<T, D>;
  DYNAMIC_SHARED(u32, memory);
  u32* const own = memory;                        // this block's keys, or queries
  u32* const own_other = own + ROWS * ROW<T, D>;        // its values, or gradients
  u32* const tiles = own_other + ROWS * ROW<T, D>;      // of queries, or keys; behind each tile one of gradients, or values
  f32* const logs = (f32*)(tiles + BUFFERS * BUFFER);   // of the queries of a buffer, or of the block's
  f32* const delta = logs + 2 * ROWS;
  const int warp = threadIdx.x / 32, g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
  const int group = (int)p.heads / (int)p.key_heads, own_heads = (int)(KEYS ? p.key_heads : p.heads), length = (int)p.length;
  const int first = KEYS ? (int)blockIdx.x * ROWS : last_first(), count = (int)(KEYS ? p.keys : p.length), across = (int)(KEYS ? p.length : p.keys);
  const int begin = KEYS && p.causal ? first / N * N : 0, end = !KEYS && p.causal ? least(across, first + ROWS) : across;
  const int width = (int)p.width, value_width = (int)p.value_width;
  const f32 scale = (f32)(p.scale * UNIT<T>);
  for (i64 z = blockIdx.y; z < p.batch * own_heads; z += gridDim.y) {
    const int b = (int)z / own_heads, own_head = (int)z % own_heads, key_head = KEYS ? own_head : own_head / group;
    const T* key = matrix<T>(p.k, p.k_step, b, key_head);
    const T* value = matrix<T>(p.v, p.v_step, b, key_head);
    f32 sums[D / 8][4], other_sums[KEYS ? D / 8 : 1][4];
    #pragma unroll
    for (int n = 0; n < D / 8; n++) for (int l = 0; l < 4; l++) { sums[n][l] = 0; if (KEYS) other_sums[n][l] = 0; }
    for (int h = KEYS ? key_head * group : own_head; h < (KEYS ? (key_head + 1) * group : own_head + 1); h++) {
      const T* query = matrix<T>(p.q, p.q_step, b, h);
      const T* grad = matrix<T>(p.grad, p.grad_step, b, h);
      const i64 numbers = (b * p.heads + h) * p.length;
      auto note = [&](int buffer, int from, int n) {   // logs and delta of queries
        for (int i = threadIdx.x; i < n; i += 32 * WARPS) {
          logs[buffer * N + i] = from + i < length ? ((const f32*)p.logs)[numbers + from + i] * (f32)UNIT<T> : (f32)infinity();
          delta[buffer * N + i] = from + i < length ? ((const f32*)p.delta)[numbers + from + i] : 0;
        }
      };
      auto next = [&](int buffer, int x0) {
        u32* const rows = tiles + buffer * BUFFER;
        ask<T, D, N>(rows, KEYS ? query : key, KEYS ? p.q_step[2] : p.k_step[2], x0, across, width);
        ask<T, D, N>(rows + N * ROW<T, D>, KEYS ? grad : value, KEYS ? p.grad_step[2] : p.v_step[2], x0, across, value_width);
        if (KEYS) note(buffer, x0, N);
      };
      __syncthreads();   // nobody needs the head before
      ask<T, D, ROWS>(own, KEYS ? key : query, KEYS ? p.k_step[2] : p.q_step[2], first, count, width);
      ask<T, D, ROWS>(own_other, KEYS ? value : grad, KEYS ? p.v_step[2] : p.grad_step[2], first, count, value_width);
      if (!KEYS) note(0, first, ROWS);
      next(0, begin);
      int buffer = 0;
      for (int x0 = begin; x0 < end; x0 += N, buffer = BUFFERS - 1 - buffer) {
        arrived();
        __syncthreads();   // this tile is there, and nobody needs the one before
        if (BUFFERS == 2 && x0 + N < end) next(buffer ^ 1, x0 + N);
        const u32* const rows = tiles + buffer * BUFFER;
        const u32* const other = rows + N * ROW<T, D>;
        f32 weight[N / 8][4], slope[N / 8][4];
        inner<T, D, N>(weight, own, rows);
        inner<T, D, N>(slope, own_other, other);
        auto at = [&](int n, int l) { return KEYS ? x0 + 8 * n + 2 * t + l % 2 : first + 16 * warp + g + l / 2 * 8; };
        auto position = [&](int n, int l) { return KEYS ? first + 16 * warp + g + l / 2 * 8 : x0 + 8 * n + 2 * t + l % 2; };
        auto number = [&](int n, int l) { return KEYS ? buffer * N + 8 * n + 2 * t + l % 2 : 16 * warp + g + l / 2 * 8; };
        each<N / 8>([&](int n, int l) { weight[n][l] *= scale; });
        if (!(KEYS ? plain(p, x0, N, first, ROWS) : plain(p, first, ROWS, x0, N)))
          each<N / 8>([&](int n, int l) { weight[n][l] = masked<T>(p, weight[n][l], (f32)UNIT<T>, b, h, at(n, l), position(n, l)); });
        each<N / 8>([&](int n, int l) { weight[n][l] = power<T>(weight[n][l] - logs[number(n, l)]); });
        if (p.kept)
          each<N / 8>([&](int n, int l) {
            const f32 keep = kept<T, f32>(p, b, h, at(n, l), position(n, l));
            slope[n][l] = weight[n][l] * (slope[n][l] * keep - delta[number(n, l)]);
            weight[n][l] *= keep;
          });
        else each<N / 8>([&](int n, int l) { slope[n][l] = weight[n][l] * (slope[n][l] - delta[number(n, l)]); });
        if (!KEYS && p.slopes)
          each<N / 8>([&](int n, int l) {
            if (inside(p, at(n, l), position(n, l))) ((T*)p.slopes)[place(p.slopes_step, b, h, at(n, l), position(n, l))] = as<T>(slope[n][l]);
          });
        each<N / 8>([&](int n, int l) { slope[n][l] *= (f32)p.scale; });
        Weighted<T, D, N>::add(sums, slope, rows, width);
        if (KEYS) Weighted<T, D, N>::add(other_sums, weight, other, value_width);
        if (BUFFERS == 1 && x0 + N < end) {
          __syncthreads();   // nobody needs this tile any more
          next(0, x0 + N);
        }
      }
      arrived();   // what was asked for where no turn is taken
    }
    put<T, D>(KEYS ? p.dk : p.dq, KEYS ? p.dk_step : p.dq_step, b, own_head, first, count, width, sums);
    if (KEYS) put<T, D>(p.dv, p.dv_step, b, own_head, first, count, value_width, other_sums);
  }
}

extern "C" __global__ void __launch_bounds__(128) SYMBOL(Args args) { ENTRY(args); }
