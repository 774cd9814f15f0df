// Stable sorts of long rows, by the digits of their keys: eight bits each, the lowest one first.
//
// Rows that fit into a block's shared memory are read and written once (`whole`). Longer ones take a sweep for each digit, after A. Adinets and
// D. Merrill, "Onesweep" (2022). `histogram` reads the elements and counts every digit of their keys. `sweep` takes tile after tile of a row:
// it finds out how many of each digit the tiles before have from what these publish (looking back until one knows all before it), puts the
// tile in the order of its digits in shared memory, so that neighbours go to neighbouring places, and writes keys and places there. The first
// sweep reads the elements, the last one writes the results; digits that all keys of a row share have no sweep. A tile's number is a ticket:
// whoever holds a lower one runs already, so nobody waits for a block that has not begun.

#include "keys.cuh"

struct Args {
  const void* input; void* values; i64* indices;
  void* keys; void* places; void* spare_keys; void* spare_places; u64* ledger;
  i64 rows, n, k, flip, digit, digits, chunks, span;   // digits: of a key; chunks: tiles of a row; span: elements that a block counts
};
constexpr int THREADS = 512, WARPS = THREADS / 32, DIGITS = 256, COUNTERS = 8192, LEDGER = 16, REST = 10752;

template <class K> INLINE u32 digit_of(K key, int shift) { return (u32)(key >> shift) & (DIGITS - 1); }
template <class T> INLINE Key<T> key_at(Args& p, i64 i) { return (Key<T>)(key_of(((const T*)p.input)[i]) ^ (p.flip ? last_key<T>() : 0)); }

// -- the ledger, zero at first: the bits in which keys differ, tickets and counts of the digits, states of the tiles --

template <class I> INLINE I* counts_of(Args& p, i64 row, int digit) { return (I*)(p.ledger + LEDGER) + (row * p.digits + digit) * DIGITS; }
template <class I> INLINE volatile I* state_of(Args& p, i64 row, i64 chunk) {
  return counts_of<I>(p, p.rows, 0) + ((p.digit * p.rows + row) * p.chunks + chunk) * DIGITS + threadIdx.x;
}

// K: the type of keys; I: that of places in a row and of numbers of elements.
template <class T, class K, class I> INLINE void histogram(Args& p) {
  constexpr int PARTS = COUNTERS / DIGITS / sizeof(K), EACH = 8;   // PARTS: neighbouring lanes count apart and seldom wait for each other
  __shared__ u32 counters[sizeof(K)][DIGITS][PARTS];
  __shared__ u64 differing;
  const int t = threadIdx.x;
  const i64 spans = ceil_div(p.n, p.span);
  for (int i = t; i < COUNTERS; i += THREADS) (&counters[0][0][0])[i] = 0;
  if (t == 0) differing = 0;
  for (i64 b = blockIdx.x; b < p.rows * spans; b += gridDim.x) {
    __syncthreads();
    const i64 row = b / spans, begin = row * p.n + b % spans * p.span, end = least<i64>(begin + p.span, (row + 1) * p.n);
    const K first = (K)key_at<T>(p, row * p.n);
    K differs = 0;
    for (i64 from = begin + t; from < end; from += THREADS * EACH) {
      K key[EACH];
      #pragma unroll
      for (int e = 0; e < EACH; e++) key[e] = from + e * THREADS < end ? (K)key_at<T>(p, from + e * THREADS) : K(0);
      #pragma unroll
      for (int e = 0; e < EACH; e++) {
        if (from + e * THREADS >= end) break;
        differs |= key[e] ^ first;
        #pragma unroll
        for (int d = 0; d < (int)sizeof(K); d++)
          if (d < p.digits) atomicAdd(&counters[d][digit_of(key[e], 8 * d)][t % PARTS], 1u);
      }
    }
    for (int mask = 16; mask > 0; mask /= 2) differs |= (K)shuffle_xor((u64)differs, mask);
    if (t % 32 == 0) atomicOr(&differing, (u64)differs);
    __syncthreads();
    for (int i = t; i < (int)p.digits * DIGITS; i += THREADS) {
      u32* const parts = &counters[0][0][0] + i * PARTS;
      u32 sum = 0;
      for (int j = 0; j < PARTS; j++) {
        u32& part = parts[(j + i * PARTS / 32) % PARTS];       // lanes start at other ones: in other banks
        sum += part;
        part = 0;
      }
      if (sum) atomicAdd(counts_of<I>(p, row, 0) + i, (I)sum);
    }
    if (t == 0) atomicOr(p.ledger, differing);
  }
}

// -- a tile: each warp has a line of it, of which each lane has every 32nd key --

// The lanes of the warp that have this one's digit.
INLINE u32 peers(u32 digit) {
  u32 same = ~0u;
  #pragma unroll
  for (int b = 0; b < 8; b++) {
    const bool set = digit >> b & 1;
    same &= __ballot_sync(~0u, set) ^ (set ? 0 : ~0u);
  }
  return same;
}

