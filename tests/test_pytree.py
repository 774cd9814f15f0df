"""Trees of containers: the same leaves, structures, texts and errors as PyTorch's."""

import pickle
from collections import OrderedDict, defaultdict, deque, namedtuple
from dataclasses import dataclass

import pytest

from rushlight.utils import _pytree as ours
from rushlight.utils.hooks import RemovableHandle

Point = namedtuple("Point", "x y")
TREES = [
    3, None, [], {}, (), [[], {}], (1, [2, {"k": 3}]), {"b": 1, "a": [2, (3,)]}, OrderedDict(z=1, a=2),
    Point(1, [2, 3]),
    defaultdict(list, {"k": [1]}), deque([1, 2], maxlen=3),
    {"b": [1, (2, 3)]},
    {"a": OrderedDict(z=Point(4, {"k": 5})), "d": defaultdict(int, {1: 6}), "q": deque([7]), "n": None},
]  # fmt: skip


@pytest.fixture
def theirs():
    """PyTorch's module, or skip."""
    return pytest.importorskip("torch.utils._pytree")


@pytest.mark.parametrize("tree", TREES, ids=range(len(TREES)))
def test_trees_equal_pytorchs(theirs, tree):
    their_leaves, their_spec = theirs.tree_flatten(tree)
    leaves, spec = ours.tree_flatten(tree)
    assert leaves == their_leaves == list(ours.tree_iter(tree)) == ours.tree_leaves(tree)
    counts = ("num_leaves", "num_nodes", "num_children")
    assert [getattr(spec, name) for name in counts] == [getattr(their_spec, name) for name in counts]
    assert repr(spec) == repr(their_spec) and spec.is_leaf() == their_spec.is_leaf()
    paths = [(ours.keystr(path), leaf) for path, leaf in ours.tree_leaves_with_path(tree)]
    assert paths == [(theirs.keystr(path), leaf) for path, leaf in theirs.tree_leaves_with_path(tree)]
    again = ours.tree_unflatten(leaves, spec)
    assert again == tree and type(again) is type(tree)
    assert pickle.loads(pickle.dumps(spec)) == spec == ours.tree_structure(tree) and hash(spec) == hash(spec)
    assert all(ours.key_get(tree, path) is leaf for path, leaf in ours.tree_leaves_with_path(tree))


@pytest.mark.parametrize("tree", [t for t in TREES if not isinstance(t, Point)], ids=str)
def test_specs_as_text_equal_pytorchs(theirs, tree):
    spec = ours.tree_structure(tree)
    if "Point" in repr(spec):
        return  # a namedtuple class must be registered under a name before it can be written
    text = ours.treespec_dumps(spec)
    if not isinstance(tree, defaultdict) and "defaultdict" not in repr(spec):
        assert text == theirs.treespec_dumps(theirs.tree_structure(tree))
    assert ours.treespec_loads(text) == spec


def test_mapping_several_trees():
    assert ours.tree_map(lambda a, b: a + b, {"a": 1, "b": [2]}, {"b": [5], "a": 1}) == {"a": 2, "b": [7]}
    assert ours.tree_map(len, [[1], [2, 3]], is_leaf=lambda x: x and isinstance(x[0], int)) == [1, 2]
    assert ours.tree_map_only(int, lambda x: -x, [1, "a", (2.5, 3)]) == [-1, "a", (2.5, -3)]
    assert ours.tree_map_only((int, str), lambda x: x * 2, [1, "a", 2.5]) == [2, "aa", 2.5]
    assert ours.tree_map_only(lambda x: x == 1, lambda x: 9, [1, 2]) == [9, 2]
    seen = []
    assert ours.tree_map_(seen.append, (1, [2])) == (1, [2]) and seen == [1, 2]
    assert ours.tree_map_with_path(lambda path, leaf: ours.keystr(path) + str(leaf), {"a": [1]}) == {"a": ["['a'][0]1"]}
    assert ours.tree_all(bool, [1, [2]]) and not ours.tree_any(bool, [0, [0]])
    assert ours.tree_all_only(int, bool, [1, ""]) and ours.tree_any_only(str, bool, [0, "x"])
    with pytest.raises(TypeError, match="Argument must be a type, a tuple of types, or a callable"):
        ours.tree_map_only(3, len, [])


@pytest.mark.parametrize("other", [{"a": 1}, {"a": 1, "c": 2}, {"a": 1, "b": 3}, {"a": 1, "b": [1, 2]}, (1, 2)])
def test_structures_that_differ_raise(theirs, other):
    with pytest.raises(ValueError) as their_error:
        theirs.tree_map(lambda a, b: 0, {"a": 1, "b": [2]}, other)
    with pytest.raises(ValueError) as error:
        ours.tree_map(lambda a, b: 0, {"a": 1, "b": [2]}, other)
    assert str(error.value).lower() in str(their_error.value).lower()


def test_wrong_number_of_leaves(theirs):
    spec = ours.tree_structure([1, 2])
    with pytest.raises(ValueError, match="`leaves` has length 1 but the spec refers to a pytree that holds 2 items"):
        ours.tree_unflatten([1], spec)
    with pytest.raises(TypeError):
        ours.tree_unflatten([1], "spec")


