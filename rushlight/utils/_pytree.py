"""Trees of containers: flatten any nesting of lists, tuples, dicts and registered classes to its leaves, and build it
again.

A *node* is an object whose class is registered here; anything else is a *leaf*. ``tree_flatten`` gives the leaves in
order and a :class:`TreeSpec` that says how to put them back.

    >>> leaves, spec = tree_flatten({"a": [1, 2], "b": (3,)})
    >>> leaves
    [1, 2, 3]
    >>> tree_unflatten([10, 20, 30], spec)
    {'a': [10, 20], 'b': (30,)}
"""

import json
import types
import warnings
from collections import OrderedDict, defaultdict, deque, namedtuple

from .. import return_types
from ._pytree_keys import (  # noqa: F401  public here
    GetAttrKey,
    KeyEntry,
    KeyPath,
    MappingKey,
    SequenceKey,
    key_get,
    keystr,
)
from ._pytree_spec import (  # noqa: F401  public here
    STANDARD_DICT_TYPES,
    SUPPORTED_NODES,
    LeafSpec,
    NodeDef,
    PyTreeSpec,
    TreeSpec,
    _get_node_type,
    is_namedtuple,
    is_namedtuple_class,
    is_namedtuple_instance,
    is_structseq,
    is_structseq_class,
    is_structseq_instance,
    treespec_dict,
    treespec_leaf,
    treespec_tuple,
)

Context = PyTree = object  # names for annotations

_Serial = namedtuple("_Serial", "name to_context from_context")

_SERIAL = {}  # class -> how its spec is written as JSON

BUILTIN_TYPES = frozenset({tuple, list, dict, namedtuple, OrderedDict, defaultdict, deque})


# ---- registration


def register_pytree_node(
    cls, flatten_fn, unflatten_fn, *, serialized_type_name=None, to_dumpable_context=None, from_dumpable_context=None,
    flatten_with_keys_fn=None,
):  # fmt: skip
    """Make instances of class ``cls`` inner nodes.

    ``flatten_fn(obj) -> (children, context)``, ``unflatten_fn(children, context) -> obj``;
    ``flatten_with_keys_fn(obj) -> ([(key, child), ...], context)`` is needed for paths; the other arguments for
    :func:`treespec_dumps`. ValueError for a class that is registered already.
    """
    if cls in SUPPORTED_NODES:
        raise ValueError(f"{cls} is already registered as pytree node.")
    if (to_dumpable_context is None) != (from_dumpable_context is None):
        raise ValueError(f"Both to_dumpable_context and from_dumpable_context for {cls} must be None or registered.")
    SUPPORTED_NODES[cls] = NodeDef(cls, flatten_fn, unflatten_fn, flatten_with_keys_fn)
    _SERIAL[cls] = _Serial(serialized_type_name, to_dumpable_context, from_dumpable_context)


def _register_pytree_node(cls, flatten_fn, unflatten_fn, to_str_fn=None, maybe_from_str_fn=None, **options):
    """The old spelling of :func:`register_pytree_node`; a class that is registered already is registered anew, with a
    warning.
    """
    if to_str_fn is not None or maybe_from_str_fn is not None:
        warnings.warn("`to_str_fn` and `maybe_from_str_fn` have no effect: specs are written as JSON.", stacklevel=2)
    if cls in SUPPORTED_NODES:
        text = f"{cls} is already registered as pytree node. Overwriting the previous registration."
        warnings.warn(text, stacklevel=2)
        _deregister_pytree_node(cls)
    register_pytree_node(cls, flatten_fn, unflatten_fn, **options)


_private_register_pytree_node = _register_pytree_node


def _deregister_pytree_node(cls):
    """Make instances of ``cls`` leaves again."""
    del SUPPORTED_NODES[cls], _SERIAL[cls]


def register_dataclass(cls, *, field_names=None, drop_field_names=None, serialized_type_name=None):
    """Make instances of dataclass ``cls`` nodes with its ``init`` fields as children.

    ``field_names`` states them (needed for a class that is no dataclass); ``drop_field_names`` are left out. A field
    that is None is not a child: it is None again after building.
    """
    import dataclasses

    dropped = set(drop_field_names or ())
    if field_names is None:
        if not dataclasses.is_dataclass(cls):
            raise ValueError(
                f"field_names must be specified with a list of all fields used to initialize {cls}, "
                "as it is not a dataclass."
            )
        field_names = [field.name for field in dataclasses.fields(cls) if field.init]
    field_names = [name for name in field_names if name not in dropped]

    def flatten(obj):
        present = [name for name in field_names if getattr(obj, name) is not None]
        absent = [name for name in field_names if getattr(obj, name) is None]
        return [getattr(obj, name) for name in present], [present, absent]

    def flatten_with_keys(obj):
        children, context = flatten(obj)
        return [(GetAttrKey(name), child) for name, child in zip(context[0], children, strict=True)], context

    def unflatten(children, context):
        return cls(**dict(zip(context[0], children, strict=True)), **dict.fromkeys(context[1]))

    register_pytree_node(
        cls, flatten, unflatten, serialized_type_name=serialized_type_name, flatten_with_keys_fn=flatten_with_keys
    )


