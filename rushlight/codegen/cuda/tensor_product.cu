// Matrix products on tensor cores: half-width floats, and float32 rounded to tf32, summed in float32.
//
// A tile of 128 x 128 belongs to a block of eight warps, 64 x 32 of it to a warp, in pieces of 16 x 8. Tiles of the operands, 64 bytes of k deep, are
// staged in shared memory while the next ones are on their way to registers.

#include "elements.cuh"

struct Args {
  const void* a; const void* b; void* c;
  i64 m, n, k, batch;
  i64 a_row, a_column, a_batch, b_row, b_column, b_batch, c_row, c_batch;   // in elements
  i64 conjugate_a, conjugate_b;
  f64 alpha_re, alpha_im, beta_re, beta_im;
};

// One piece of work for the tensor cores of a warp. The host's twin gathers the operands' fragments from the lanes that hold them (layouts as in
// the PTX manual, m16n8k16 and m16n8k8) and adds the products in the order of k.
#ifndef __CUDA_ARCH__
template <class T, int PAIRS> INLINE f32 dot_of_lane(f32 sum, const u32* a, const u32* b) {
  for (int i = 0; i < PAIRS; i++) {
    if (sizeof(T) == 2) {
      sum = fmaf((f32)bits_as<T>((u16)a[i]), (f32)bits_as<T>((u16)b[i]), sum);
      sum = fmaf((f32)bits_as<T>((u16)(a[i] >> 16)), (f32)bits_as<T>((u16)(b[i] >> 16)), sum);
    } else sum = fmaf(bits_as<f32>(a[i] & 0xffffe000u), bits_as<f32>(b[i] & 0xffffe000u), sum);
  }
  return sum;
}
template <class T> INLINE void multiply(f32 c[4], const u32 a[4], const u32 b[2]) {
  const int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
  f32 part[4] = {c[0], c[1], c[2], c[3]};
  for (int half = 0; half < 2; half++)
    for (int j = 0; j < 4; j++) {
      u32 low = __shfl_sync(~0u, a[2 * half], 4 * g + j), high = __shfl_sync(~0u, a[2 * half + 1], 4 * g + j);
      u32 left = __shfl_sync(~0u, b[half], 8 * t + j), right = __shfl_sync(~0u, b[half], 8 * t + 4 + j);
      part[0] = dot_of_lane<T, 1>(part[0], &low, &left); part[1] = dot_of_lane<T, 1>(part[1], &low, &right);
      part[2] = dot_of_lane<T, 1>(part[2], &high, &left); part[3] = dot_of_lane<T, 1>(part[3], &high, &right);
    }
  for (int i = 0; i < 4; i++) c[i] = part[i];
}
#else
template <class T> INLINE void multiply(f32 c[4], const u32 a[4], const u32 b[2]);
#define MULTIPLY(T, SHAPE, KIND)                                                                                                   \
  template <> INLINE void multiply<T>(f32 c[4], const u32 a[4], const u32 b[2]) {                                                  \
    asm volatile("mma.sync.aligned." SHAPE ".row.col.f32." KIND "." KIND ".f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};" \
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));        \
  }
MULTIPLY(bf16, "m16n8k16", "bf16")
MULTIPLY(f16, "m16n8k16", "f16")
MULTIPLY(f32, "m16n8k8", "tf32")
#endif

INLINE f32 rounded(f32 x) { return bits_as<f32>((bits_as<u32>(x) + 0x1000u) & 0xffffe000u); }   // to tf32: 10 bits of fraction
INLINE bf16 rounded(bf16 x) { return x; }
INLINE f16 rounded(f16 x) { return x; }

// A row of a tile is 80 bytes, so that the 32 lanes of a warp read their fragments from 32 different banks.
constexpr int SIDE = 128, ROW = 20;   // ROW: words of a tile's row, 16 of them used

// A thread's share of a tile, 32 bytes: two runs of 16 bytes along k or, where memory runs across, along the other dim.
template <class T> struct Share {
  static constexpr int N = 16 / sizeof(T), DEPTH = 64 / sizeof(T);
  T x[2][N];
  INLINE void load(const T* from, i64 across, i64 along, i64 first, i64 rows, i64 k0, i64 k, bool deep, bool whole) {
    #pragma unroll
    for (int r = 0; r < 2; r++) {
      int e = r * 256 + threadIdx.x;
      i64 s = deep ? first + e / 4 : first + e % (SIDE / N) * N, d = deep ? k0 + e % 4 * N : k0 + e / (SIDE / N);
      const T* at = from + s * across + d * along;
      if (whole && (deep ? s < rows && d + N <= k : s + N <= rows && d < k)) { memcpy(x[r], __builtin_assume_aligned(at, 16), 16); continue; }
      #pragma unroll
      for (int i = 0; i < N; i++) {
        bool inside = deep ? s < rows && d + i < k : s + i < rows && d < k;
        x[r][i] = inside ? at[i * (deep ? along : across)] : T(0);
      }
    }
  }
  INLINE void store(u32 (*tile)[ROW], bool deep) {
    #pragma unroll
    for (int r = 0; r < 2; r++) {
      int e = r * 256 + threadIdx.x;
      #pragma unroll
      for (int i = 0; i < N; i++) {
        int s = deep ? e / 4 : e % (SIDE / N) * N + i, d = deep ? e % 4 * N + i : e / (SIDE / N);
        ((T*)tile[s])[d] = rounded(x[r][i]);
      }
    }
  }
};

