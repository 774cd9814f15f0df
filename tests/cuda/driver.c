/* A stand-in for the CUDA driver: libcuda.so.1 for tests on machines without a GPU.
 *
 * It shows several GPUs whose memory lies in separate ranges of addresses. Between launches and copies that memory cannot be read or written:
 * a host that touches it dies at once. Work is queued in its stream and runs only when somebody waits for it (or asks often enough), so that
 * missing waits show. Kernels are host code made from the very CUDA C sources (shim.py): an image names a shared library that exports
 * launch_<symbol> for each of its kernels.
 *
 * Environment: RUSHLIGHT_STANDIN_GPUS (2), RUSHLIGHT_STANDIN_MEMORY (bytes of each, 4 GiB), RUSHLIGHT_STANDIN_ORDER (order in which a block's
 * threads run: 0 forward, 1 reverse, else a seed for random ones, every third launch reverse), RUSHLIGHT_STANDIN_EAGER=1 (run everything at once: for debuggers),
 * RUSHLIGHT_STANDIN_CAPABILITY (90: ten times the compute capability), RUSHLIGHT_STANDIN_TIGHT=1 (an allocation ends where its last page
 * does, so that an access behind it ends the process; one of an odd size begins at an odd address), RUSHLIGHT_STANDIN_SCHEDULE (0: a stream's work
 * waits until it is asked for; else a seed: streams get on at random, each by itself, and so do the branches of a captured graph).
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { SUCCESS = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NO_DEVICE = 100, INVALID_DEVICE = 101, INVALID_IMAGE = 200, INVALID_CONTEXT = 201,
       PEER_ENABLED = 704, INVALID_HANDLE = 400, NOT_FOUND = 500, NOT_READY = 600, LAUNCH_FAILED = 719, CAPTURE_UNSUPPORTED = 900, CAPTURE_INVALIDATED = 901, CAPTURE_UNJOINED = 904, CAPTURE_ISOLATION = 905, CAPTURED_EVENT = 907,
       CAPTURE_WRONG_THREAD = 908, ILLEGAL_STATE = 401 };
enum { MAX_GPUS = 8, MAX_REGIONS = 1 << 18, GUARDED = 1 << 13, PAGE = 4096, QUEUE_LIMIT = 1000, SHARED_UNASKED = 48 << 10, BRANCHES = 32 };

typedef struct Stream Stream;
typedef struct Graph Graph;
typedef struct { char *address, *given; size_t size; } Region;       /* whole pages, and where in them the allocation begins */
typedef struct { int index; char *base; size_t size, used; Region regions[MAX_REGIONS]; int n_regions, look_from; unsigned peers; Stream *streams, *own; int failed; } Gpu;

/* The moment an event marks: shared by the event, the queue that reaches it and those who wait for it. seen: in a capture, how much of each of its
 * streams lies before it. */
typedef struct { int done, references, captured; Stream *stream; double time; size_t seen[BRANCHES]; } Mark;
typedef struct Op Op;
typedef struct { int (*launch)(const unsigned *, const unsigned *, unsigned, void **, int); char *name; unsigned shared[MAX_GPUS]; } Kernel;
enum Kind { LAUNCH, COPY, FILL, RECORD, WAIT, REPLAY };
struct Op {
    enum Kind kind;
    Op *next;
    Kernel *kernel;
    unsigned grid[3], block[3], shared;
    void *parameters;             /* owned: a launch's struct, or the bytes of pageable memory */
    char *target;
    const char *source;
    size_t n;
    int byte;
    Mark *mark;
    Graph *graph;
    Gpu *gpu;                     /* of a graph's node: where it runs, which branch it is of, and what it follows of the others */
    int branch;
    size_t *seen;
};
/* branch: a captured stream's number in its graph; seen: of each branch how much its next node follows, its own nodes among them. */
struct Stream { Gpu *gpu; Op *first, *last; int length, priority, branch; size_t seen[BRANCHES]; Graph *capture; Stream *next; };
struct Graph { Op *first, *last; size_t n; int references, failed, branches, mode; pthread_t thread; Stream *origin; };
typedef struct { Mark *mark; int timed; Gpu *gpu; } Event;
typedef struct { void *library; } Library;

static Gpu gpus[MAX_GPUS];
static int n_gpus = 0, order = 0, eager = 0, tight = 0;
static __thread Gpu *current = NULL;
static __thread int capture_mode = 0;
static Graph *captured = NULL;         /* the one that is captured now */
static Region pinned[MAX_REGIONS];
static int n_pinned = 0;
static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static unsigned long launches = 0, schedule = 0;

