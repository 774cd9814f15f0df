# The CUDA driver: loaded by dlopen when a GPU is first asked for, so that building and importing need no CUDA. Included by device.pyx.

cdef extern from "dlfcn.h" nogil:
    void* dlopen(const char* path, int mode)
    void* dlsym(void* library, const char* name)
    char* dlerror()
    int RTLD_NOW
    int RTLD_GLOBAL

cdef extern from *:
    """
    #include <stddef.h>
    #include <stdint.h>
    typedef unsigned int rl_uint;
    /* The entries of the driver that are used, with the signatures of CUDA 12.0. X(result name, parameters) */
    #define RL_DRIVER(X) \\
        X(cuInit, (rl_uint)) X(cuDriverGetVersion, (int *)) X(cuGetErrorName, (int, const char **)) X(cuGetErrorString, (int, const char **)) \\
        X(cuDeviceGetCount, (int *)) X(cuDeviceGet, (int *, int)) X(cuDeviceGetName, (char *, int, int)) X(cuDeviceTotalMem, (size_t *, int)) \\
        X(cuDeviceGetAttribute, (int *, int, int)) X(cuDeviceGetUuid, (char *, int)) X(cuDeviceCanAccessPeer, (int *, int, int)) \\
        X(cuDevicePrimaryCtxRetain, (void **, int)) X(cuCtxSetCurrent, (void *)) X(cuCtxGetCurrent, (void **)) X(cuCtxSynchronize, (void)) \\
        X(cuCtxEnablePeerAccess, (void *, rl_uint)) \\
        X(cuMemGetInfo, (size_t *, size_t *)) X(cuMemAlloc, (void **, size_t)) X(cuMemFree, (void *)) \\
        X(cuMemHostAlloc, (void **, size_t, rl_uint)) X(cuMemFreeHost, (void *)) X(cuPointerGetAttribute, (void *, int, void *)) \\
        X(cuMemcpyAsync, (void *, const void *, size_t, void *)) \\
        X(cuMemcpyPeerAsync, (void *, void *, const void *, void *, size_t, void *)) X(cuMemsetD8Async, (void *, unsigned char, size_t, void *)) \\
        X(cuStreamCreateWithPriority, (void **, rl_uint, int)) X(cuStreamDestroy, (void *)) X(cuStreamSynchronize, (void *)) \\
        X(cuStreamQuery, (void *)) X(cuStreamWaitEvent, (void *, void *, rl_uint)) X(cuStreamGetPriority, (void *, int *)) \\
        X(cuStreamBeginCapture, (void *, int)) X(cuStreamEndCapture, (void *, void **)) X(cuStreamIsCapturing, (void *, int *)) X(cuThreadExchangeStreamCaptureMode, (int *)) \\
        X(cuEventCreate, (void **, rl_uint)) X(cuEventDestroy, (void *)) X(cuEventRecord, (void *, void *)) X(cuEventQuery, (void *)) \\
        X(cuEventSynchronize, (void *)) X(cuEventElapsedTime, (float *, void *, void *)) \\
        X(cuLibraryLoadData, (void **, const void *, void *, void *, rl_uint, void *, void *, rl_uint)) X(cuLibraryUnload, (void *)) \\
        X(cuLibraryGetKernel, (void **, void *, const char *)) X(cuKernelSetAttribute, (int, int, void *, int)) \\
        X(cuLaunchKernel, (void *, rl_uint, rl_uint, rl_uint, rl_uint, rl_uint, rl_uint, rl_uint, void *, void **, void **)) \\
        X(cuGraphInstantiateWithFlags, (void **, void *, unsigned long long)) X(cuGraphLaunch, (void *, void *)) \\
        X(cuGraphDestroy, (void *)) X(cuGraphExecDestroy, (void *)) X(cuGraphGetNodes, (void *, void **, size_t *))
    #define X(name, parameters) int (*name) parameters;
    typedef struct { RL_DRIVER(X) } rl_driver_t;
    #undef X
    static rl_driver_t rl_driver;

    /* Fills the table through cuGetProcAddress, which gives the versions of one release; NULL, or the name of an entry that is missing. */
    static const char *rl_find_entries(void *get_proc_address) {
        int (*get)(const char *, void **, int, uint64_t, void *) = (int (*)(const char *, void **, int, uint64_t, void *))get_proc_address;
        void *found;
    #define X(name, parameters) \\
        found = NULL; \\
        if (get(#name, &found, 12000, 0, NULL) != 0 || found == NULL) return #name; \\
        rl_driver.name = (int (*) parameters)found;
        RL_DRIVER(X)
    #undef X
        return NULL;
    }
    """
    ctypedef struct Driver "rl_driver_t":
        int cuInit(unsigned int flags) nogil
        int cuDriverGetVersion(int* version) nogil
        int cuGetErrorName(int code, const char** text) nogil
        int cuGetErrorString(int code, const char** text) nogil
        int cuDeviceGetCount(int* count) nogil
        int cuDeviceGet(int* device, int ordinal) nogil
        int cuDeviceGetName(char* name, int n, int device) nogil
        int cuDeviceTotalMem(size_t* bytes, int device) nogil
        int cuDeviceGetAttribute(int* value, int attribute, int device) nogil
        int cuDeviceGetUuid(char* uuid, int device) nogil
        int cuDeviceCanAccessPeer(int* can, int device, int peer) nogil
        int cuDevicePrimaryCtxRetain(void** context, int device) nogil
        int cuCtxSetCurrent(void* context) nogil
        int cuCtxGetCurrent(void** context) nogil
        int cuCtxSynchronize() nogil
        int cuCtxEnablePeerAccess(void* context, unsigned int flags) nogil
        int cuMemGetInfo(size_t* free, size_t* total) nogil
        int cuMemAlloc(void** p, size_t n) nogil
        int cuMemFree(void* p) nogil
        int cuMemHostAlloc(void** p, size_t n, unsigned int flags) nogil
        int cuMemFreeHost(void* p) nogil
        int cuPointerGetAttribute(void* value, int attribute, void* p) nogil
        int cuMemcpyAsync(void* target, const void* source, size_t n, void* stream) nogil
        int cuMemcpyPeerAsync(void* target, void* target_context, const void* source, void* source_context, size_t n, void* stream) nogil
        int cuMemsetD8Async(void* target, unsigned char byte, size_t n, void* stream) nogil
        int cuStreamCreateWithPriority(void** stream, unsigned int flags, int priority) nogil
        int cuStreamDestroy(void* stream) nogil
        int cuStreamSynchronize(void* stream) nogil
        int cuStreamQuery(void* stream) nogil
        int cuStreamWaitEvent(void* stream, void* event, unsigned int flags) nogil
        int cuStreamGetPriority(void* stream, int* priority) nogil
        int cuStreamBeginCapture(void* stream, int mode) nogil
        int cuStreamEndCapture(void* stream, void** graph) nogil
        int cuStreamIsCapturing(void* stream, int* status) nogil
        int cuThreadExchangeStreamCaptureMode(int* mode) nogil
        int cuEventCreate(void** event, unsigned int flags) nogil
        int cuEventDestroy(void* event) nogil
        int cuEventRecord(void* event, void* stream) nogil
        int cuEventQuery(void* event) nogil
        int cuEventSynchronize(void* event) nogil
        int cuEventElapsedTime(float* ms, void* start, void* end) nogil
        int cuLibraryLoadData(void** library, const void* code, void* o, void* v, unsigned int n, void* lo, void* lv, unsigned int ln) nogil
        int cuLibraryUnload(void* library) nogil
        int cuLibraryGetKernel(void** kernel, void* library, const char* name) nogil
        int cuKernelSetAttribute(int attribute, int value, void* kernel, int device) nogil
        int cuLaunchKernel(void* function, unsigned int gx, unsigned int gy, unsigned int gz, unsigned int bx, unsigned int by, unsigned int bz,
                           unsigned int shared, void* stream, void** params, void** extra) nogil
        int cuGraphInstantiateWithFlags(void** executable, void* graph, unsigned long long flags) nogil
        int cuGraphLaunch(void* executable, void* stream) nogil
        int cuGraphDestroy(void* graph) nogil
        int cuGraphExecDestroy(void* executable) nogil
        int cuGraphGetNodes(void* graph, void** nodes, size_t* n) nogil
    Driver rl_driver
    const char* rl_find_entries(void* get_proc_address) nogil

