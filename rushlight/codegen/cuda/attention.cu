// Scaled dot-product attention of half-width floats on tensor cores, in one pass over tiles of the scores, which are never written down.
//
// `forward` keeps the running maximum and sum of each query (Milakov and Gimelshein 2018, Dao et al. 2022). `gradient` recomputes the scores' weights
// from the logarithms that forward leaves: with rows of keys it sums the gradients of keys and values, with rows of queries that of the queries; each sum
// belongs to one warp and is made in one order. A warp has 16 rows, a block four warps.

#include "elements.cuh"
#include "tiles.cuh"

struct Args {
  const void* q; const void* k; const void* v; const void* mask; void* out; f32* logs;
  const void* grad; const f32* delta; void* dq; void* dk; void* dv;
  i64 batch, heads, key_heads, length, keys, width, value_width, causal;
  i64 q_step[3], k_step[3], v_step[3], out_step[3], grad_step[3], dq_step[3], dk_step[3], dv_step[3], mask_step[4];   // batch, head, position (, key)
  f64 scale;
};
constexpr int WARPS = 4, ROWS = 16 * WARPS;

template <class T> INLINE u32 packed(f32 low, f32 high) { return (u32)as<T>(low).bits | (u32)as<T>(high).bits << 16; }

template <class T> INLINE const T* matrix(const void* p, const i64 step[3], i64 batch, i64 head) { return (const T*)p + batch * step[0] + head * step[1]; }

// Positions first ... of a matrix as rows of a tile (D elements, zeros beyond the matrix), and, where wanted, with rows and columns exchanged.
template <class T, int D, int N> INLINE void stage(u32* rows, u32* turned, const T* p, i64 step, i64 first, i64 count, i64 width) {
  constexpr int ROW = D / 2 + 4, TURNED = N / 2 + 4;
  for (int e = threadIdx.x; e < N * (D / 8); e += 32 * WARPS) {
    const int s = e / (D / 8), d = e % (D / 8) * 8;
    const T* at = p + (first + s) * step + d;
    T x[8];
    if (first + s < count && d + 8 <= width && (u64)at % 16 == 0) memcpy(x, __builtin_assume_aligned(at, 16), 16);
    else for (int i = 0; i < 8; i++) x[i] = first + s < count && d + i < width ? at[i] : T(0);
    if (rows) for (int i = 0; i < 8; i += 2) rows[s * ROW + (d + i) / 2] = (u32)x[i].bits | (u32)x[i + 1].bits << 16;
    if (turned) for (int i = 0; i < 8; i++) ((u16*)(turned + (d + i) * TURNED))[s] = x[i].bits;
  }
}

// A fragment of 16 rows of a tile for the left of a product: columns 16 kk ...
template <int D> INLINE void left(u32 a[4], const u32* tile, int row, int kk) {
  constexpr int ROW = D / 2 + 4;
  const int g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
  const u32* at = tile + (row + g) * ROW + 8 * kk + t;
  a[0] = at[0]; a[1] = at[8 * ROW]; a[2] = at[4]; a[3] = at[8 * ROW + 4];
}
// One of 8 rows for the right of it.
template <int ROW> INLINE void right(u32 b[2], const u32* tile, int row, int kk) {
  const u32* at = tile + (row + threadIdx.x % 32 / 4) * ROW + 8 * kk + threadIdx.x % 4;
  b[0] = at[0]; b[1] = at[4];
}
// What two neighbouring products left behind, as the left of another: columns 16 j ...
template <class T> INLINE void again(u32 a[4], const f32 (*c)[4], int j) {
  a[0] = packed<T>(c[2 * j][0], c[2 * j][1]); a[1] = packed<T>(c[2 * j][2], c[2 * j][3]);
  a[2] = packed<T>(c[2 * j + 1][0], c[2 * j + 1][1]); a[3] = packed<T>(c[2 * j + 1][2], c[2 * j + 1][3]);
}

// The score of a query and a key from their product: scaled, masked; minus infinity where the key does not count.
template <class T> INLINE f32 score(Args& p, f32 product, i64 b, i64 h, i64 query, i64 key) {
  if (query >= p.length || key >= p.keys || (p.causal && key > query)) return -(f32)infinity();
  f32 x = product * (f32)p.scale;
  if (p.mask) x += as<f32>(((const T*)p.mask)[b * p.mask_step[0] + h * p.mask_step[1] + query * p.mask_step[2] + key * p.mask_step[3]]);
  return x;
}

