// Scaled dot-product attention on threads, for float64 and for wide heads, in one pass over tiles of the scores. Elements of type T are worked on as A.
// Of a tile of 16 R rows and as many columns each of 256 threads has the R x R whose rows are apart by 16, and so are columns.

#include "attention.cuh"
#include "tiles.cuh"

constexpr int THREADS = 256;

// Rows of a tile begin V elements further on in shared memory's banks, so that the lanes of a warp read 16 bytes each from different ones.
template <class A> constexpr int V = 16 / sizeof(A);
template <class A, int D> constexpr int ROW = D + V<A>;

// Asks for positions first ... of a matrix as rows of a tile (up to its width, zeros beyond its end), to be there after `arrived` and a barrier.
template <class T, class A, int D, int N> INLINE void ask(A* tile, const T* p, i64 step, int first, int count, int width) {
  for (int e = threadIdx.x; e < N * (D / V<A>); e += THREADS) {
    const int s = e / (D / V<A>), d = e % (D / V<A>) * V<A>;
    const T* at = p + (first + s) * step + d;
    A* to = tile + s * ROW<A, D> + d;
    if (sizeof(T) == sizeof(A) && first + s < count && d + V<A> <= width && (u64)at % 16 == 0) { fetch(to, at); continue; }
    for (int i = 0; i < V<A>; i++) to[i] = first + s < count && d + i < width ? as<A>(at[i]) : A(0);
  }
}

template <class A, int R> INLINE void clear(A (*sums)[R], int rows) { for (int i = 0; i < rows; i++) for (int j = 0; j < R; j++) sums[i][j] = 0; }

// The inner products of a thread's rows of two tiles, of which `width` elements count.
template <class A, int D, int R> INLINE void products(A (*sums)[R], const A* own, const A* other, int width) {
  typedef Pack<A, V<A>> Run;
  const int column = threadIdx.x % 16, row = threadIdx.x / 16;
  clear<A, R>(sums, R);
  #pragma unroll 2
  for (int d = 0; d < width; d += V<A>) {
    Run x[R], y[R];
    #pragma unroll
    for (int i = 0; i < R; i++) {
      x[i] = *(const Run*)(own + (row + 16 * i) * ROW<A, D> + d);
      y[i] = *(const Run*)(other + (column + 16 * i) * ROW<A, D> + d);
    }
    #pragma unroll
    for (int l = 0; l < V<A>; l++)
      #pragma unroll
      for (int i = 0; i < R; i++)
        #pragma unroll
        for (int j = 0; j < R; j++) sums[i][j] = fma_of(x[i].v[l], y[j].v[l], sums[i][j]);
  }
}

// sums += weights x tile: for a thread's rows, runs of V columns that are apart by 16 V.
template <class A, int D, int R> INLINE void add(A (*sums)[D / 16], const A* weights, const A* tile) {
  typedef Pack<A, V<A>> Run;
  const int column = threadIdx.x % 16, row = threadIdx.x / 16;
  #pragma unroll 1
  for (int c = 0; c < 16 * R; c += V<A>) {
    Run x[R];
    #pragma unroll
    for (int i = 0; i < R; i++) x[i] = *(const Run*)(weights + (row + 16 * i) * ROW<A, 16 * R> + c);
    #pragma unroll
    for (int l = 0; l < V<A>; l++)
      #pragma unroll
      for (int n = 0; n < D / 16 / V<A>; n++) {
        const Run y = *(const Run*)(tile + (c + l) * ROW<A, D> + V<A> * (column + 16 * n));
        #pragma unroll
        for (int i = 0; i < R; i++)
          #pragma unroll
          for (int m = 0; m < V<A>; m++) sums[i][V<A> * n + m] = fma_of(x[i].v[l], y.v[m], sums[i][V<A> * n + m]);
      }
  }
}

// A thread's share of a tile of weights, to where all can read it.
template <class A, int R> INLINE void show(A* weights, A (*mine)[R]) {
  #pragma unroll
  for (int i = 0; i < R; i++)
    #pragma unroll
    for (int j = 0; j < R; j++) weights[(threadIdx.x / 16 + 16 * i) * ROW<A, 16 * R> + threadIdx.x % 16 + 16 * j] = mine[i][j];
}

template <class T, class A, int D, int R> INLINE void put(void* out, const i64 step[3], int b, int h, int first, int count, int width, A (*sums)[D / 16]) {
  #pragma unroll
  for (int i = 0; i < R; i++) {
    const int at = first + threadIdx.x / 16 + 16 * i;
    T* const to = (T*)out + b * step[0] + h * step[1] + at * step[2];
    #pragma unroll
    for (int n = 0; n < D / 16; n++) {
      const int d = V<A> * (threadIdx.x % 16 + n / V<A> * 16) + n % V<A>;
      if (at < count && d < width) to[d] = as<T>(sums[i][n]);
    }
  }
}