/* For tests: the call of an entry that is refused (how many come before it, and the status), and how many events there are. */
static const char *refused_entry = NULL;
static int refused_after = 0, refused_with = 0, events = 0;
void standinRefuse(const char *entry, int after, int status) { refused_entry = status ? strdup(entry) : NULL; refused_after = after; refused_with = status; }
int standinEvents(void) { return events; }
static int refused(const char *entry) {
    if (!refused_entry || strcmp(entry, refused_entry) || refused_after--) return 0;
    refused_entry = NULL;
    return refused_with;
}

/* What the driver's manual lists with CUDA_ERROR_INVALID_CONTEXT: the thread must have made a GPU current. */
#define NEED_CONTEXT do { if (!current) return INVALID_CONTEXT; int status = refused(__func__); if (status) return status; } while (0)
#define GUARD __attribute__((cleanup(unlock))) int guard = (pthread_mutex_lock(&lock), 0); (void)guard
static void unlock(int *guard) { (void)guard; pthread_mutex_unlock(&lock); }

static long setting(const char *name, long otherwise) {
    const char *text = getenv(name);
    return text && *text ? strtol(text, NULL, 0) : otherwise;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e3 * t.tv_sec + 1e-6 * t.tv_nsec;
}

/* RUSHLIGHT_STANDIN_TRACE=1: a line for each launch, copy and fill that is asked for. */
static int traced(void) {
    static int answer = -1;
    if (answer < 0) answer = setting("RUSHLIGHT_STANDIN_TRACE", 0) != 0;
    return answer;
}

/* -- memory -- */

static Gpu *owner(const void *p) {
    for (int i = 0; i < n_gpus; i++)
        if ((char *)p >= gpus[i].base && (char *)p < gpus[i].base + gpus[i].size) return &gpus[i];
    return NULL;
}

static int is_pinned(const void *p) {
    for (int i = 0; i < n_pinned; i++)
        if ((char *)p >= pinned[i].address && (char *)p < pinned[i].address + pinned[i].size) return 1;
    return 0;
}

static void protect(Gpu *g, int mode) {
    for (int i = 0; i < g->n_regions;) {
        char *from = g->regions[i].address, *to = from;
        while (i < g->n_regions && g->regions[i].address == to) to += g->regions[i++].size;      /* with no page between them */
        if (mprotect(from, to - from, mode)) { perror("stand-in driver: mprotect"); abort(); }
    }
}

static unsigned opened = 0;       /* GPUs whose memory is accessible now */

static void open_only(unsigned mask) {
    for (int i = 0; i < n_gpus; i++) {
        if ((mask >> i & 1) && !(opened >> i & 1)) protect(&gpus[i], PROT_READ | PROT_WRITE);
        if (!(mask >> i & 1) && (opened >> i & 1)) protect(&gpus[i], PROT_NONE);
    }
    opened = mask;
}

/* -- queues -- */

static void unmark(Mark *m) { if (m && --m->references == 0) free(m); }

static void release_graph(Graph *g);

static void discard(Op *op) {
    free(op->parameters);
    free(op->seen);
    unmark(op->mark);
    if (op->graph) release_graph(op->graph);
    free(op);
}

static void release_graph(Graph *g) {
    if (--g->references) return;
    while (g->first) { Op *op = g->first; g->first = op->next; discard(op); }
    free(g);
}

static void run(Stream *s, Mark *until);
static void replay(Graph *graph);

static unsigned drawn(void) {
    schedule = schedule * 6364136223846793005u + 1442695040888963407u;
    return schedule >> 33;
}

static void perform(Gpu *g, Op *op) {
    unsigned mask = 0;
    Gpu *from, *to;
    void *parameters[1];
    int failed;
    switch (op->kind) {
    case LAUNCH:
        open_only(1u << g->index | g->peers);
        parameters[0] = op->parameters;
        launches++;
        failed = op->kernel->launch(op->grid, op->block, op->shared, parameters, order < 2 ? order : launches % 3 ? (int)(order + launches) : 1);
        if (failed) fprintf(stderr, "stand-in driver: %s of %s\n", failed == 1 ? "divergent barrier" : failed == 2 ? "misaligned access" : "impossible launch", op->kernel->name);
        if (failed) g->failed = LAUNCH_FAILED;
        break;
    case COPY:
        from = op->parameters ? NULL : owner(op->source);
        to = owner(op->target);
        if (from) mask |= 1u << from->index;
        if (to) mask |= 1u << to->index;
        open_only(mask | opened);
        memmove(op->target, op->parameters ? op->parameters : op->source, op->n);
        break;
    case FILL:
        to = owner(op->target);
        open_only((to ? 1u << to->index : 0) | opened);
        memset(op->target, op->byte, op->n);
        break;
    case RECORD:
        op->mark->done = 1;
        op->mark->time = now();
        break;
    case WAIT:
        if (!op->mark->done) run(op->mark->stream, op->mark);
        break;
    case REPLAY:
        replay(op->graph);
        break;
    }
}