cdef enum:
    MAX_GPUS = 64
    SUCCESS = 0
    OUT_OF_MEMORY = 2
    NOT_READY = 600
    WRONG_THREAD = 908
    RELAXED = 2                # a thread's capture mode: see relax()
    UNCHANGED = -1
    # device attributes
    MULTIPROCESSORS = 16
    CAPABILITY_MAJOR = 75
    CAPABILITY_MINOR = 76

cdef struct Gpu:
    int device
    void* context
    void* stream               # the default stream: non-blocking, so that it can be captured
    int multiprocessors
    int capability             # 10 * major + minor
    int64_t total              # bytes of memory
    bint started

cdef Gpu[MAX_GPUS] _gpus
cdef int _n_gpus = 0
cdef bint _started = False     # start() was called
cdef bint _forked = False      # a child of a process that used a GPU: the driver does not work here

cdef extern from *:
    """
    static __thread int rl_context = 0;       /* the GPU (place) whose context this thread last made current */
    static __thread void *rl_streams[64];     /* the current stream of each GPU; NULL: the default one */
    """
    int rl_context
    void* rl_streams[64]


cdef object cuda_error(int code, str doing=""):
    """The exception for a driver's error code."""
    cdef const char* text = NULL
    cdef const char* name = NULL
    if rl_driver.cuGetErrorString(code, &text) or rl_driver.cuGetErrorName(code, &name):
        text = name = b"unknown error"
    return _callbacks["error"](code, name.decode(), text.decode(), doing)


cdef inline int check(int code) except -1:
    if code != SUCCESS:
        raise cuda_error(code)
    return 0


