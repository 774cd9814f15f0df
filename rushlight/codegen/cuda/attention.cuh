// What the kernels of attention share, on tensor cores (attention.cu) and on threads (attention_threads.cu). Included as text.
//
// `forward` keeps the running maximum and sum of each query (Milakov and Gimelshein 2018, Dao et al. 2022). `gradient` recomputes the scores' weights
// from the logarithms that forward leaves: with rows of keys it sums the gradients of keys and values, with rows of queries that of the queries; each sum
// belongs to one thread or warp and is made in one order. Scores are never written down.

#include "elements.cuh"

struct Args {
  const void* q; const void* k; const void* v; const void* mask; const void* kept; void* out; void* logs;
  const void* grad; const void* delta; void* dq; void* dk; void* dv; void* slopes;   // slopes: of the scores before their scale, or none
  i64 batch, heads, key_heads, length, keys, width, value_width, causal;
  i64 q_step[3], k_step[3], v_step[3], out_step[3], grad_step[3], dq_step[3], dk_step[3], dv_step[3];   // batch, head, position
  i64 mask_step[3], kept_step[3], slopes_step[3];                                                       // keys are neighbours
  f64 scale;
};

template <class T> INLINE const T* matrix(const void* p, const i64 step[3], i64 batch, i64 head) { return (const T*)p + batch * step[0] + head * step[1]; }
INLINE i64 place(const i64 step[3], int b, int h, int query, int key) { return b * step[0] + h * step[1] + query * step[2] + key; }
INLINE bool inside(Args& p, int query, int key) { return query < (int)p.length && key < (int)p.keys; }

// A score with its mask; minus infinity where the key does not count. unit: what a mask's 1 is in scores.
template <class T, class A> INLINE A masked(Args& p, A score, A unit, int b, int h, int query, int key) {
  if (!inside(p, query, key) || (p.causal && key > query)) return -(A)infinity();
  return p.mask ? score + as<A>(((const T*)p.mask)[place(p.mask_step, b, h, query, key)]) * unit : score;
}
// By what a weight is multiplied: 0 where it is dropped.
template <class T, class A> INLINE A kept(Args& p, int b, int h, int query, int key) {
  return p.kept && inside(p, query, key) ? as<A>(((const T*)p.kept)[place(p.kept_step, b, h, query, key)]) : A(1);
}
// Do all pairs of queries and keys of a tile count, and nothing is added to them?
INLINE bool plain(Args& p, int query, int queries, int key, int keys) {
  return !p.mask && query + queries <= (int)p.length && key + keys <= (int)p.keys && (!p.causal || key + keys <= query + 1);
}