class ConstantNode:
    """Context of a constant: the object itself, compared by its own ``==``."""

    def __init__(self, value):
        self.value = value

    def __eq__(self, other):
        return isinstance(other, ConstantNode) and self.value == other.value

    def __hash__(self):
        return hash(self.value)


def register_constant(cls):
    """Make instances of ``cls`` nodes without children: part of the structure, never of the leaves. They need ``==``
    and ``hash``.
    """

    def flatten(obj):
        return [], ConstantNode(obj)

    register_pytree_node(cls, flatten, lambda children, context: context.value, flatten_with_keys_fn=flatten)


# ---- what is registered from the start


_is_namedtuple_instance = is_namedtuple_instance


def _sequence_keys(children):
    return [(SequenceKey(index), child) for index, child in enumerate(children)]


def _list_flatten(d):
    return list(d), None


def _list_flatten_with_keys(d):
    return _sequence_keys(d), None


def _list_unflatten(values, context):
    return list(values)


def _tuple_unflatten(values, context):
    return tuple(values)


_tuple_flatten, _tuple_flatten_with_keys = _list_flatten, _list_flatten_with_keys


def _dict_flatten(d):
    return list(d.values()), list(d)


def _dict_flatten_with_keys(d):
    return [(MappingKey(key), value) for key, value in d.items()], list(d)


def _dict_unflatten(values, context):
    return dict(zip(context, values, strict=True))


def _defaultdict_flatten(d):
    return list(d.values()), [d.default_factory, list(d)]


def _defaultdict_flatten_with_keys(d):
    return _dict_flatten_with_keys(d)[0], [d.default_factory, list(d)]


def _defaultdict_unflatten(values, context):
    return defaultdict(context[0], zip(context[1], values, strict=True))


def _namedtuple_flatten_with_keys(d):
    return [(GetAttrKey(name), value) for name, value in zip(d._fields, d, strict=True)], type(d)


def _qualified(cls):
    return f"{cls.__module__}.{cls.__qualname__}"


def _registered_by_name(name):
    for cls, serial in _SERIAL.items():
        if name == (serial.name or _qualified(cls)):
            return cls
    raise ValueError(
        f"Can't find class {name!r} among the registered nodes: import the module that registers it, then load."
    )


register_pytree_node(
    tuple, _tuple_flatten, _tuple_unflatten, serialized_type_name="builtins.tuple",
    flatten_with_keys_fn=_tuple_flatten_with_keys,
)  # fmt: skip
register_pytree_node(
    list, _list_flatten, _list_unflatten, serialized_type_name="builtins.list",
    flatten_with_keys_fn=_list_flatten_with_keys,
)  # fmt: skip
register_pytree_node(
    dict, _dict_flatten, _dict_unflatten, serialized_type_name="builtins.dict",
    flatten_with_keys_fn=_dict_flatten_with_keys,
)  # fmt: skip
register_pytree_node(
    namedtuple, lambda d: (list(d), type(d)), lambda children, cls: cls(*children),
    serialized_type_name="collections.namedtuple", to_dumpable_context=_qualified,
    from_dumpable_context=_registered_by_name, flatten_with_keys_fn=_namedtuple_flatten_with_keys,
)  # fmt: skip
register_pytree_node(
    OrderedDict, _dict_flatten, lambda values, keys: OrderedDict(zip(keys, values, strict=True)),
    serialized_type_name="collections.OrderedDict", flatten_with_keys_fn=_dict_flatten_with_keys,
)  # fmt: skip
register_pytree_node(
    defaultdict, _defaultdict_flatten, _defaultdict_unflatten, serialized_type_name="collections.defaultdict",
    to_dumpable_context=lambda c: [c[0] and _qualified(c[0]), c[1]],
    from_dumpable_context=lambda c: [c[0] and _BUILTIN_FACTORIES[c[0]], c[1]],
    flatten_with_keys_fn=_defaultdict_flatten_with_keys,
)  # fmt: skip
register_pytree_node(
    deque, lambda d: (list(d), d.maxlen), lambda children, maxlen: deque(children, maxlen=maxlen),
    serialized_type_name="collections.deque", flatten_with_keys_fn=lambda d: (_sequence_keys(d), d.maxlen),
)  # fmt: skip
for _kind in filter(is_structseq_class, vars(return_types).values()):
    register_pytree_node(_kind, _list_flatten, lambda children, _, kind=_kind: kind(children), flatten_with_keys_fn=_list_flatten_with_keys)