def load_driver(str path):
    """Loads the driver's library, starts it and counts the GPUs: (number, None), or (0, why not)."""
    global _n_gpus
    cdef void* library = dlopen(path.encode(), RTLD_NOW | RTLD_GLOBAL)
    cdef void* entry
    cdef const char* missing
    cdef int code
    if library == NULL:
        return 0, "driver"
    entry = dlsym(library, b"cuGetProcAddress_v2")
    if entry == NULL:
        return 0, "old driver"
    missing = rl_find_entries(entry)
    if missing != NULL:
        return 0, "old driver"
    code = rl_driver.cuInit(0)
    if code == SUCCESS:
        code = rl_driver.cuDeviceGetCount(&_n_gpus)
    if code != SUCCESS or _n_gpus == 0:
        _n_gpus = 0
        return 0, "gpu"
    _n_gpus = min(_n_gpus, MAX_GPUS)
    return _n_gpus, None


def start():
    """Tells the core that storages may now lie on the GPUs that load_driver() found."""
    global _started, _uncached
    _uncached = os.environ.get("PYTORCH_NO_CUDA_MEMORY_CACHING") == "1"
    set_device_memory(_n_gpus, _take, _give)
    _started = True
    os.register_at_fork(after_in_child=_after_fork)


def _after_fork():
    global _forked
    cdef int i
    for i in range(_n_gpus):
        _forked |= _gpus[i].started


cdef object forked():
    return RuntimeError(
        "Cannot re-initialize CUDA in forked subprocess. To use CUDA with multiprocessing, you must use the 'spawn' start method\n"
        "  This process was forked from one that had used a GPU, and the driver works in that one only. Keep tensors on the CPU here (a DataLoader's\n"
        "  workers should), or start processes by torch.multiprocessing.set_start_method('spawn').")


cdef int start_gpu(int place) except -1:
    """The first use of a GPU: its context and its default stream."""
    global rl_context
    cdef Gpu* g = &_gpus[place - 1]
    cdef size_t total
    if place > _n_gpus:
        raise RuntimeError(f"cuda:{place - 1} is not there")
    check(rl_driver.cuDeviceGet(&g.device, place - 1))
    check(rl_driver.cuDevicePrimaryCtxRetain(&g.context, g.device))
    check(rl_driver.cuCtxSetCurrent(g.context))
    rl_context = place
    check(rl_driver.cuStreamCreateWithPriority(&g.stream, 1, 0))
    g.multiprocessors = attribute_of(place - 1, MULTIPROCESSORS)
    g.capability = 10 * attribute_of(place - 1, CAPABILITY_MAJOR) + attribute_of(place - 1, CAPABILITY_MINOR)
    check(rl_driver.cuDeviceTotalMem(&total, g.device))
    g.total = total
    g.started = True
    return 0


cdef int use(int place) except -1:
    global rl_context
    if _forked:
        raise forked()
    if not _gpus[place - 1].started:
        start_gpu(place)
    elif rl_context != place or _n_gpus > 1:      # with several GPUs another library may have changed it
        check(rl_driver.cuCtxSetCurrent(_gpus[place - 1].context))
        rl_context = place
    return 0


cdef bint use_any() except -1:
    """Has this thread the context of some GPU, which what is asked about events and pinned memory needs? One that was used is made current."""
    cdef int place
    if rl_context:
        return True
    for place in range(1, _n_gpus + 1):
        if _gpus[place - 1].started:
            use(place)
            return True
    return False


cdef void* current_stream(int place) noexcept:
    cdef void* stream = rl_streams[place - 1]
    return _gpus[place - 1].stream if stream == NULL else stream


# -- inquiries, by the GPU's index --

def attribute_of(int index, int attribute):
    """An attribute of a GPU, by the driver's number for it."""
    cdef int value
    check(rl_driver.cuDeviceGetAttribute(&value, attribute, index))
    return value


def driver_version():
    """The CUDA version that the driver supports: 1000 * major + 10 * minor."""
    cdef int version
    check(rl_driver.cuDriverGetVersion(&version))
    return version


def name_of(int index):
    """A GPU's name."""
    cdef char[256] name
    check(rl_driver.cuDeviceGetName(name, 256, index))
    return name.decode()


def uuid_of(int index):
    """A GPU's 16 bytes of identity."""
    cdef char[16] uuid
    check(rl_driver.cuDeviceGetUuid(uuid, index))
    return uuid[:16]


def total_memory(int index):
    """A GPU's memory in bytes."""
    cdef size_t total
    check(rl_driver.cuDeviceTotalMem(&total, index))
    return total


def capability(int index):
    """10 * major + minor of a GPU's compute capability: 90 for Hopper."""
    use(index + 1)
    return _gpus[index].capability


def memory_info(int index):
    """(free, total) bytes of a GPU's memory, as the driver sees it."""
    cdef size_t free, total
    use(index + 1)
    check(rl_driver.cuMemGetInfo(&free, &total))
    return free, total


def can_access_peer(int index, int peer):
    """May kernels of one GPU read another's memory?"""
    cdef int can
    check(rl_driver.cuDeviceCanAccessPeer(&can, index, peer))
    return bool(can)


def is_started(int index):
    """Has this process used the GPU?"""
    return bool(_gpus[index].started)
