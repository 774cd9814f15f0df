// Scaled dot-product attention of half-width floats on tensor cores, in one pass over tiles of the scores. A warp has 16 rows, a block four warps.

#include "attention.cuh"
#include "tiles.cuh"

constexpr int WARPS = 4, ROWS = 16 * WARPS;

template <class T> INLINE u32 packed(f32 low, f32 high) { return (u32)as<T>(low).bits | (u32)as<T>(high).bits << 16; }

// Asks for positions first ... of a matrix as rows of a tile (D elements, zeros beyond the matrix), to be there after `arrived` and a barrier.
template <class T, int D, int N> INLINE void ask(u32* tile, const T* p, i64 step, int first, int count, int width) {
  constexpr int ROW = D / 2 + 4;
  for (int e = threadIdx.x; e < N * (D / 8); e += 32 * WARPS) {
    const int s = e / (D / 8), d = e % (D / 8) * 8;
    const T* at = p + (first + s) * step + d;
    u32* to = tile + s * ROW + d / 2;
    if (first + s < count && d + 8 <= width && (u64)at % 16 == 0) { fetch(to, at); continue; }
    #pragma unroll 1
    for (int i = 0; i < 8; i++) ((T*)to)[i] = first + s < count && d + i < width ? at[i] : T(0);
  }
}

// Fragments. For the left of a product: 16 rows of a tile, columns 16 kk ...
template <int D> INLINE void left(u32 a[4], const u32* tile, int row, int kk) {
  const int lane = threadIdx.x % 32;
  matrices<D / 2 + 4, false>(a, tile + (row + lane % 16) * (D / 2 + 4) + 8 * kk + lane / 16 * 4, tile + row * (D / 2 + 4) + 8 * kk);
}
// For the right of two products: rows row ... row + 15 of a tile are their columns.
template <int D> INLINE void right(u32 b[4], const u32* tile, int row, int kk) {
  const int lane = threadIdx.x % 32;
  u32 c[4];
  matrices<D / 2 + 4, false>(c, tile + (row + lane % 16) * (D / 2 + 4) + 8 * kk + lane / 16 * 4, tile + row * (D / 2 + 4) + 8 * kk);
  b[0] = c[0]; b[1] = c[2]; b[2] = c[1]; b[3] = c[3];
}
// The same of a tile whose columns 16 n ... are the products' columns, and whose rows row ... row + 15 are summed over.
template <int D> INLINE void turned(u32 b[4], const u32* tile, int row, int n) {
  const int lane = threadIdx.x % 32;
  matrices<D / 2 + 4, true>(b, tile + (row + lane % 16) * (D / 2 + 4) + 8 * n + lane / 16 * 4, tile + row * (D / 2 + 4) + 8 * n);
}
// What two neighbouring products left behind, as the left of another: columns 16 j ...
template <class T> INLINE void again(u32 a[4], const f32 (*c)[4], int j) {
  a[0] = packed<T>(c[2 * j][0], c[2 * j][1]); a[1] = packed<T>(c[2 * j][2], c[2 * j][3]);
  a[2] = packed<T>(c[2 * j + 1][0], c[2 * j + 1][1]); a[3] = packed<T>(c[2 * j + 1][2], c[2 * j + 1][3]);
}

// Scores are kept times log2(e), so that their weights are powers of two.
constexpr f64 LOG2E = 1.4426950408889634;
#ifdef __CUDA_ARCH__
INLINE f32 power(f32 x) {
  f32 result;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
  return result;
}
#else
INLINE f32 power(f32 x) { return exp2f(x); }
#endif

