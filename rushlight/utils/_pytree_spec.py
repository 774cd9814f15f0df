"""The registry of node classes and the structure of a tree without its leaves."""

from collections import OrderedDict, defaultdict, deque, namedtuple

NodeDef = namedtuple("NodeDef", "type flatten_fn unflatten_fn flatten_with_keys_fn")

SUPPORTED_NODES = {}
STANDARD_DICT_TYPES = frozenset({dict, OrderedDict, defaultdict})


def is_namedtuple_class(cls):
    """True for classes made by ``namedtuple`` or ``typing.NamedTuple``, and their subclasses."""
    fields = getattr(cls, "_fields", None)
    return (
        isinstance(cls, type)
        and issubclass(cls, tuple)
        and isinstance(fields, tuple)
        and callable(getattr(cls, "_make", None))
    )


def is_namedtuple_instance(obj):
    """True for an instance of a namedtuple class."""
    return is_namedtuple_class(type(obj))


def is_namedtuple(obj):
    """True for a namedtuple class or an instance of one."""
    return is_namedtuple_class(obj if isinstance(obj, type) else type(obj))


def is_structseq_class(cls):
    """True for classes like C's struct sequences: ``time.struct_time``, and those of ``torch.return_types``."""
    return (
        isinstance(cls, type)
        and cls.__bases__ == (tuple,)
        and all(isinstance(getattr(cls, name, None), int) for name in ("n_fields", "n_sequence_fields", "n_unnamed_fields"))
    )


def is_structseq_instance(obj):
    """True for an instance of such a class."""
    return is_structseq_class(type(obj))


def is_structseq(obj):
    """True for such a class or an instance of one."""
    return is_structseq_class(obj if isinstance(obj, type) else type(obj))


def _get_node_type(tree):
    kind = type(tree)
    return namedtuple if kind not in SUPPORTED_NODES and is_namedtuple_class(kind) else kind


class TreeSpec:
    """The structure of a tree without its leaves: the node's ``type``, its ``context`` and the specs of its children.

    A leaf's spec has ``type`` None. ``num_nodes``, ``num_leaves`` and ``num_children`` count.
    """

    __slots__ = ("_children", "_context", "num_children", "num_leaves", "num_nodes", "type")

    def __init__(self, type, context, children_specs):
        self.type, self._context, self._children = type, context, list(children_specs)
        leaf = type is None
        self.num_children = len(self._children)
        self.num_nodes = 1 + sum(child.num_nodes for child in self._children)
        self.num_leaves = 1 if leaf else sum(child.num_leaves for child in self._children)

    @property
    def context(self):
        """What the node's class needs besides its children to be built again (a dict's keys, say)."""
        return self._context

    @property
    def children_specs(self):
        """The specs of the children, in order."""
        return self._children

    def is_leaf(self):
        """True for the spec of a leaf."""
        return self.type is None

    def children(self):
        """A new list of the children's specs."""
        return list(self._children)

    def child(self, index):
        """The spec of child ``index``."""
        return self._children[index]

    def unflatten(self, leaves):
        """The tree with this structure and these ``leaves``; ValueError if there are not ``num_leaves`` of them."""
        leaves = list(leaves)
        if len(leaves) != self.num_leaves:
            raise ValueError(
                f"treespec.unflatten(leaves): `leaves` has length {len(leaves)} but the spec refers to a pytree "
                f"that holds {self.num_leaves} items ({self})."
            )
        return self._build(iter(leaves))

    def _build(self, leaves):
        if self.type is None:
            return next(leaves)
        return SUPPORTED_NODES[self.type].unflatten_fn(
            [child._build(leaves) for child in self._children], self._context
        )

    def flatten_up_to(self, tree):
        """The subtrees of ``tree`` that stand where this spec has leaves; ValueError if the structures differ."""
        subtrees = []
        self._split(tree, subtrees)
        return subtrees

    def _split(self, tree, subtrees):
        if self.type is None:
            subtrees.append(tree)
            return
        kind = _get_node_type(tree)
        both_dicts = self.type in STANDARD_DICT_TYPES and kind in STANDARD_DICT_TYPES
        if kind is not self.type and not both_dicts:
            raise ValueError(f"Type mismatch; expected {self.type!r}, but got {type(tree)!r}.")
        if both_dicts:
            children = self._split_dict(tree)
        else:
            children, context = SUPPORTED_NODES[kind].flatten_fn(tree)
            children = list(children)
            if len(children) != self.num_children:
                raise ValueError(f"Node arity mismatch; expected {self.num_children}, but got {len(children)}.")
            if kind is not deque and context != self._context:
                raise ValueError(f"Node context mismatch for custom node type {kind!r}.")
        for child, subtree in zip(self._children, children, strict=True):
            child._split(subtree, subtrees)

    def _split_dict(self, tree):
        keys = self._context[1] if self.type is defaultdict else self._context
        if len(tree) != len(keys):
            raise ValueError(f"Node arity mismatch; expected {len(keys)}, but got {len(tree)}.")
        if set(keys) != set(tree):
            missing, extra = set(keys) - set(tree), set(tree) - set(keys)
            raise ValueError(f"Node keys mismatch; missing key(s): {missing}; extra key(s): {extra}.")
        return [tree[key] for key in keys]

    def __eq__(self, other):
        if not isinstance(other, TreeSpec):
            return NotImplemented
        return (self.type, self._context, self._children) == (other.type, other._context, other._children)

    def __hash__(self):
        keys = self._context[1] if self.type is defaultdict else self._context
        keys = tuple(keys) if self.type in STANDARD_DICT_TYPES else keys
        return hash((self.type, keys, tuple(self._children)))

    def __repr__(self, indent=0):
        if self.type is None:
            return "*"
        inner = indent + 2
        children = (",\n" + " " * inner).join(child.__repr__(inner) for child in self._children)
        return f"TreeSpec({self.type.__name__}, {self._context}, [{children}])"

    def __reduce__(self):
        return TreeSpec, (self.type, self._context, self._children)


class LeafSpec(TreeSpec):
    """The spec of a leaf."""

    __slots__ = ()

    def __init__(self):
        super().__init__(None, None, [])

    def __reduce__(self):
        return LeafSpec, ()


PyTreeSpec = TreeSpec
_LEAF = LeafSpec()


def treespec_leaf():
    """The spec of a leaf."""
    return _LEAF


def treespec_tuple(iterable=(), /):
    """The spec of a tuple of the given specs."""
    return TreeSpec(tuple, None, list(iterable))


def treespec_dict(mapping=(), /, **kwargs):
    """The spec of a dict with the given specs as values."""
    specs = dict(mapping, **kwargs)
    return TreeSpec(dict, list(specs), list(specs.values()))
