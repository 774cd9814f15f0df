# Grad modes as context managers; autograd/grad_mode.py makes them decorators as well. Included in tape.pyx.

cdef enum:
    MODE_ON = 1          # of ThreadState.inference: inference_mode is active, nothing is recorded
    GRAD_ASKED = 2       # but enable_grad() was asked for within it
    TRANSFORMED = 4      # a transform of torch.func, which records whatever the mode


cdef inline int asked(ThreadState* state) noexcept:
    """What the grad modes say; inference_mode records nothing all the same."""
    return state.grad & 1 or (state.inference & GRAD_ASKED) != 0


cdef inline void ask(ThreadState* state, bint on) noexcept:
    """Sets the grad mode."""
    if state.inference & MODE_ON:
        state.inference = MODE_ON | (GRAD_ASKED if on else 0)
    else:
        state.grad = 1 if on else FORWARD if dual_level else 0


def is_grad_enabled():
    """The grad mode of this thread: are operators recorded, outside of inference_mode?"""
    return asked(thread_state()) != 0


def is_inference_mode_enabled():
    """True inside inference_mode()."""
    return thread_state().inference != 0


def set_grad(bint on):
    """Sets whether operators are recorded on this thread; returns what it was."""
    previous = asked(thread_state()) != 0
    ask(thread_state(), on)
    return previous


def set_mode_bit(uint32_t bit, bint on):
    """Sets or clears a MODE_ bit of this thread; returns whether it was set."""
    cdef ThreadState* state = thread_state()
    previous = (state.modes & bit) != 0
    if on:
        state.modes |= bit
    else:
        state.modes &= ~bit
    return previous


def mode_bit(uint32_t bit):
    """Is a MODE_ bit of this thread set?"""
    return (thread_state().modes & bit) != 0


cdef enum:
    MODE_SHAPES = 8      # nodes note the shapes of their results, for push()
    MODE_LAYOUTS = 256   # the first gradient of a leaf may be laid out otherwise than the leaf

MODES = {
    "function": MODE_FUNCTION, "profile": MODE_PROFILE, "anomaly": MODE_ANOMALY, "shapes": MODE_SHAPES, "cast": MODE_CAST, "asks": MODE_ASKS,
    "plain": MODE_PLAIN, "nodes": MODE_NODES, "layouts": MODE_LAYOUTS,
}


@cython.binding(False)
cdef class GradMode:
    """Sets the grad mode of this thread for a block, and puts the old one back after it."""
    cdef int before
    cdef int to

    def __enter__(self):
        cdef ThreadState* state = thread_state()
        self.before = asked(state)
        ask(state, self.to)

    def __exit__(self, kind, value, traceback):
        ask(thread_state(), self.before)


cdef class NoGrad(GradMode):
    """Base of no_grad."""

    def __cinit__(self, *args):
        self.to = 0


cdef class EnableGrad(GradMode):
    """Base of enable_grad."""

    def __cinit__(self, *args):
        self.to = 1


@cython.binding(False)
cdef class SetGradEnabled(GradMode):
    """Base of set_grad_enabled: sets the mode at once, so that it also works as a plain call."""
    cdef readonly bint mode

    def __init__(self, mode):
        if type(mode) is not bool:
            raise TypeError(f"set_grad_enabled(): argument 'enabled' (position 1) must be bool, not {type(mode).__name__}")
        self.mode = self.to = mode
        self.before = asked(thread_state())
        ask(thread_state(), mode)

    @property
    def prev(self):
        """The mode before the call."""
        return self.before != 0

    def __enter__(self):
        ask(thread_state(), self.to)


@cython.binding(False)
cdef class InferenceMode:
    """Base of inference_mode: results are not recorded and have no version counter."""
    cdef readonly bint mode
    cdef int grad, inference

    def __cinit__(self, *args, **kwargs):
        self.mode = True

    def __init__(self, mode=True):
        self.mode = mode

    def __enter__(self):
        cdef ThreadState* state = thread_state()
        self.grad, self.inference = state.grad, state.inference
        state.inference, state.grad = self.mode, not self.mode

    def __exit__(self, kind, value, traceback):
        cdef ThreadState* state = thread_state()
        state.grad, state.inference = self.grad, self.inference


@cython.binding(False)
cdef class Transformed:
    """Records within a block whatever the mode: torch.func differentiates in inference_mode, too."""
    cdef int grad, inference

    def __enter__(self):
        cdef ThreadState* state = thread_state()
        self.grad, self.inference = state.grad, state.inference
        state.grad = 1
        if state.inference:
            state.inference = TRANSFORMED

    def __exit__(self, kind, value, traceback):
        cdef ThreadState* state = thread_state()
        state.grad, state.inference = self.grad, self.inference