INLINE f32 power(f32 x) { return expf(x); }
INLINE f64 power(f64 x) { return exp(x); }
INLINE f32 logarithm(f32 x) { return logf(x); }
INLINE f64 logarithm(f64 x) { return log(x); }

// Keys and values take turns in one tile: while weights are made of the scores the values are on their way.
template <class T, class A, int D, int R> INLINE void forward(Args& p) {
  constexpr int N = 16 * R;
  DYNAMIC_SHARED(A, memory);
  A* const queries = memory;
  A* const tile = queries + N * ROW<A, D>;
  A* const weights = tile + N * ROW<A, D>;
  const int column = threadIdx.x % 16, row = threadIdx.x / 16, first = (int)blockIdx.x * N, heads = (int)p.heads;
  const int length = (int)p.length, count = (int)p.keys, width = (int)p.width, value_width = (int)p.value_width;
  const int end = p.causal ? least(count, first + N) : count;
  const A lowest = -(A)infinity();
  for (i64 z = blockIdx.y; z < p.batch * heads; z += gridDim.y) {
    const int b = (int)z / heads, h = (int)z % heads, key_head = h / (heads / (int)p.key_heads);
    const T* const key = matrix<T>(p.k, p.k_step, b, key_head);
    const T* const value = matrix<T>(p.v, p.v_step, b, key_head);
    ask<T, A, D, N>(queries, matrix<T>(p.q, p.q_step, b, h), p.q_step[2], first, length, width);
    A sums[R][D / 16], top[R], total[R];
    clear<A, D / 16>(sums, R);
    for (int i = 0; i < R; i++) { top[i] = lowest; total[i] = 0; }
    for (int k0 = 0; k0 < end; k0 += N) {
      ask<T, A, D, N>(tile, key, p.k_step[2], k0, count, width);
      arrived();
      __syncthreads();   // the keys are there, and at first the queries
      A s[R][R];
      products<A, D, R>(s, queries, tile, width);
      __syncthreads();   // nobody needs the keys any more
      ask<T, A, D, N>(tile, value, p.v_step[2], k0, count, value_width);
      const bool all = plain(p, first, N, k0, N);
      #pragma unroll
      for (int i = 0; i < R; i++) {
        A highest = top[i];
        #pragma unroll
        for (int j = 0; j < R; j++) {
          s[i][j] *= (A)p.scale;
          if (!all) s[i][j] = masked<T>(p, s[i][j], A(1), b, h, first + row + 16 * i, k0 + column + 16 * j);
          highest = most(highest, s[i][j]);
        }
        #pragma unroll
        for (int lanes = 1; lanes < 16; lanes *= 2) highest = most(highest, shuffle_xor(highest, lanes));
        const A base = highest == lowest ? A(0) : highest, shrink = power(top[i] - base);
        top[i] = highest;
        total[i] *= shrink;
        #pragma unroll
        for (int n = 0; n < D / 16; n++) sums[i][n] *= shrink;
        #pragma unroll
        for (int j = 0; j < R; j++) {
          s[i][j] = power(s[i][j] - base);
          total[i] += s[i][j];
          if (p.kept) s[i][j] *= kept<T, A>(p, b, h, first + row + 16 * i, k0 + column + 16 * j);
        }
      }
      show<A, R>(weights, s);
      arrived();
      __syncthreads();   // values and weights are there
      add<A, D, R>(sums, weights, tile);
      __syncthreads();   // nobody needs them any more
    }
    #pragma unroll
    for (int i = 0; i < R; i++) {
      #pragma unroll
      for (int lanes = 1; lanes < 16; lanes *= 2) total[i] += shuffle_xor(total[i], lanes);
      const int at = first + row + 16 * i;
      if (at < length && column == 0) ((A*)p.logs)[z * length + at] = total[i] == 0 ? -lowest : top[i] + logarithm(total[i]);   // 0: of who sees no key
      #pragma unroll
      for (int n = 0; n < D / 16; n++) sums[i][n] = total[i] == 0 ? A(0) : sums[i][n] / total[i];
    }
    put<T, A, D, R>(p.out, p.out_step, b, h, first, length, value_width, sums);
  }
}