static Op *next_of(Op *op, int branch) { while (op && op->branch != branch) op = op->next; return op; }

static int follows(const Op *op, const size_t *done) {
    for (int i = 0; i < BRANCHES; i++) if (i != op->branch && op->seen[i] > done[i]) return 0;
    return 1;
}

/* A graph's nodes in the order of capture or, where streams get on at random, in any that their waits allow. */
static void replay(Graph *graph) {
    Op *next[BRANCHES];
    size_t done[BRANCHES] = { 0 };
    if (!schedule) {
        for (Op *op = graph->first; op; op = op->next) perform(op->gpu, op);
        return;
    }
    for (int i = 0; i < graph->branches; i++) next[i] = next_of(graph->first, i);
    for (size_t left = graph->n; left;) {
        int i = drawn() % graph->branches;
        if (!next[i] || !follows(next[i], done)) continue;
        perform(next[i]->gpu, next[i]);
        next[i] = next_of(next[i]->next, i);
        done[i]++, left--;
    }
}

static void step(Stream *s) {
    Op *op = s->first;
    s->first = op->next;
    if (!s->first) s->last = NULL;
    s->length--;
    if (!s->gpu->failed || op->kind == RECORD) perform(s->gpu, op);
    discard(op);
}

static void run(Stream *s, Mark *until) {
    while (s->first && !(until && until->done)) step(s);
    open_only(0);
}

static void run_all(Gpu *g) { for (Stream *s = g->streams; s; s = s->next) run(s, NULL); }

static Stream *new_stream(int priority) {
    Stream *s = calloc(1, sizeof *s);
    s->gpu = current;
    s->priority = priority;
    s->next = current->streams;
    return current->streams = s;
}

/* The stream of a handle; 0, 1 and 2 name the driver's own, which here is one for all threads and waits for no other. */
static Stream *stream_of(void *handle) {
    if ((uintptr_t)handle > 2) return handle;
    return current->own ? current->own : (current->own = new_stream(0));
}

/* Some work of a stream chosen at random. */
static void get_on(void) {
    unsigned dice = drawn(), n = 0;
    Gpu *g = &gpus[dice % n_gpus];
    for (Stream *s = g->streams; s; s = s->next) n++;
    if (!n) return;
    Stream *chosen = g->streams;
    for (unsigned i = (dice >> 4) % n; i; i--) chosen = chosen->next;
    for (unsigned steps = (dice >> 12) % 4; steps && chosen->first; steps--) step(chosen);
    open_only(0);
}

static int queue(Stream *s, Op *op) {
    if (s->capture) {
        if (op->kind == RECORD) { discard(op); return SUCCESS; }      /* no node: it says what others follow */
        op->next = NULL;
        op->gpu = s->gpu;
        op->branch = s->branch;
        op->seen = memcpy(malloc(sizeof s->seen), s->seen, sizeof s->seen);
        s->seen[s->branch]++;
        if (s->capture->last) s->capture->last->next = op; else s->capture->first = op;
        s->capture->last = op;
        s->capture->n++;
        return SUCCESS;
    }
    if (s->gpu->failed) { discard(op); return s->gpu->failed; }
    if (s->last) s->last->next = op; else s->first = op;
    s->last = op;
    if (++s->length > QUEUE_LIMIT || eager) { while (s->length > (eager ? 0 : QUEUE_LIMIT / 2)) step(s); open_only(0); }
    if (schedule) get_on();
    return SUCCESS;
}

static Op *new_op(enum Kind kind) { Op *op = calloc(1, sizeof *op); op->kind = kind; return op; }

/* Modes are 0: global, 1: thread-local, 2: relaxed. Does this thread capture a graph, or another one in global mode, and has it not said (relaxed
 * mode; thread-local mode: of others' graphs) that it knows? Then what might wait for a GPU is refused, and the graph spoilt. */
static int unsafe(void) {
    Graph *g = captured;
    if (!g || g->mode == 2 || capture_mode == 2) return 0;
    if (!pthread_equal(g->thread, pthread_self()) && (g->mode == 1 || capture_mode == 1)) return 0;
    return g->failed = 1;
}
static int invalidate(Stream *s) { s->capture->failed = 1; return CAPTURE_UNSUPPORTED; }

/* -- the driver's entries -- */