// What a block shares: the keys and places of a tile in the order of their digits, and some numbers.
template <class K, class P, class I, int EACH> struct Room {
  K keys[THREADS * EACH];
  P places[THREADS * EACH];
  u16 found[WARPS][DIGITS];                              // of a digit, in a warp's line; then the rank of the first of them
  I target[DIGITS];                                      // where the tile's keys of a digit go, less their rank
  I starts[DIGITS / 32];
  u32 sums[DIGITS / 32], ticket;
};

// The sum of what the threads before this one hold, of those that have a digit each; shared: a value for each of their warps.
template <class I> INLINE I sum_before(I own, I* shared) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  I sum = own, before = 0;
  for (int by = 1; by < 32; by *= 2) {
    const I left = from_left(sum, by);
    if (lane >= by) sum += left;
  }
  if (lane == 31 && warp < DIGITS / 32) shared[warp] = sum;
  __syncthreads();
  for (int w = 0; w < DIGITS / 32 && w < warp; w++) before += shared[w];
  return before + sum - own;
}

// Numbers below 2**16, two in a register: a thread has 64, so that a multiprocessor has room for two blocks.
template <int N> struct Halves {
  u32 words[N / 2];
  MEMBER u32 operator[](int i) const { return i % 2 ? words[i / 2] >> 16 : words[i / 2] & 0xffff; }
  MEMBER void set(int i, u32 x) { words[i / 2] = i % 2 ? words[i / 2] | x << 16 : x; }    // one after the other
  MEMBER void add(int i, u32 x) { words[i / 2] += i % 2 ? x << 16 : x; }
};

struct Digit { u32 count, start; };

// rank[e]: where key[e] belongs in the order of the digits, equal ones in that of the tile. Thread t learns how many have digit t, and their
// first rank.
template <class K, class R, int EACH> INLINE Digit ranked(R& room, const K (&key)[EACH], int shift, Halves<EACH>& rank) {
  const int t = threadIdx.x, lane = t % 32;
  u16* const mine = room.found[t / 32];
  for (int d = lane; d < DIGITS; d += 32) mine[d] = 0;
  __syncwarp();
  #pragma unroll
  for (int e = 0; e < EACH; e++) {
    const u32 digit = digit_of(key[e], shift), same = peers(digit), before = mine[digit];
    const u32 left = __popc(same & ((1u << lane) - 1));
    rank.set(e, before + left);
    __syncwarp();
    if (left == 0) mine[digit] = (u16)(before + __popc(same));
    __syncwarp();
  }
  __syncthreads();
  u32 count = 0;
  if (t < DIGITS) {
    #pragma unroll 4
    for (int w = 0; w < WARPS; w++) { const u32 here = room.found[w][t]; room.found[w][t] = (u16)count; count += here; }
  }
  const u32 start = sum_before(count, room.sums);
  if (t < DIGITS) {
    #pragma unroll 4
    for (int w = 0; w < WARPS; w++) room.found[w][t] += (u16)start;
  }
  __syncthreads();
  #pragma unroll
  for (int e = 0; e < EACH; e++) rank.add(e, mine[digit_of(key[e], shift)]);
  return {count, start};
}

// Writes a result: the value from its key, where that tells it.
template <class T> INLINE void put(Args& p, i64 row, i64 to, Key<T> key, i64 place) {
  T value;
  if (!element_of<T>((Key<T>)(key ^ (p.flip ? last_key<T>() : 0)), value)) value = ((const T*)p.input)[row * p.n + place];
  ((T*)p.values)[row * p.k + to] = value;
  p.indices[row * p.k + to] = place;
}

// Sorts rows that fit into a tile.
template <class T, class K, int EACH> INLINE void whole(Args& p) {
  typedef Room<K, u16, u32, EACH> R;
  static_assert(sizeof(R) <= THREADS * EACH * (sizeof(K) + 2) + REST, "what a launch asks for");
  DYNAMIC_SHARED(R, room);
  const int n = (int)p.n, k = (int)p.k, first = threadIdx.x / 32 * 32 * EACH + threadIdx.x % 32;
  for (i64 row = blockIdx.x; row < p.rows; row += gridDim.x) {
    const K some = (K)key_at<T>(p, row * p.n);
    K key[EACH];
    Halves<EACH> rank, place;
    #pragma unroll
    for (int e = 0; e < EACH; e++) {
      const int i = first + 32 * e;
      place.set(e, i);
      key[e] = i < n ? (K)key_at<T>(p, row * p.n + i) : (K)~K(0);      // what isn't there stays behind the row
    }
    for (int shift = 0; shift < 8 * (int)sizeof(K); shift += 8) {
      u32 differs = 0;
      #pragma unroll
      for (int e = 0; e < EACH; e++) differs |= first + 32 * e < n ? digit_of((K)(key[e] ^ some), shift) : 0;
      if (!__syncthreads_or(differs)) continue;
      ranked(*room, key, shift, rank);
      #pragma unroll
      for (int e = 0; e < EACH; e++) room->keys[rank[e]] = key[e], room->places[rank[e]] = (u16)place[e];
      __syncthreads();
      #pragma unroll
      for (int e = 0; e < EACH; e++) key[e] = room->keys[first + 32 * e], place.set(e, room->places[first + 32 * e]);
    }
    #pragma unroll
    for (int e = 0; e < EACH; e++)
      if (first + 32 * e < k) put<T>(p, row, first + 32 * e, key[e], place[e]);
  }
}