template <class T> INLINE void tensor_product(Args& p) {
  __shared__ u32 a_tile[SIDE][ROW];
  __shared__ u32 b_tile[SIDE][ROW];
  constexpr int DEPTH = Share<T>::DEPTH;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
  const int m1 = warp / 4 * 64, n1 = warp % 4 * 32;
  const i64 tiles_n = ceil_div(p.n, SIDE), m0 = (i64)blockIdx.x / tiles_n * SIDE, n0 = (i64)blockIdx.x % tiles_n * SIDE;
  const bool deep_a = p.a_column == 1, deep_b = p.b_row == 1;
  const bool add = p.beta_re != 0;
  const f32 alpha = (f32)p.alpha_re, beta = (f32)p.beta_re;
  for (i64 z = blockIdx.y; z < p.batch; z += gridDim.y) {
    const T* a = (const T*)p.a + z * p.a_batch;
    const T* b = (const T*)p.b + z * p.b_batch;
    const bool whole_a = ((u64)a % 16 == 0) && (deep_a ? p.a_row : p.a_column) * sizeof(T) % 16 == 0 && (deep_a || p.a_row == 1);
    const bool whole_b = ((u64)b % 16 == 0) && (deep_b ? p.b_column : p.b_row) * sizeof(T) % 16 == 0 && (deep_b || p.b_column == 1);
    f32 sums[4][4][4];
    for (int i = 0; i < 4; i++) for (int j = 0; j < 4; j++) for (int l = 0; l < 4; l++) sums[i][j][l] = 0;
    Share<T> next_a, next_b;
    next_a.load(a, p.a_row, p.a_column, m0, p.m, 0, p.k, deep_a, whole_a);
    next_b.load(b, p.b_column, p.b_row, n0, p.n, 0, p.k, deep_b, whole_b);
    for (i64 k0 = 0; k0 < p.k; k0 += DEPTH) {
      next_a.store(a_tile, deep_a);
      next_b.store(b_tile, deep_b);
      __syncthreads();
      if (k0 + DEPTH < p.k) {
        next_a.load(a, p.a_row, p.a_column, m0, p.m, k0 + DEPTH, p.k, deep_a, whole_a);
        next_b.load(b, p.b_column, p.b_row, n0, p.n, k0 + DEPTH, p.k, deep_b, whole_b);
      }
      #pragma unroll
      for (int word = 0; word < 16; word += 8) {
        u32 x[4][4], y[4][2];
        #pragma unroll
        for (int i = 0; i < 4; i++) {
          const int r = m1 + 16 * i + g;
          x[i][0] = a_tile[r][word + t]; x[i][1] = a_tile[r + 8][word + t];
          x[i][2] = a_tile[r][word + t + 4]; x[i][3] = a_tile[r + 8][word + t + 4];
          y[i][0] = b_tile[n1 + 8 * i + g][word + t]; y[i][1] = b_tile[n1 + 8 * i + g][word + t + 4];
        }
        #pragma unroll
        for (int i = 0; i < 4; i++)
          #pragma unroll
          for (int j = 0; j < 4; j++) multiply<T>(sums[i][j], x[i], y[j]);
      }
      __syncthreads();
    }
    T* c = (T*)p.c + z * p.c_batch;
    #pragma unroll
    for (int i = 0; i < 4; i++)
      #pragma unroll
      for (int j = 0; j < 4; j++)
        #pragma unroll
        for (int l = 0; l < 4; l++) {
          i64 r = m0 + m1 + 16 * i + g + l / 2 * 8, s = n0 + n1 + 8 * j + 2 * t + l % 2;
          if (r < p.m && s < p.n) {
            T* at = c + r * p.c_row + s;
            f32 value = alpha * sums[i][j][l];
            *at = as<T>(add ? fmaf(beta, as<f32>(*at), value) : value);
          }
        }
  }
}

extern "C" __global__ void __launch_bounds__(256) SYMBOL(Args args) { ENTRY(args); }