int cuInit(unsigned flags) {
    GUARD;
    if (flags) return INVALID_VALUE;
    if (n_gpus) return SUCCESS;
    int wanted = setting("RUSHLIGHT_STANDIN_GPUS", 2);
    size_t size = setting("RUSHLIGHT_STANDIN_MEMORY", 4L << 30);
    order = setting("RUSHLIGHT_STANDIN_ORDER", 0);
    eager = setting("RUSHLIGHT_STANDIN_EAGER", 0);
    tight = setting("RUSHLIGHT_STANDIN_TIGHT", 0);
    schedule = setting("RUSHLIGHT_STANDIN_SCHEDULE", 0);
    if (wanted <= 0) return NO_DEVICE;
    for (int i = 0; i < wanted && i < MAX_GPUS; i++) {
        gpus[i].index = i;
        gpus[i].size = size;
        gpus[i].base = mmap((void *)(0x200000000000 + ((uintptr_t)i << 40)), size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (gpus[i].base == MAP_FAILED) { perror("stand-in driver: mmap"); return OUT_OF_MEMORY; }
        n_gpus++;
    }
    return SUCCESS;
}

int cuDriverGetVersion(int *version) { *version = 13000; return SUCCESS; }
int cuDeviceGetCount(int *count) { *count = n_gpus; return SUCCESS; }
int cuDeviceGet(int *device, int ordinal) { *device = ordinal; return ordinal < 0 || ordinal >= n_gpus ? INVALID_DEVICE : SUCCESS; }
int cuDeviceGetName(char *name, int n, int device) { snprintf(name, n, "Stand-in GPU %d", device); return SUCCESS; }
int cuDeviceGetUuid(char *uuid, int device) { memset(uuid, 0xA0 + device, 16); return SUCCESS; }
int cuDeviceTotalMem(size_t *bytes, int device) { *bytes = gpus[device].size; return SUCCESS; }
int cuDeviceCanAccessPeer(int *can, int device, int peer) { *can = device != peer; return SUCCESS; }

/* The most shared memory that a block can have, by the compute capability. */
static int most_shared(void) {
    switch (setting("RUSHLIGHT_STANDIN_CAPABILITY", 90)) {
    case 80: case 87: return 163 << 10;
    case 86: case 89: case 120: case 121: return 99 << 10;
    default: return 227 << 10;
    }
}

int cuDeviceGetAttribute(int *value, int attribute, int device) {
    static const int known[][2] = { { 1, 1024 }, { 8, 49152 }, { 10, 32 }, { 12, 65536 }, { 13, 1980000 }, { 16, 132 }, { 33, 1 }, { 36, 2619000 },
        { 37, 5120 }, { 38, 52428800 }, { 39, 2048 }, { 41, 1 }, { 81, 233472 } };
    if (device < 0 || device >= n_gpus) return INVALID_DEVICE;
    *value = attribute == 75 ? setting("RUSHLIGHT_STANDIN_CAPABILITY", 90) / 10 : attribute == 76 ? setting("RUSHLIGHT_STANDIN_CAPABILITY", 90) % 10 : 0;
    if (attribute == 97) *value = most_shared();
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) if (known[i][0] == attribute) *value = known[i][1];
    return SUCCESS;
}

int cuGetErrorName(int code, const char **text) {
    static const struct { int code; const char *name; } names[] = { { INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE" }, { OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY" },
        { INVALID_DEVICE, "CUDA_ERROR_INVALID_DEVICE" }, { INVALID_IMAGE, "CUDA_ERROR_INVALID_IMAGE" }, { INVALID_CONTEXT, "CUDA_ERROR_INVALID_CONTEXT" },
        { INVALID_HANDLE, "CUDA_ERROR_INVALID_HANDLE" }, { NOT_FOUND, "CUDA_ERROR_NOT_FOUND" }, { LAUNCH_FAILED, "CUDA_ERROR_LAUNCH_FAILED" },
        { CAPTURE_UNSUPPORTED, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED" }, { CAPTURE_INVALIDATED, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED" },
        { CAPTURE_UNJOINED, "CUDA_ERROR_STREAM_CAPTURE_UNJOINED" }, { CAPTURE_ISOLATION, "CUDA_ERROR_STREAM_CAPTURE_ISOLATION" },
        { CAPTURE_WRONG_THREAD, "CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD" }, { ILLEGAL_STATE, "CUDA_ERROR_ILLEGAL_STATE" } };
    *text = "CUDA_ERROR_UNKNOWN";
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) if (names[i].code == code) *text = names[i].name;
    return SUCCESS;
}
int cuGetErrorString(int code, const char **text) { *text = code == CAPTURE_UNSUPPORTED ? "operation not permitted when stream is capturing" :
        code == INVALID_HANDLE ? "invalid resource handle" : "an error of the stand-in driver"; return SUCCESS; }