# A loaded spec may name a default_factory; only these plain constructors are honoured.
_BUILTIN_FACTORIES = {_qualified(factory): factory for factory in (int, float, str, list, dict, set, tuple, bool)}


# ---- flattening


def tree_is_leaf(tree, is_leaf=None):
    """True if ``tree`` is a leaf: its class is not registered, or ``is_leaf(tree)`` says so."""
    return (is_leaf is not None and is_leaf(tree)) or _get_node_type(tree) not in SUPPORTED_NODES


_is_leaf = tree_is_leaf


def _flatten(tree, leaves, is_leaf):
    if is_leaf is None or not is_leaf(tree):
        kind = _get_node_type(tree)
        node = SUPPORTED_NODES.get(kind)
        if node is not None:
            children, context = node.flatten_fn(tree)
            return TreeSpec(kind, context, [_flatten(child, leaves, is_leaf) for child in children])
    leaves.append(tree)
    return treespec_leaf()


def tree_flatten(tree, is_leaf=None):
    """``(leaves, spec)`` of ``tree``; where ``is_leaf(subtree)`` is true the subtree is taken as a leaf."""
    leaves = []
    return leaves, _flatten(tree, leaves, is_leaf)


def tree_unflatten(leaves, treespec):
    """The tree that ``treespec`` describes, with ``leaves``."""
    if not isinstance(treespec, TreeSpec):
        raise TypeError(f"Expected `treespec` to be an instance of PyTreeSpec but got item of type {type(treespec)}.")
    return treespec.unflatten(leaves)


def tree_iter(tree, is_leaf=None):
    """An iterator over the leaves of ``tree``."""
    if tree_is_leaf(tree, is_leaf):
        yield tree
        return
    for child in SUPPORTED_NODES[_get_node_type(tree)].flatten_fn(tree)[0]:
        yield from tree_iter(child, is_leaf)


def tree_leaves(tree, is_leaf=None):
    """The leaves of ``tree``, in order."""
    return list(tree_iter(tree, is_leaf))


def arg_tree_leaves(*args, **kwargs):
    """The leaves of the given arguments."""
    return tree_leaves((args, kwargs))


def tree_structure(tree, is_leaf=None):
    """The spec of ``tree``."""
    return _flatten(tree, [], is_leaf)


# ---- mapping


def tree_map(func, tree, *rests, is_leaf=None):
    """The tree with ``func(leaf, *leaves of rests)`` for each leaf; the ``rests`` must have at least the structure of
    ``tree``.
    """
    leaves, spec = tree_flatten(tree, is_leaf)
    columns = [leaves, *(spec.flatten_up_to(rest) for rest in rests)]
    return spec.unflatten(map(func, *columns))


def tree_map_(func, tree, *rests, is_leaf=None):
    """Call ``func`` as :func:`tree_map` does, for its effect, and return ``tree``."""
    leaves, spec = tree_flatten(tree, is_leaf)
    for arguments in zip(leaves, *(spec.flatten_up_to(rest) for rest in rests), strict=True):
        func(*arguments)
    return tree


def map_only(type_or_types_or_pred, /):
    """A decorator that leaves alone what is not of the given type(s), or for which the given predicate is false."""
    chosen = type_or_types_or_pred
    if isinstance(chosen, (type, tuple, types.UnionType)):

        def matches(x):
            return isinstance(x, chosen)
    elif callable(chosen):
        matches = chosen
    else:
        raise TypeError("Argument must be a type, a tuple of types, or a callable.")
    return lambda func: lambda x: func(x) if matches(x) else x


def tree_map_only(type_or_types_or_pred, /, func, tree, is_leaf=None):
    """:func:`tree_map` over the leaves of the given type(s), or for which the predicate holds; others stay as they
    are.
    """
    return tree_map(map_only(type_or_types_or_pred)(func), tree, is_leaf=is_leaf)


def tree_map_only_(type_or_types_or_pred, /, func, tree, is_leaf=None):
    """:func:`tree_map_` over the leaves of the given type(s)."""
    return tree_map_(map_only(type_or_types_or_pred)(func), tree, is_leaf=is_leaf)


def tree_all(pred, tree, is_leaf=None):
    """True if ``pred`` holds for every leaf."""
    return all(map(pred, tree_iter(tree, is_leaf)))


def tree_any(pred, tree, is_leaf=None):
    """True if ``pred`` holds for some leaf."""
    return any(map(pred, tree_iter(tree, is_leaf)))