// -- sweeps --

// How many of digit t the tiles before one have, and how many of smaller digits the row. A state is a number with a bit that says of what: of
// its TILE, or of ALL up to it; 0: not known yet.
template <class I> struct State {
  static constexpr I ALL = (I)1 << (8 * sizeof(I) - 1), TILE = ALL >> 1;
  INLINE I before(volatile I* own) {
    for (I sum = 0;;) {
      own -= DIGITS;
      I seen;
      do seen = *own; while (seen == 0);
      sum += seen & (TILE - 1);
      if (seen & ALL) return sum;
    }
  }
};

// EACH: keys of a thread.
template <class T, class K, class I, int EACH> INLINE void sweep(Args& p) {
  constexpr int TILE = THREADS * EACH;
  constexpr K NONE = (K)~K(0);                           // what isn't there is last
  typedef Room<K, I, I, EACH> R;
  static_assert(sizeof(R) <= TILE * (sizeof(K) + sizeof(I)) + REST, "what a launch asks for");
  DYNAMIC_SHARED(R, room);
  const u64 differing = *p.ledger;
  u32 sweeps = 0;                                        // the digits that have one: at least one
  for (int d = 0; d < p.digits; d++) sweeps |= ((differing >> 8 * d & 255) != 0 || (differing == 0 && d == 0)) << d;
  if (!(sweeps >> p.digit & 1)) return;
  const int later = __popc(sweeps >> p.digit >> 1), shift = 8 * (int)p.digit, t = threadIdx.x, first = t / 32 * 32 * EACH + t % 32;
  const bool begins = (sweeps & ((1u << p.digit) - 1)) == 0, odd = later % 2;   // odd: it writes to keys and places, else to the spare ones
  u32* const tickets = (u32*)(p.ledger + 1) + p.digit;
  u32 next = t == 0 ? atomicAdd(tickets, 1u) : 0;
  for (;;) {
    if (t == 0) room->ticket = next;
    __syncthreads();
    if (room->ticket >= p.rows * p.chunks) return;
    const u32 row = room->ticket / (u32)p.chunks, chunk = room->ticket % (u32)p.chunks;
    const i64 begin = (i64)chunk * TILE, from = row * p.n + begin;
    const int size = (int)least<i64>(TILE, p.n - begin);
    const K* const given = (const K*)(odd ? p.spare_keys : p.keys) + from;
    const I* const given_places = (const I*)(odd ? p.spare_places : p.places) + from;
    K key[EACH];
    I place[EACH];
    Halves<EACH> rank;
    #pragma unroll
    for (int e = 0; e < EACH; e++) {
      const int i = first + 32 * e;
      key[e] = i >= size ? NONE : begins ? (K)key_at<T>(p, from + i) : given[i];
    }
    const Digit own = ranked(*room, key, shift, rank);
    volatile I* const state = state_of<I>(p, row, chunk);
    if (t < DIGITS && chunk) *state = State<I>::TILE | own.count;
    #pragma unroll
    for (int e = 0; e < EACH; e++) {
      const int i = first + 32 * e;
      place[e] = begins ? (I)(begin + i) : i < size ? given_places[i] : 0;
    }
    #pragma unroll
    for (int e = 0; e < EACH; e++) room->keys[rank[e]] = key[e];
    I before = 0;
    if (chunk == 0) before = sum_before(t < DIGITS ? counts_of<I>(p, row, (int)p.digit)[t] : 0, room->starts);
    if (t < DIGITS) {
      if (chunk) before = State<I>::before(state);
      *state = State<I>::ALL | (before + own.count);
      room->target[t] = before - own.start;
    }
    #pragma unroll
    for (int e = 0; e < EACH; e++) room->places[rank[e]] = place[e];
    __syncthreads();
    next = t == 0 ? atomicAdd(tickets, 1u) : 0;
    K* const keys = (K*)(odd ? p.keys : p.spare_keys) + row * p.n;
    I* const places = (I*)(odd ? p.places : p.spare_places) + row * p.n;
    #pragma unroll 4
    for (int i = t; i < size; i += THREADS) {
      const K now = room->keys[i];
      const I to = room->target[digit_of(now, shift)] + (I)i, place = room->places[i];
      if (later) keys[to] = now, places[to] = place;
      else if (to < p.k) put<T>(p, row, to, now, place);
    }
  }
}

extern "C" __global__ void __launch_bounds__(512, 2) SYMBOL(Args args) { ENTRY(args); }