int cuDevicePrimaryCtxRetain(void **context, int device) { *context = &gpus[device]; return SUCCESS; }
int cuCtxSetCurrent(void *context) { current = context; return SUCCESS; }
int cuCtxGetCurrent(void **context) { *context = current; return SUCCESS; }
int cuCtxEnablePeerAccess(void *context, unsigned flags) {
    unsigned bit = 1u << ((Gpu *)context)->index;
    (void)flags;
    if (current->peers & bit) return PEER_ENABLED;
    current->peers |= bit;
    return SUCCESS;
}
int cuCtxSynchronize(void) {
    GUARD;
    NEED_CONTEXT;
    for (Stream *s = current->streams; s; s = s->next) if (s->capture) return invalidate(s);
    run_all(current);
    return current->failed;
}

int cuMemGetInfo(size_t *left, size_t *total) { NEED_CONTEXT; *total = current->size; *left = current->size - current->used; return SUCCESS; }

/* First fit, with an inaccessible page behind each allocation as long as they are not very many (a process has 65,530 mappings). */
int cuMemAlloc(void **p, size_t n) {
    GUARD;
    NEED_CONTEXT;
    Gpu *g = current;
    size_t size = (n + PAGE - 1) / PAGE * PAGE, guard_page = g->n_regions < GUARDED ? PAGE : 0;
    int i = g->look_from;
    char *at = i ? g->regions[i - 1].address + g->regions[i - 1].size + guard_page : g->base;
    if (unsafe()) return CAPTURE_UNSUPPORTED;
    if (g->failed) return g->failed;
    for (; i < g->n_regions; i++) {
        if (g->regions[i].address >= at + size + guard_page) break;
        at = g->regions[i].address + g->regions[i].size + guard_page;
    }
    if (g->used + n > g->size || at + size + guard_page > g->base + g->size || g->n_regions == MAX_REGIONS) return OUT_OF_MEMORY;
    memmove(&g->regions[i + 1], &g->regions[i], (g->n_regions - i) * sizeof(Region));
    g->regions[i] = (Region){ .address = at, .given = tight ? at + size - n : at, .size = size };
    *p = g->regions[i].given;
    g->n_regions++;
    g->look_from = i + 1;
    g->used += size;
    mprotect(at, size, PROT_READ | PROT_WRITE);
    if (size <= 32 << 20) memset(at, 0xFF, size);         /* NaN in every float type: what nobody wrote shows */
    if (!(opened >> g->index & 1)) mprotect(at, size, PROT_NONE);
    return SUCCESS;
}

int cuMemFree(void *p) {
    GUARD;
    NEED_CONTEXT;
    Gpu *g = owner(p);
    if (unsafe()) return CAPTURE_UNSUPPORTED;
    if (!g) return INVALID_VALUE;
    run_all(g);
    int low = 0, high = g->n_regions;
    while (low < high) {
        int middle = (low + high) / 2;
        if (g->regions[middle].given < (char *)p) low = middle + 1; else high = middle;
    }
    Region *r = &g->regions[low];
    if (low == g->n_regions || r->given != p) return INVALID_VALUE;
    g->used -= r->size;
    madvise(r->address, r->size, MADV_DONTNEED);
    mprotect(r->address, r->size, PROT_NONE);
    g->n_regions--;
    memmove(r, r + 1, (g->n_regions - low) * sizeof(Region));
    if (low < g->look_from) g->look_from = low;
    return SUCCESS;
}

int cuMemHostAlloc(void **p, size_t n, unsigned flags) {
    GUARD;
    NEED_CONTEXT;
    if (unsafe()) return CAPTURE_UNSUPPORTED;
    (void)flags;
    if (n_pinned == MAX_REGIONS || posix_memalign(p, PAGE, n)) return OUT_OF_MEMORY;
    pinned[n_pinned].address = *p;
    pinned[n_pinned++].size = n;
    return SUCCESS;
}

int cuMemFreeHost(void *p) {
    GUARD;
    NEED_CONTEXT;
    if (unsafe()) return CAPTURE_UNSUPPORTED;
    for (int i = 0; i < n_pinned; i++)
        if (pinned[i].address == p) { for (int g = 0; g < n_gpus; g++) run_all(&gpus[g]); pinned[i] = pinned[--n_pinned]; free(p); return SUCCESS; }
    return INVALID_VALUE;
}

int cuPointerGetAttribute(void *value, int attribute, void *p) {
    NEED_CONTEXT;
    Gpu *g = owner(p);
    if (!g && !is_pinned(p)) return INVALID_VALUE;
    if (attribute == 2) *(unsigned *)value = g ? 2 : 1;                /* memory type: 1 host, 2 device */
    else if (attribute == 9) *(int *)value = g ? g->index : -1;        /* device ordinal */
    else return INVALID_VALUE;
    return SUCCESS;
}