template <class T, class A, int D, int R, bool KEYS> INLINE void gradient(Args& p) {
  constexpr int N = 16 * R;
  DYNAMIC_SHARED(A, memory);
  A* const own = memory;                        // this block's keys, or queries
  A* const own_other = own + N * ROW<A, D>;     // its values, or gradients
  A* const tile = own_other + N * ROW<A, D>;    // of queries, or keys
  A* const other = tile + N * ROW<A, D>;        // of gradients, or values
  A* const shown = other + N * ROW<A, D>;       // weights, then slopes
  const int column = threadIdx.x % 16, row = threadIdx.x / 16, first = (int)blockIdx.x * N, length = (int)p.length;
  const int group = (int)p.heads / (int)p.key_heads, own_heads = (int)(KEYS ? p.key_heads : p.heads);
  const int count = (int)(KEYS ? p.keys : p.length), across = (int)(KEYS ? p.length : p.keys), width = (int)p.width, value_width = (int)p.value_width;
  const int begin = KEYS && p.causal ? first : 0, end = !KEYS && p.causal ? least(across, first + N) : across;
  const A scale = (A)p.scale;
  for (i64 z = blockIdx.y; z < p.batch * own_heads; z += gridDim.y) {
    const int b = (int)z / own_heads, own_head = (int)z % own_heads, key_head = KEYS ? own_head : own_head / group;
    const T* const key = matrix<T>(p.k, p.k_step, b, key_head);
    const T* const value = matrix<T>(p.v, p.v_step, b, key_head);
    A sums[R][D / 16], other_sums[KEYS ? R : 1][D / 16];
    clear<A, D / 16>(sums, R);
    clear<A, D / 16>(other_sums, KEYS ? R : 1);
    for (int h = KEYS ? key_head * group : own_head; h < (KEYS ? (key_head + 1) * group : own_head + 1); h++) {
      const T* const query = matrix<T>(p.q, p.q_step, b, h);
      const T* const grad = matrix<T>(p.grad, p.grad_step, b, h);
      const A* const logs = (const A*)p.logs + (b * p.heads + h) * length;
      const A* const delta = (const A*)p.delta + (b * p.heads + h) * length;
      ask<T, A, D, N>(own, KEYS ? key : query, KEYS ? p.k_step[2] : p.q_step[2], first, count, width);
      ask<T, A, D, N>(own_other, KEYS ? value : grad, KEYS ? p.v_step[2] : p.grad_step[2], first, count, value_width);
      for (int x0 = begin; x0 < end; x0 += N) {
        ask<T, A, D, N>(tile, KEYS ? query : key, KEYS ? p.q_step[2] : p.k_step[2], x0, across, width);
        ask<T, A, D, N>(other, KEYS ? grad : value, KEYS ? p.grad_step[2] : p.v_step[2], x0, across, value_width);
        arrived();
        __syncthreads();   // the tiles are there
        A weight[R][R], slope[R][R];
        products<A, D, R>(weight, own, tile, width);
        products<A, D, R>(slope, own_other, other, value_width);
        const bool all = KEYS ? plain(p, x0, N, first, N) : plain(p, first, N, x0, N);
        #pragma unroll
        for (int i = 0; i < R; i++)
          #pragma unroll
          for (int j = 0; j < R; j++) {
            const int r = first + row + 16 * i, c = x0 + column + 16 * j, at = KEYS ? c : r, position = KEYS ? r : c;
            A x = weight[i][j] * scale;
            if (!all) x = masked<T>(p, x, A(1), b, h, at, position);
            const A w = at < length ? power(x - logs[at]) : A(0), keep = p.kept ? kept<T, A>(p, b, h, at, position) : A(1);
            const A towards_score = w * (slope[i][j] * keep - (at < length ? delta[at] : A(0)));
            if (!KEYS && p.slopes && inside(p, at, position)) ((T*)p.slopes)[place(p.slopes_step, b, h, at, position)] = as<T>(towards_score);
            slope[i][j] = towards_score * scale;
            weight[i][j] = w * keep;
          }
        if (KEYS) {
          show<A, R>(shown, weight);
          __syncthreads();   // the weights are there
          add<A, D, R>(other_sums, shown, other);
          __syncthreads();   // nobody needs them any more
        }
        show<A, R>(shown, slope);
        __syncthreads();   // the slopes are there
        add<A, D, R>(sums, shown, tile);
        __syncthreads();   // nobody needs any of it
      }
      arrived();   // what was asked for where no turn is taken
    }
    put<T, A, D, R>(KEYS ? p.dk : p.dq, KEYS ? p.dk_step : p.dq_step, b, own_head, first, count, width, sums);
    if (KEYS) put<T, A, D, R>(p.dv, p.dv_step, b, own_head, first, count, value_width, other_sums);
  }
}

extern "C" __global__ void __launch_bounds__(256) SYMBOL(Args args) { ENTRY(args); }