template <class T, int D> INLINE void forward(Args& p) {
  constexpr int N = 64, ROW = D / 2 + 4, TURNED = N / 2 + 4;
  __shared__ u32 rows[N * ROW];
  __shared__ u32 turned[D * TURNED];
  const int warp = threadIdx.x / 32, g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
  const i64 first = (i64)blockIdx.x * ROWS;
  for (i64 z = blockIdx.y; z < p.batch * p.heads; z += gridDim.y) {
    const int heads = (int)p.heads, b = (int)z / heads, h = (int)z % heads, shared_head = h / (heads / (int)p.key_heads);
    stage<T, D, N>(rows, nullptr, matrix<T>(p.q, p.q_step, b, h), p.q_step[2], first, p.length, p.width);
    __syncthreads();
    u32 query[D / 16][4];
    #pragma unroll
    for (int kk = 0; kk < D / 16; kk++) left<D>(query[kk], rows, 16 * warp, kk);
    __syncthreads();
    f32 out[D / 8][4], top[2] = {-(f32)infinity(), -(f32)infinity()}, sum[2] = {0, 0};
    #pragma unroll
    for (int n = 0; n < D / 8; n++) for (int l = 0; l < 4; l++) out[n][l] = 0;
    for (i64 k0 = 0; k0 < (p.causal ? least(p.keys, first + ROWS) : p.keys); k0 += N) {
      stage<T, D, N>(rows, nullptr, matrix<T>(p.k, p.k_step, b, shared_head), p.k_step[2], k0, p.keys, p.width);
      stage<T, D, N>(nullptr, turned, matrix<T>(p.v, p.v_step, b, shared_head), p.v_step[2], k0, p.keys, p.value_width);
      __syncthreads();
      f32 s[N / 8][4], highest[2] = {top[0], top[1]};
      #pragma unroll
      for (int n = 0; n < N / 8; n++) {
        for (int l = 0; l < 4; l++) s[n][l] = 0;
        #pragma unroll
        for (int kk = 0; kk < D / 16; kk++) { u32 key[2]; right<ROW>(key, rows, 8 * n, kk); multiply<T>(s[n], query[kk], key); }
        #pragma unroll
        for (int l = 0; l < 4; l++) {
          s[n][l] = score<T>(p, s[n][l], b, h, first + 16 * warp + g + l / 2 * 8, k0 + 8 * n + 2 * t + l % 2);
          highest[l / 2] = most(highest[l / 2], s[n][l]);
        }
      }
      #pragma unroll
      for (int r = 0; r < 2; r++) {
        highest[r] = most(highest[r], shuffle_xor(highest[r], 1));
        highest[r] = most(highest[r], shuffle_xor(highest[r], 2));
        const f32 base = highest[r] == -(f32)infinity() ? 0 : highest[r], shrink = expf(top[r] - base);
        top[r] = highest[r];
        sum[r] *= shrink;
        #pragma unroll
        for (int n = 0; n < D / 8; n++) { out[n][2 * r] *= shrink; out[n][2 * r + 1] *= shrink; }
        #pragma unroll
        for (int n = 0; n < N / 8; n++)
          for (int l = 2 * r; l < 2 * r + 2; l++) { s[n][l] = expf(s[n][l] - base); sum[r] += s[n][l]; }
      }
      #pragma unroll
      for (int j = 0; j < N / 16; j++) {
        u32 weight[4];
        again<T>(weight, s, j);
        #pragma unroll
        for (int n = 0; n < D / 8; n++) { u32 value[2]; right<TURNED>(value, turned, 8 * n, j); multiply<T>(out[n], weight, value); }
      }
      __syncthreads();
    }
    #pragma unroll
    for (int r = 0; r < 2; r++) {
      sum[r] += shuffle_xor(sum[r], 1);
      sum[r] += shuffle_xor(sum[r], 2);
      const i64 at = first + 16 * warp + g + 8 * r;
      const f32 inverse = sum[r] > 0 ? 1 / sum[r] : 0;
      if (at < p.length && t == 0) p.logs[z * p.length + at] = sum[r] > 0 ? top[r] + logf(sum[r]) : (f32)infinity();
      T* to = (T*)p.out + b * p.out_step[0] + h * p.out_step[1] + at * p.out_step[2];
      #pragma unroll
      for (int n = 0; n < D / 8; n++)
        for (int l = 0; l < 2; l++) {
          const int d = 8 * n + 2 * t + l;
          if (at < p.length && d < p.value_width) to[d] = as<T>(out[n][2 * r + l] * inverse);
        }
    }
  }
}

template <class T, int D> INLINE void put(void* out, const i64 step[3], i64 b, i64 h, i64 first, i64 count, i64 width, f32 (*sums)[4]) {
  const int warp = threadIdx.x / 32, g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
  for (int n = 0; n < D / 8; n++)
    for (int l = 0; l < 4; l++) {
      const i64 at = first + 16 * warp + g + l / 2 * 8;
      const int d = 8 * n + 2 * t + l % 2;
      if (at < count && d < width) ((T*)out)[b * step[0] + h * step[1] + at * step[2] + d] = as<T>(sums[n][l]);
    }
}