int cuMemcpyAsync(void *target, const void *source, size_t n, void *stream) {
    GUARD;
    NEED_CONTEXT;
    Stream *s = stream_of(stream);
    Gpu *from = owner(source), *to = owner(target);
    int pageable = (!from && !is_pinned(source)) || (!to && !is_pinned(target));
    if (from && to && from != to && !(from->peers >> to->index & 1) && !(to->peers >> from->index & 1)) return INVALID_VALUE;
    if (traced()) fprintf(stderr, "copy of %zu bytes\n", n);
    Op *op = new_op(COPY);
    op->target = target;
    op->source = source;
    op->n = n;
    if (s->capture) return queue(s, op);                  /* a replay reads and writes the host's memory then, pageable or not */
    if (!from && pageable) op->parameters = memcpy(malloc(n ? n : 1), source, n);
    int code = queue(s, op);
    if (!code && !to && pageable) { run(s, NULL); code = s->gpu->failed; }
    return code;
}

int cuMemcpyPeerAsync(void *target, void *target_context, const void *source, void *source_context, size_t n, void *stream) {
    GUARD;
    NEED_CONTEXT;
    if (owner(target) != target_context || owner(source) != source_context) return INVALID_VALUE;
    if (traced()) fprintf(stderr, "copy of %zu bytes\n", n);
    Op *op = new_op(COPY);
    op->target = target;
    op->source = source;
    op->n = n;
    return queue(stream_of(stream), op);
}

int cuMemsetD8Async(void *target, unsigned char byte, size_t n, void *stream) {
    GUARD;
    NEED_CONTEXT;
    if (!owner(target)) return INVALID_VALUE;
    if (traced()) fprintf(stderr, "fill of %zu bytes\n", n);
    Op *op = new_op(FILL);
    op->target = target;
    op->byte = byte;
    op->n = n;
    return queue(stream_of(stream), op);
}

/* -- streams and events -- */

int cuStreamCreateWithPriority(void **stream, unsigned flags, int priority) {
    GUARD;
    NEED_CONTEXT;
    (void)flags;
    *stream = new_stream(priority);
    return SUCCESS;
}
int cuStreamDestroy(void *stream) {
    GUARD;
    NEED_CONTEXT;
    Stream **link = &((Stream *)stream)->gpu->streams;
    run(stream, NULL);
    while (*link != stream) link = &(*link)->next;
    *link = (*link)->next;
    free(stream);
    return SUCCESS;
}
int cuStreamGetPriority(void *stream, int *priority) { *priority = stream_of(stream)->priority; return SUCCESS; }
int cuStreamSynchronize(void *stream) {
    GUARD;
    NEED_CONTEXT;
    Stream *s = stream_of(stream);
    if (s->capture) return invalidate(s);
    if (unsafe()) return CAPTURE_UNSUPPORTED;
    run(s, NULL);
    return s->gpu->failed;
}
int cuStreamQuery(void *stream) {
    GUARD;
    NEED_CONTEXT;
    Stream *s = stream_of(stream);
    if (s->capture) return invalidate(s);
    if (unsafe()) return CAPTURE_UNSUPPORTED;
    if (!s->first) return s->gpu->failed;
    step(s);                      /* some progress for each question */
    open_only(0);
    return NOT_READY;
}
int cuStreamWaitEvent(void *stream, void *event, unsigned flags) {
    GUARD;
    NEED_CONTEXT;
    Stream *s = stream_of(stream);
    Mark *m = ((Event *)event)->mark;
    (void)flags;
    if (!((Event *)event)->gpu) return INVALID_HANDLE;
    if (!m) return SUCCESS;
    if (m->captured && !m->stream->capture) return CAPTURED_EVENT;
    if (s->capture && !m->captured) { s->capture->failed = 1; return CAPTURE_ISOLATION; }       /* work outside is no part of a graph */
    if (m->captured) {                    /* who waits for whom, by the numbers of their nodes */
        if (!s->capture) {
            if (m->stream->capture->branches == BRANCHES) return OUT_OF_MEMORY;
            s->capture = m->stream->capture;
            s->branch = s->capture->branches++;
            memset(s->seen, 0, sizeof s->seen);
        }
        for (int i = 0; i < BRANCHES; i++) if (s->seen[i] < m->seen[i]) s->seen[i] = m->seen[i];
        return SUCCESS;
    }
    Op *op = new_op(WAIT);
    op->mark = m;
    m->references++;
    return queue(s, op);
}

