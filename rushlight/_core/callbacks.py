"""What a room calls of the rooms above it: functions by name.

No room imports one that lies above it. Where the core or the operators' room needs what is made further up, it calls
``table["name"]``; the room above registers its function when it loads. What a room makes that opens on first use is deferred: the call
opens it.
"""

OPERATORS = (  # under their own names, with their own arguments
    "add", "add_", "arange", "cast", "clone", "conj", "copy_", "expand", "mul", "reshape", "squeeze", "stack", "sum", "sum_to_size",
    "unsqueeze", "view_as_complex", "view_as_real", "view_scatter", "zeros_like",
)  # fmt: skip

MEANING = dict.fromkeys(OPERATORS, "the operator") | {
    # what a call means
    "intercept": "(op, args, kwargs): a call that an interpreter or the class of an argument has a say in",
    "autocast": "(op, args, kwargs): the call of an operator that autocast has a say in",
    "casts": "(op): what autocast says of an operator, CASTS_ and RULE_ for the CPU and GPUs in casting.pxi",
    "cast_weight": "(tensor, dtype): a leaf that needs a gradient in another dtype, kept while autocast is on",
    "override": "(method, tensor): what the class of a tensor makes of a method that is no operator; NotImplemented: nothing special",
    "dispatches": "(cls): has this class a __torch_dispatch__?",
    "step": "((label, wanted, saved), grads, run): a node's step back as dispatch modes want it; ``run(grads, only=wanted)`` makes it",
    "wrapper_subclass": "(cls, size, strides, storage_offset, ...): a tensor of that class without memory",
    "tell": "(told, opened, op, args, kwargs): a call, as the calls of PyTorch's core that it is",
    "tell_step": "(told, step, grads, run): a step back as such calls",
    "ask": "(function, plain, args, kwargs): what modes and classes make of a call of what is no operator; ``plain`` if nobody has a say",
    "open_functions": "(): has attributes of Tensor, and functions that are plain Python, ask classes and modes from now on",
    "torch_function": "(cls, func, types, args, kwargs): what Tensor makes of an operator's call by itself",
    "planned": "(plan, args): the result of a planned function while interpreters look on",
    "blame": "(op, args, kwargs, error): raises PyTorch's error for wrong arguments, if they explain the error",
    "begin_operator": "(operator, args): the event of a profiler that watches this thread, or None",
    "begin_node": "(node): likewise",
    "end_event": "(event)",
    # programs and kernels
    "copy_program": "(target, source): the program that converts between the dtypes of two tensors",
    "partial_types": "(program): the types of the slots between the two stages of a reduction",
    "takeover": "(code, wide): calls set_takeover() of matmul for a dtype; ``wide``: OpenBLAS uses AVX-512",
    "kept_rows": "(program, gradient): see Gradient.keeping(); None: nothing to keep",
    "summed_gradient": "(program, gradient, broadcast): see Gradient.summed()",
    "row_levels": "(program): a row program as programs of one level each, see ops/_levels.py",
    "transpose_kernel": "(bits): the address of the kernel for transposed copies of elements of that width",
    "reverse_kernel": "(bits): the same for copies of rows that run backwards",
    # tensors
    "all_equal": "(a, b): whether all elements are equal, as a tensor; of one shape",
    "advanced_getitem": "(tensor, key): indexing by tensors, masks and lists",
    "advanced_setitem": "(tensor, keys, value)",
    "list_key": "(key): a list used as an index, as a tensor or a tuple",
    "as_tensor": "(value, like): the value of an assignment to elements",
    "behind": "(name, args): the arguments of a view behind one more dim; None: the view cannot say",
    "replay": "(tensor, name, args): a view made again, of another tensor",
    "channels_last": "(result): a result, or several, laid out channels last",
    "clone_contiguous": "(tensor): a row-major copy",
    "to_memory_format": "(tensor, format, copy)",
    "move": "(tensor, place): a copy on another device",
    "resolve": "(tensor): lazy conjugation and negation carried out",
    "unresolve": "(source, target): what the memory of a lazy target must hold for it to read as source",
    "write_lazy": "(target, source): source written into a lazy target",
    "aliased": "(tensor): a recorded view of all of it, whatever its class",
    "no_samples": "(stream, tensor): the error for a dtype in which a stream's numbers are not drawn",
    "warn_expanded": "(name): tells that an operator should not write to an expanded tensor",
    "fill_expanded": "(target, mask, value): masked_fill_ of an expanded tensor",
    "warn_older": "(name, factor): tells that an operator's factor is a keyword argument now",
    "resize_out": "(target, result, name): gives an out= tensor the shape of the result",
    "view_dtype": "(tensor, dtype): the same memory as another dtype",
    "legacy_constructor": "(tensor, args, kwargs): Tensor(2, 3), made within the tensor",
    "reduce": "(tensor, protocol): how pickle takes a tensor apart",
    "tensor_text": "(tensor): its repr",
    "tensor_format": "(tensor, spec): format(tensor, spec)",
    "map_file": "(filename, shared, nbytes): a file as a storage",
    "storage_method": "(storage, name): an attribute of a storage that it has not itself",
    "typed_storage": "(wrap_storage=, dtype=, _internal=): an untyped storage as elements of a dtype",
    "storage_type": "(tensor): the class of typed storages of its dtype, or None",
    "sparse_coo_tensor": "(indices, values, size)",
    "operator_namespace": "(name): torch.ops.<name>",
    "primitive": "(name): the operator of PyTorch's core of this name, or None",
    "define_torchaudio": "(): puts torchaudio's compiled operators into torch.ops",
    "define_torchvision": "(): puts torchvision's compiled operators into torch.ops",
    # gradients
    "backward": "(tensors, gradients, retain_graph, create_graph, inputs=): autograd.backward",
    "batched_backward": "(backward, run, grads, n): a library operator's backward under vmap",
    "unpack_dual": "(tensor): its value, and the tangent of a dual tensor or None",
    "removable_handle": "(hooks): what takes a hook away again",
    # devices
    "has_cuda": "(): can a GPU be used?",
    "start_cuda": "(name): connects the GPUs, for a device of that name",
    "current_streams": "(): the handles of this thread's current streams, see streams.pxi",
    "follow_stream": "(index, recorded, met): makes a GPU's stream of a recorded call current, see streams.pxi",
    "rejoin_streams": "(met): the end of that",
    "record_use": "(tensors): the current streams use their memory, see device_memory.pxi",
    "start_meta": "(): connects what operators do for tensors that are not in the CPU's memory",
    "accelerator_error": "(text): the exception",
    "error": "(code, name, text, doing): the exception for an error of the driver",
    "fault": "(operator, index, error, value, limit, position, code, offset): the exception for what a kernel recorded",
    "out_of_memory": "(index, nbytes): the exception",
    "dense": "(tensor): row-major and without lazy bits",
    "copy_elements": "(target, source): a copy on one device",
    "copy_bytes": "(target, source, nbytes): of storages on a GPU",
    "reduce_storage": "(storage): how pickle takes a storage on a GPU apart",
}  # fmt: skip

table = {}


def register(**functions):
    """Puts functions into the table, by the names of ``MEANING``."""
    for name, function in functions.items():
        if name not in MEANING:
            raise KeyError(f"nothing below calls {name!r}")
        table[name] = function


def defer(**functions):
    """Registers functions of rooms that open on first use: name="module:attribute"."""
    for name, where in functions.items():
        register(**{name: _opening(name, *where.split(":"))})


def _opening(name, module, attribute):
    def first(*args, **kwargs):
        import importlib

        table[name] = getattr(importlib.import_module(module), attribute)
        return table[name](*args, **kwargs)

    return first