template <class T, int D, bool KEYS> INLINE void gradient(Args& p) {
  constexpr int N = 32, ROW = D / 2 + 4, TURNED = N / 2 + 4;
  DYNAMIC_SHARED(u32, memory);
  u32* const own = memory;                        // this block's keys, or queries
  u32* const own_other = own + ROWS * ROW;        // its values, or gradients
  u32* const rows = own_other + ROWS * ROW;       // a tile of queries, or keys
  u32* const other = rows + N * ROW;              // of gradients, or values
  u32* const turned = other + N * ROW;
  u32* const other_turned = turned + D * TURNED;
  f32* const logs = (f32*)(other_turned + D * TURNED);
  f32* const delta = logs + ROWS;
  const int warp = threadIdx.x / 32, g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
  const int group = (int)p.heads / (int)p.key_heads, own_heads = (int)(KEYS ? p.key_heads : p.heads);
  const i64 first = (i64)blockIdx.x * ROWS, count = KEYS ? p.keys : p.length, across = KEYS ? p.length : p.keys;
  for (i64 z = blockIdx.y; z < p.batch * own_heads; z += gridDim.y) {
    const int b = (int)z / own_heads, own_head = (int)z % own_heads, key_head = KEYS ? own_head : own_head / group;
    const T* key = matrix<T>(p.k, p.k_step, b, key_head);
    const T* value = matrix<T>(p.v, p.v_step, b, key_head);
    f32 sums[D / 8][4], other_sums[KEYS ? D / 8 : 1][4];
    #pragma unroll
    for (int n = 0; n < D / 8; n++) for (int l = 0; l < 4; l++) { sums[n][l] = 0; if (KEYS) other_sums[n][l] = 0; }
    for (i64 h = KEYS ? key_head * group : own_head; h < (KEYS ? (key_head + 1) * group : own_head + 1); h++) {
      const T* query = matrix<T>(p.q, p.q_step, b, h);
      const T* grad = matrix<T>(p.grad, p.grad_step, b, h);
      const i64 numbers = (b * p.heads + h) * p.length;
      __syncthreads();
      stage<T, D, ROWS>(own, nullptr, KEYS ? key : query, KEYS ? p.k_step[2] : p.q_step[2], first, count, p.width);
      stage<T, D, ROWS>(own_other, nullptr, KEYS ? value : grad, KEYS ? p.v_step[2] : p.grad_step[2], first, count, p.value_width);
      const i64 begin = KEYS && p.causal ? first / N * N : 0, end = !KEYS && p.causal ? least(across, first + ROWS) : across;
      for (i64 x0 = begin; x0 < end; x0 += N) {
        stage<T, D, N>(rows, turned, KEYS ? query : key, KEYS ? p.q_step[2] : p.k_step[2], x0, across, p.width);
        stage<T, D, N>(other, KEYS ? other_turned : nullptr, KEYS ? grad : value, KEYS ? p.grad_step[2] : p.v_step[2], x0, across, p.value_width);
        for (int i = threadIdx.x; i < (KEYS ? N : ROWS); i += 32 * WARPS) {
          const i64 at = (KEYS ? x0 : first) + i;
          logs[i] = at < p.length ? p.logs[numbers + at] : (f32)infinity();
          delta[i] = at < p.length ? p.delta[numbers + at] : 0;
        }
        __syncthreads();
        f32 weight[N / 8][4], slope[N / 8][4];
        #pragma unroll
        for (int n = 0; n < N / 8; n++) {
          for (int l = 0; l < 4; l++) weight[n][l] = slope[n][l] = 0;
          for (int kk = 0; kk < D / 16; kk++) {
            u32 a[4], c[2];
            left<D>(a, own, 16 * warp, kk); right<ROW>(c, rows, 8 * n, kk); multiply<T>(weight[n], a, c);
            left<D>(a, own_other, 16 * warp, kk); right<ROW>(c, other, 8 * n, kk); multiply<T>(slope[n], a, c);
          }
          #pragma unroll
          for (int l = 0; l < 4; l++) {
            const int r = 16 * warp + g + l / 2 * 8, c = 8 * n + 2 * t + l % 2, number = KEYS ? c : r;
            const i64 at = KEYS ? x0 + c : first + r, to = KEYS ? first + r : x0 + c;
            weight[n][l] = expf(score<T>(p, weight[n][l], b, h, at, to) - logs[number]);
            slope[n][l] = weight[n][l] * (slope[n][l] - delta[number]) * (f32)p.scale;
          }
        }
        #pragma unroll
        for (int j = 0; j < N / 16; j++) {
          u32 a[4], c[2];
          again<T>(a, slope, j);
          #pragma unroll
          for (int n = 0; n < D / 8; n++) { right<TURNED>(c, turned, 8 * n, j); multiply<T>(sums[n], a, c); }
          if (!KEYS) continue;
          again<T>(a, weight, j);
          #pragma unroll
          for (int n = 0; n < D / 8; n++) { right<TURNED>(c, other_turned, 8 * n, j); multiply<T>(other_sums[KEYS ? n : 0], a, c); }
        }
        __syncthreads();
      }
    }
    put<T, D>(KEYS ? p.dk : p.dq, KEYS ? p.dk_step : p.dq_step, b, own_head, first, count, p.width, sums);
    if (KEYS) put<T, D>(p.dv, p.dv_step, b, own_head, first, count, p.value_width, other_sums);
  }
}

extern "C" __global__ void __launch_bounds__(128) SYMBOL(Args args) { ENTRY(args); }