int cuEventCreate(void **event, unsigned flags) {
    NEED_CONTEXT;
    Event *e = calloc(1, sizeof *e);
    e->timed = !(flags & 2);
    e->gpu = current;
    __atomic_add_fetch(&events, 1, __ATOMIC_RELAXED);
    *event = e;
    return SUCCESS;
}
int cuEventDestroy(void *event) {
    GUARD;
    NEED_CONTEXT;
    Event *e = event;
    if (!e->gpu) return INVALID_HANDLE;
    unmark(e->mark);
    __atomic_sub_fetch(&events, 1, __ATOMIC_RELAXED);
    *e = (Event){ 0 };            /* its memory stays, so that who uses it yet is found out */
    return SUCCESS;
}
int cuEventRecord(void *event, void *stream) {
    GUARD;
    NEED_CONTEXT;
    Event *e = event;
    Stream *s = stream_of(stream);
    if (s->gpu != e->gpu) return INVALID_HANDLE;          /* of a destroyed one, too */
    unmark(e->mark);
    Mark *m = calloc(1, sizeof *m);
    m->references = 2;
    m->stream = s;
    m->captured = s->capture != NULL;
    if (m->captured) memcpy(m->seen, s->seen, sizeof m->seen);
    e->mark = m;
    Op *op = new_op(RECORD);
    op->mark = m;
    return queue(s, op);
}
int cuEventQuery(void *event) {
    GUARD;
    Mark *m = ((Event *)event)->mark;
    if (!((Event *)event)->gpu) return INVALID_HANDLE;
    if (unsafe()) return CAPTURE_UNSUPPORTED;
    if (!m || m->done) return SUCCESS;
    if (m->stream->capture) return invalidate(m->stream);
    if (m->captured) return CAPTURED_EVENT;
    if (m->stream->first) step(m->stream);
    open_only(0);
    return m->done ? SUCCESS : NOT_READY;
}
int cuEventSynchronize(void *event) {
    GUARD;
    NEED_CONTEXT;
    Mark *m = ((Event *)event)->mark;
    if (!((Event *)event)->gpu) return INVALID_HANDLE;
    if (unsafe()) return CAPTURE_UNSUPPORTED;
    if (!m) return SUCCESS;
    if (m->stream->capture) return invalidate(m->stream);
    if (m->captured) return CAPTURED_EVENT;
    run(m->stream, m);
    return m->stream->gpu->failed;
}
int cuEventElapsedTime(float *ms, void *start, void *end) {
    Event *a = start, *b = end;
    if (!a->mark || !b->mark || !a->timed || !b->timed) return INVALID_HANDLE;
    if (a->gpu != b->gpu) return INVALID_HANDLE;
    if (!a->mark->done || !b->mark->done) return NOT_READY;
    *ms = (float)(b->mark->time - a->mark->time);
    return SUCCESS;
}

/* -- kernels -- */

int cuLibraryLoadData(void **library, const void *code, void *o, void *v, unsigned n, void *lo, void *lv, unsigned ln) {
    GUARD;
    static const char head[] = "RUSHLIGHT-SHIM\n";
    (void)o, (void)v, (void)n, (void)lo, (void)lv, (void)ln;
    if (unsafe()) return CAPTURE_UNSUPPORTED;
    if (strncmp(code, head, sizeof head - 1)) return INVALID_IMAGE;
    const char *path = (const char *)code + sizeof head - 1, *end = strchr(path, '\n');
    char *name = end ? strndup(path, end - path) : strdup(path);
    void *found = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    free(name);
    if (!found) { fprintf(stderr, "stand-in driver: %s\n", dlerror()); return INVALID_IMAGE; }
    *library = calloc(1, sizeof(Library));
    ((Library *)*library)->library = found;
    return SUCCESS;
}
int cuLibraryUnload(void *library) { free(library); return SUCCESS; }
int cuLibraryGetKernel(void **kernel, void *library, const char *name) {
    char symbol[1024];
    snprintf(symbol, sizeof symbol, "launch_%s", name);
    Kernel *k = calloc(1, sizeof *k);
    k->launch = (int (*)(const unsigned *, const unsigned *, unsigned, void **, int))dlsym(((Library *)library)->library, symbol);
    if (!k->launch) { free(k); return NOT_FOUND; }
    k->name = strdup(name);
    *kernel = k;
    return SUCCESS;
}
/* Attribute 8: the most dynamic shared memory, for one GPU. What nobody asked for, a launch does not get. */
int cuKernelSetAttribute(int attribute, int value, void *kernel, int device) {
    if (attribute != 8 || value < 0 || value > most_shared()) return INVALID_VALUE;
    if (device < 0 || device >= n_gpus) return INVALID_DEVICE;
    ((Kernel *)kernel)->shared[device] = value;
    return SUCCESS;
}