def test_broadcast_to_a_spec():
    spec = ours.tree_structure(([1, 2], 3))
    assert ours._broadcast_to_and_flatten((7, 8), spec) == [7, 7, 8]
    assert ours._broadcast_to_and_flatten(5, spec) == [5, 5, 5]
    assert ours._broadcast_to_and_flatten((7,), spec) is None


def test_own_nodes():
    class Pair:
        def __init__(self, a, b):
            self.a, self.b = a, b

    assert ours.tree_leaves(Pair(1, 2))[0].a == 1  # a leaf until its class is registered
    ours.register_pytree_node(Pair, lambda p: ([p.a, p.b], None), lambda children, _: Pair(*children))
    try:
        assert ours.tree_map(lambda x: x + 1, [Pair(1, 2)])[0].b == 3
        with pytest.raises(ValueError, match="already registered as pytree node"):
            ours.register_pytree_node(Pair, None, None)
        with pytest.raises(ValueError, match="flatten_with_keys_fn"):
            ours.tree_leaves_with_path(Pair(1, 2))
        with pytest.warns(UserWarning, match="already registered"):
            ours._register_pytree_node(Pair, lambda p: ([p.a], p.b), lambda children, b: Pair(*children, b))
        assert ours.tree_leaves(Pair(1, 2)) == [1]
    finally:
        ours._deregister_pytree_node(Pair)


def test_dataclasses_and_constants():
    @dataclass
    class Batch:
        x: object
        y: object = None

    @dataclass(frozen=True)
    class Mode:
        name: str

    ours.register_dataclass(Batch)
    ours.register_constant(Mode)
    try:
        tree = [Batch(1), Batch(2, 3), Mode("a")]
        leaves, spec = ours.tree_flatten(tree)
        assert leaves == [1, 2, 3] and spec.unflatten(leaves) == tree
        assert ours.keystr(ours.tree_leaves_with_path(tree)[2][0]) == "[1].y"
        assert spec != ours.tree_structure([Batch(1), Batch(2, 3), Mode("b")])
    finally:
        ours._deregister_pytree_node(Batch)
        ours._deregister_pytree_node(Mode)


def test_names_that_packages_use():
    for name in ("TreeSpec", "PyTree", "SUPPORTED_NODES", "tree_structure", "treespec_pprint"):
        assert hasattr(ours, name)
    assert isinstance(ours.tree_structure(1), ours.LeafSpec) and ours._dict_flatten({"a": 1}) == ([1], ["a"])
    assert ours._dict_flatten_with_keys({"a": 1}) == ([(ours.MappingKey("a"), 1)], ["a"])
    assert ours._get_node_type(Point(1, 2)) is namedtuple and ours._get_node_type([]) is list


def test_handles_remove_their_hook():
    hooks, extra = OrderedDict(), OrderedDict()
    handle = RemovableHandle(hooks, extra_dict=extra)
    hooks[handle.id] = extra[handle.id] = print
    with handle:
        pass
    assert not hooks and not extra
    handle.remove()
    other = RemovableHandle(hooks)
    assert other.id > handle.id
    del hooks
    other.remove()
    assert pickle.loads(pickle.dumps(RemovableHandle(extra))).id == other.id + 1


def test_results_with_names_are_struct_sequences(theirs):
    """Made from one sequence, without _fields and without subclasses; programs tell them from named tuples to build them again."""
    import time

    import rushlight as rl

    torch = pytest.importorskip("torch")
    for library, tree in (torch, theirs), (rl, ours):
        found = library.arange(6.0).view(2, 3).max(0)
        kind = type(found)
        assert not hasattr(found, "_fields") and kind.__match_args__ == ("values", "indices")
        assert (kind.n_fields, kind.n_sequence_fields, kind.n_unnamed_fields) == (2, 2, 0) and kind.__bases__ == (tuple,)
        assert [tree.is_structseq(x) for x in (found, kind, time.gmtime(0), (1,), Point(1, 2))] == [True, True, True, False, False]
        assert tree.is_structseq_instance(found) and not tree.is_structseq_instance(kind) and tree.is_structseq_class(kind)
        assert not tree.is_namedtuple_instance(found)
        mapped = tree.tree_map(lambda t: t.shape, found)
        assert type(mapped) is kind and mapped.values == library.Size([3]) and repr(mapped) == repr(kind([library.Size([3])] * 2))
        assert [tree.keystr(path) for path, _ in tree.tree_leaves_with_path(found)] == ["[0]", "[1]"]
        again = pickle.loads(pickle.dumps(found))
        assert type(again) is kind and again.indices.tolist() == [1, 1, 1] and kind((3, 4)).indices == 4
        with pytest.raises(TypeError, match=r"torch.return_types.max\(\) takes a 2-sequence \(1-sequence given\)"):
            kind((1,))
        with pytest.raises(TypeError, match="is not an acceptable base type"):
            type("Sub", (kind,), {})


def test_batched_and_overriding_results_keep_their_names():
    import rushlight as rl

    class Sub(rl.Tensor):
        pass

    x = rl.tensor([[4.0, 1.0], [2.0, 3.0]])
    assert rl.vmap(lambda row: row.sort())(x).values.tolist() == [[1.0, 4.0], [2.0, 3.0]]
    found = x.as_subclass(Sub).sort()
    assert type(found) is rl.return_types.sort and type(found.values) is Sub