def tree_all_only(type_or_types, /, pred, tree, is_leaf=None):
    """True if ``pred`` holds for every leaf of the given type(s)."""
    return all(pred(x) for x in tree_iter(tree, is_leaf) if isinstance(x, type_or_types))


def tree_any_only(type_or_types, /, pred, tree, is_leaf=None):
    """True if ``pred`` holds for some leaf of the given type(s)."""
    return any(pred(x) for x in tree_iter(tree, is_leaf) if isinstance(x, type_or_types))


def _broadcast_to_and_flatten(tree, treespec, is_leaf=None):
    """The leaves of ``tree`` repeated so that each stands for a whole subtree of ``treespec``; None if that cannot
    be.
    """
    if tree_is_leaf(tree, is_leaf):
        return [tree] * treespec.num_leaves
    kind = _get_node_type(tree)
    if treespec.is_leaf() or kind is not treespec.type:
        return None
    children, context = SUPPORTED_NODES[kind].flatten_fn(tree)
    if len(children) != treespec.num_children or context != treespec.context:
        return None
    parts = [_broadcast_to_and_flatten(c, s, is_leaf) for c, s in zip(children, treespec.children_specs, strict=True)]
    return None if None in parts else [leaf for part in parts for leaf in part]


# ---- paths


def _with_paths(tree, path, is_leaf):
    if tree_is_leaf(tree, is_leaf):
        yield path, tree
        return
    kind = _get_node_type(tree)
    flatten = SUPPORTED_NODES[kind].flatten_with_keys_fn
    if flatten is None:
        raise ValueError(
            f"Did not find a flatten_with_keys_fn for type: {kind}. Please pass a flatten_with_keys_fn argument to "
            "register_pytree_node."
        )
    for key, child in flatten(tree)[0]:
        yield from _with_paths(child, (*path, key), is_leaf)


def tree_leaves_with_path(tree, is_leaf=None):
    """``[(path, leaf), ...]`` of ``tree``; a path is a tuple of keys."""
    return list(_with_paths(tree, (), is_leaf))


def tree_flatten_with_path(tree, is_leaf=None):
    """``([(path, leaf), ...], spec)`` of ``tree``."""
    return tree_leaves_with_path(tree, is_leaf), tree_structure(tree, is_leaf)


def tree_map_with_path(func, tree, *rests, is_leaf=None):
    """:func:`tree_map` with the path of the leaf as the first argument of ``func``."""
    pairs, spec = tree_flatten_with_path(tree, is_leaf)
    columns = [[path for path, _ in pairs], [leaf for _, leaf in pairs], *(spec.flatten_up_to(rest) for rest in rests)]
    return spec.unflatten(map(func, *columns))


# ---- specs as text

DEFAULT_TREESPEC_SERIALIZATION_PROTOCOL = 1


def _check_protocol(protocol):
    known = DEFAULT_TREESPEC_SERIALIZATION_PROTOCOL
    if protocol != known:
        raise ValueError(f"Unknown protocol {protocol}. Available protocols: [{known}]")


def _to_schema(spec):
    if spec.type is None:
        return {"type": None, "context": None, "children_spec": []}
    serial = _SERIAL[spec.type]
    context = serial.to_context(spec.context) if serial.to_context else spec.context
    return {
        "type": serial.name or _qualified(spec.type),
        "context": json.dumps(context),
        "children_spec": [_to_schema(child) for child in spec.children_specs],
    }


def _from_schema(schema):
    if schema["type"] is None:
        return treespec_leaf()
    cls = _registered_by_name(schema["type"])
    context, serial = json.loads(schema["context"]), _SERIAL[cls]
    context = serial.from_context(context) if serial.from_context else context
    return TreeSpec(cls, context, [_from_schema(child) for child in schema["children_spec"]])


def treespec_dumps(treespec, protocol=None):
    """``treespec`` as JSON; contexts must be plain data or their class registered with ``to_dumpable_context``."""
    if not isinstance(treespec, TreeSpec):
        raise TypeError(
            "treespec_dumps(treespec, protocol): Expected `treespec` to be an instance of PyTreeSpec but got "
            f"{type(treespec)}."
        )
    _check_protocol(DEFAULT_TREESPEC_SERIALIZATION_PROTOCOL if protocol is None else protocol)
    return json.dumps([DEFAULT_TREESPEC_SERIALIZATION_PROTOCOL, _to_schema(treespec)])


def treespec_loads(serialized):
    """The spec that :func:`treespec_dumps` wrote."""
    protocol, schema = json.loads(serialized)
    _check_protocol(protocol)
    return _from_schema(schema)


def treespec_pprint(treespec):
    """``treespec`` as text with stars for the leaves."""
    return repr(treespec.unflatten([_Star()] * treespec.num_leaves))


class _Star:
    def __repr__(self):
        return "*"