int cuLaunchKernel(void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared, void *stream,
                   void **parameters, void **extra) {
    GUARD;
    NEED_CONTEXT;
    Stream *s = stream_of(stream);
    if (!gx || !gy || !gz || !bx || !by || !bz || bx > 1024 || by > 1024 || bz > 64 || bx * by * bz > 1024 || gy > 65535 || gz > 65535 || gx > 0x7FFFFFFFu) return INVALID_VALUE;
    if (s->gpu != current) return INVALID_CONTEXT;
    if (shared > SHARED_UNASKED && shared > ((Kernel *)function)->shared[s->gpu->index]) return INVALID_VALUE;
    if (parameters || !extra || extra[0] != (void *)1 || extra[2] != (void *)2 || extra[4]) return INVALID_VALUE;
    size_t size = *(size_t *)extra[3];
    if (size > 4096) return INVALID_VALUE;                /* what every driver takes as a parameter */
    Op *op = new_op(LAUNCH);
    op->kernel = function;
    if (traced()) fprintf(stderr, "launch %s (%u, %u, %u) of (%u, %u, %u), %u bytes\n", op->kernel->name, gx, gy, gz, bx, by, bz, shared);
    op->grid[0] = gx, op->grid[1] = gy, op->grid[2] = gz;
    op->block[0] = bx, op->block[1] = by, op->block[2] = bz;
    op->shared = shared;
    op->parameters = memcpy(aligned_alloc(16, (size + 15) / 16 * 16), extra[1], size);
    return queue(s, op);
}

/* -- graphs -- */

int cuStreamBeginCapture(void *stream, int mode) {
    GUARD;
    NEED_CONTEXT;
    Stream *s = stream_of(stream);
    if ((uintptr_t)stream < 2) return CAPTURE_UNSUPPORTED;       /* the legacy stream */
    if (s->capture || captured) return ILLEGAL_STATE;           /* the driver captures several, rushlight one at a time */
    s->capture = calloc(1, sizeof(Graph));
    s->capture->references = s->capture->branches = 1;
    s->capture->mode = mode;
    s->capture->thread = pthread_self();
    s->capture->origin = s;
    s->branch = 0;
    memset(s->seen, 0, sizeof s->seen);
    captured = s->capture;
    return SUCCESS;
}
int cuStreamEndCapture(void *stream, void **graph) {
    GUARD;
    Graph *g = stream_of(stream)->capture;
    int unjoined = 0;
    if (!g) return ILLEGAL_STATE;
    if (g->origin != stream) return 906;                                        /* the stream only joined the capture */
    if (g->mode != 2 && !pthread_equal(g->thread, pthread_self())) return CAPTURE_WRONG_THREAD;
    for (int i = 0; i < n_gpus; i++)
        for (Stream *s = gpus[i].streams; s; s = s->next) {
            if (s->capture != g) continue;
            if (g->origin->seen[s->branch] < s->seen[s->branch]) unjoined = 1;
            s->capture = NULL;
        }
    captured = NULL;
    *graph = NULL;
    if (g->failed || unjoined) { unjoined = g->failed ? CAPTURE_INVALIDATED : CAPTURE_UNJOINED; release_graph(g); return unjoined; }
    *graph = g;
    return SUCCESS;
}
int cuStreamIsCapturing(void *stream, int *status) { *status = stream_of(stream)->capture != NULL; return SUCCESS; }
int cuThreadExchangeStreamCaptureMode(int *mode) { int old = capture_mode; capture_mode = *mode; *mode = old; return SUCCESS; }
int cuGraphGetNodes(void *graph, void **nodes, size_t *n) { (void)nodes; *n = ((Graph *)graph)->n; return SUCCESS; }
int cuGraphInstantiateWithFlags(void **executable, void *graph, unsigned long long flags) {
    GUARD;
    (void)flags;
    ((Graph *)graph)->references++;
    *executable = graph;
    return SUCCESS;
}
int cuGraphDestroy(void *graph) { GUARD; release_graph(graph); return SUCCESS; }
int cuGraphExecDestroy(void *executable) { GUARD; release_graph(executable); return SUCCESS; }
int cuGraphLaunch(void *executable, void *stream) {
    GUARD;
    NEED_CONTEXT;
    Op *op = new_op(REPLAY);
    op->graph = executable;
    op->graph->references++;
    return queue(stream_of(stream), op);
}

/* -- finding entries -- */

int cuGetExportTable(const void **table, const void *id) { (void)id; *table = NULL; return NOT_FOUND; }     /* NVRTC asks for it */

int cuGetProcAddress_v2(const char *symbol, void **entry, int version, uint64_t flags, void *status) {
    static void *self = NULL;
    Dl_info info;
    (void)version, (void)flags, (void)status;
    if (!self && dladdr((void *)cuInit, &info)) self = dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD);
    *entry = self ? dlsym(self, symbol) : NULL;
    return *entry ? SUCCESS : NOT_FOUND;
}