// While a tile's scores are made its values are on their way, and while they are summed the next tile's keys.
template <class T, int D, bool DROPS> INLINE void forward(Args& p) {
  constexpr int N = 64, ROW = D / 2 + 4;
  __shared__ __align__(16) u32 keys[N * ROW];
  __shared__ __align__(16) u32 values[N * ROW];
  const int warp = threadIdx.x / 32, g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
  const int first = (int)blockIdx.x * ROWS, length = (int)p.length, count = (int)p.keys, width = (int)p.width, value_width = (int)p.value_width;
  const int end = p.causal ? least(count, first + ROWS) : count;
  const f32 scale = (f32)(p.scale * LOG2E);
  for (i64 z = blockIdx.y; z < p.batch * p.heads; z += gridDim.y) {
    const int heads = (int)p.heads, b = (int)z / heads, h = (int)z % heads, shared_head = h / (heads / (int)p.key_heads);
    const T* const key = matrix<T>(p.k, p.k_step, b, shared_head);
    const T* const value = matrix<T>(p.v, p.v_step, b, shared_head);
    ask<T, D, N>(keys, matrix<T>(p.q, p.q_step, b, h), p.q_step[2], first, length, width);
    arrived();
    __syncthreads();
    u32 query[D / 16][4];
    #pragma unroll
    for (int kk = 0; kk < D / 16; kk++) left<D>(query[kk], keys, 16 * warp, kk);
    __syncthreads();
    ask<T, D, N>(keys, key, p.k_step[2], 0, count, width);
    f32 out[D / 8][4], top[2] = {-(f32)infinity(), -(f32)infinity()}, sum[2] = {0, 0};
    #pragma unroll
    for (int n = 0; n < D / 8; n++) for (int l = 0; l < 4; l++) out[n][l] = 0;
    for (int k0 = 0; k0 < end; k0 += N) {
      arrived();
      __syncthreads();   // the keys are there, and nobody needs the values before
      ask<T, D, N>(values, value, p.v_step[2], k0, count, value_width);
      f32 s[N / 8][4], highest[2] = {top[0], top[1]};
      const bool all = plain(p, first, ROWS, k0, N);
      #pragma unroll
      for (int n = 0; n < N / 8; n += 2) {
        for (int l = 0; l < 4; l++) s[n][l] = s[n + 1][l] = 0;
        #pragma unroll
        for (int kk = 0; kk < D / 16; kk++) {
          u32 x[4];
          right<D>(x, keys, 8 * n, kk);
          multiply<T>(s[n], query[kk], x);
          multiply<T>(s[n + 1], query[kk], x + 2);
        }
      }
      #pragma unroll
      for (int n = 0; n < N / 8; n++)
        #pragma unroll
        for (int l = 0; l < 4; l++) {
          s[n][l] *= scale;
          if (!all) s[n][l] = masked<T>(p, s[n][l], (f32)LOG2E, b, h, first + 16 * warp + g + l / 2 * 8, k0 + 8 * n + 2 * t + l % 2);
          highest[l / 2] = most(highest[l / 2], s[n][l]);
        }
      arrived();
      __syncthreads();   // the values are there, and nobody needs the keys any more
      if (k0 + N < end) ask<T, D, N>(keys, key, p.k_step[2], k0 + N, count, width);
      #pragma unroll
      for (int r = 0; r < 2; r++) {
        highest[r] = most(highest[r], shuffle_xor(highest[r], 1));
        highest[r] = most(highest[r], shuffle_xor(highest[r], 2));
        const f32 base = highest[r] == -(f32)infinity() ? 0 : highest[r], shrink = power(top[r] - base);
        top[r] = highest[r];
        sum[r] *= shrink;
        #pragma unroll
        for (int n = 0; n < D / 8; n++) { out[n][2 * r] *= shrink; out[n][2 * r + 1] *= shrink; }
        #pragma unroll
        for (int n = 0; n < N / 8; n++)
          for (int l = 2 * r; l < 2 * r + 2; l++) {
            s[n][l] = power(s[n][l] - base);
            sum[r] += s[n][l];
            if (DROPS) s[n][l] *= kept<T, f32>(p, b, h, first + 16 * warp + g + 8 * r, k0 + 8 * n + 2 * t + l % 2);
          }
      }
      #pragma unroll
      for (int j = 0; j < N / 16; j++) {
        u32 weight[4];
        again<T>(weight, s, j);
        #pragma unroll
        for (int n = 0; n < D / 8; n += 2) {
          u32 x[4];
          turned<D>(x, values, 16 * j, n / 2);
          multiply<T>(out[n], weight, x);
          multiply<T>(out[n + 1], weight, x + 2);
        }
      }
    }
    #pragma unroll
    for (int r = 0; r < 2; r++) {
      sum[r] += shuffle_xor(sum[r], 1);
      sum[r] += shuffle_xor(sum[r], 2);
      const int at = first + 16 * warp + g + 8 * r;
      const f32 inverse = sum[r] > 0 ? 1 / sum[r] : 0;
      if (at < length && t == 0) ((f32*)p.logs)[z * p.length + at] = sum[r] > 0 ? top[r] * (f32)(1 / LOG2E) + logf(sum[r]) : (f32)infinity();
      T* to = (T*)p.out + b * p.out_step[0] + h * p.out_step[1] + at * p.out_step[2];
      #pragma unroll
      for (int n = 0; n < D / 8; n++)
        for (int l = 0; l < 2; l++) {
          const int d = 8 * n + 2 * t + l;
          if (at < length && d < value_width) to[d] = as<T>(out[n][2 * r + l] * inverse);
        }
    }
    arrived();   // the first tile of keys, where no key counts
  }
}

template <class T, int D> INLINE void put(void* out, const i64 step[3], int b, int h, int first, int count, int width, f32 (*sums)[4]) {
  const int warp = threadIdx.x / 32, g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
  #pragma unroll
  for (int n = 0; n < D / 8; n++)
    #pragma unroll
    for (int l = 0; l < 4; l++) {
      const i64 at = first + 16 * warp + g + l / 2 * 8;
      const int d = 8 * n + 2 * t + l % 2;
      if (at < count && d < width) ((T*)out)[b * step[0] + h * step[1] + at * step[2] + d] = as<T>(sums[n][l]);
    }
}

// Tiles come in turns into two buffers: while one is worked on the next one is on its way.
template <class T, int D, bool KEYS> INLINE void gradient(Args& p) {
  constexpr int N = 32, ROW = D / 2 + 4, BUFFER = 2 * N * ROW;
  DYNAMIC_SHARED(u32, memory);
  u32* const own = memory;                        // this block's keys, or queries
  u32* const own_other = own + ROWS * ROW;        // its values, or gradients
  u32* const tiles = own_other + ROWS * ROW;      // of queries, or keys; behind each tile one of gradients, or values
  f32* const logs = (f32*)(tiles + 2 * BUFFER);   // of the queries of a buffer, or of the block's
  f32* const delta = logs + 2 * ROWS;
  const int warp = threadIdx.x / 32, g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
  const int group = (int)p.heads / (int)p.key_heads, own_heads = (int)(KEYS ? p.key_heads : p.heads), length = (int)p.length;
  const int first = (int)blockIdx.x * ROWS, count = (int)(KEYS ? p.keys : p.length), across = (int)(KEYS ? p.length : p.keys);
  const int begin = KEYS && p.causal ? first / N * N : 0, end = !KEYS && p.causal ? least(across, first + ROWS) : across;
  const int width = (int)p.width, value_width = (int)p.value_width;
  const f32 scale = (f32)(p.scale * LOG2E);
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
          logs[buffer * N + i] = from + i < length ? ((const f32*)p.logs)[numbers + from + i] * (f32)LOG2E : (f32)infinity();
          delta[buffer * N + i] = from + i < length ? ((const f32*)p.delta)[numbers + from + i] : 0;
        }
      };
      auto next = [&](int buffer, int x0) {
        u32* const rows = tiles + buffer * BUFFER;
        ask<T, D, N>(rows, KEYS ? query : key, KEYS ? p.q_step[2] : p.k_step[2], x0, across, width);
        ask<T, D, N>(rows + N * ROW, KEYS ? grad : value, KEYS ? p.grad_step[2] : p.v_step[2], x0, across, value_width);
        if (KEYS) note(buffer, x0, N);
      };
      __syncthreads();   // nobody needs the head before
      ask<T, D, ROWS>(own, KEYS ? key : query, KEYS ? p.k_step[2] : p.q_step[2], first, count, width);
      ask<T, D, ROWS>(own_other, KEYS ? value : grad, KEYS ? p.v_step[2] : p.grad_step[2], first, count, value_width);
      if (!KEYS) note(0, first, ROWS);
      next(0, begin);
      int buffer = 0;
      for (int x0 = begin; x0 < end; x0 += N, buffer ^= 1) {
        arrived();
        __syncthreads();   // this tile is there, and nobody needs the one before
        if (x0 + N < end) next(buffer ^ 1, x0 + N);
        const u32* const rows = tiles + buffer * BUFFER;
        const u32* const other = rows + N * ROW;
        f32 weight[N / 8][4], slope[N / 8][4];
        #pragma unroll
        for (int n = 0; n < N / 8; n++) for (int l = 0; l < 4; l++) weight[n][l] = slope[n][l] = 0;
        #pragma unroll 2
        for (int kk = 0; kk < D / 16; kk++) {
          u32 a[4], c[4];
          left<D>(a, own, 16 * warp, kk);
          #pragma unroll
          for (int n = 0; n < N / 8; n += 2) { right<D>(c, rows, 8 * n, kk); multiply<T>(weight[n], a, c); multiply<T>(weight[n + 1], a, c + 2); }
          left<D>(a, own_other, 16 * warp, kk);
          #pragma unroll
          for (int n = 0; n < N / 8; n += 2) { right<D>(c, other, 8 * n, kk); multiply<T>(slope[n], a, c); multiply<T>(slope[n + 1], a, c + 2); }
        }
        const bool all = KEYS ? plain(p, x0, N, first, ROWS) : plain(p, first, ROWS, x0, N);
        #pragma unroll
        for (int n = 0; n < N / 8; n++)
          #pragma unroll
          for (int l = 0; l < 4; l++) {
            const int r = 16 * warp + g + l / 2 * 8, c = 8 * n + 2 * t + l % 2, number = KEYS ? buffer * N + c : r;
            const int at = KEYS ? x0 + c : first + r, position = KEYS ? first + r : x0 + c;
            f32 x = weight[n][l] * scale;
            if (!all) x = masked<T>(p, x, (f32)LOG2E, b, h, at, position);
            const f32 w = power(x - logs[number]), keep = p.kept ? kept<T, f32>(p, b, h, at, position) : 1;
            const f32 towards_score = w * (slope[n][l] * keep - delta[number]);
            if (!KEYS && p.slopes && inside(p, at, position)) ((T*)p.slopes)[place(p.slopes_step, b, h, at, position)] = as<T>(towards_score);
            slope[n][l] = towards_score * (f32)p.scale;
            weight[n][l] = w * keep;
          }
        #pragma unroll
        for (int j = 0; j < N / 16; j++) {
          u32 a[4], c[4];
          again<T>(a, slope, j);
          #pragma unroll
          for (int n = 0; n < D / 8; n += 2) { turned<D>(c, rows, 16 * j, n / 2); multiply<T>(sums[n], a, c); multiply<T>(sums[n + 1], a, c + 2); }
          if (!KEYS) continue;
          again<T>(a, weight, j);
          #pragma unroll
          for (int n = 0; n < D / 8; n += 2) {
            turned<D>(c, other, 16 * j, n / 2);
            multiply<T>(other_sums[KEYS ? n : 0], a, c);
            multiply<T>(other_sums[KEYS ? n + 1 : 0], a, c + 2);
          }
        }
      }
      arrived();   // what was asked for where no turn is taken
    }
    put<T, D>(KEYS ? p.dk : p.dq, KEYS ? p.dk_step : p.dq_step, b, own_head, first, count, width, sums);
    if (KEYS) put<T, D>(p.dv, p.dv_step, b, own_head, first, count, value_width, other_sums);
  }
}

extern "C" __global__ void __launch_bounds__(128) SYMBOL(Args args) { ENTRY(args); }
