"""einsum: parsing of the equation, and contraction of the operands two at a time. What is to be done follows from the equation and the
operands' shapes; it is planned once, on shapes alone."""

from .._core.tensor import Tensor
from . import arithmetic, contraction, reduction, shape
from ._define import composite, planned

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


@composite(where="function")
def einsum(*args):
    """Sums of products in Einstein's notation.

    ``einsum("ij,jk->ik", a, b)`` is ``a @ b``: each operand's dims get letters, letters that the result lacks are summed over. Without
    ``->`` the result has the letters that occur once, in alphabetical order. ``...`` stands for any number of broadcast dims, a letter
    twice in one operand for its diagonal. Also ``einsum(a, [0, 1], b, [1, 2], [0, 2])``.

    >>> torch.einsum("ii", torch.eye(3))
    tensor(3.)
    """
    equation, operands = _arguments(args)
    for x in operands:
        if not isinstance(x, Tensor):
            raise TypeError(f"einsum(): argument 'operands' must be tuple of Tensors, but found element of type {type(x).__name__}")
    values = operands
    for operator, inputs, arguments in _plan(equation, tuple([tuple(x.shape) for x in operands])):
        values.append(operator(*[values[i] for i in inputs], *arguments))
    return values[-1]


@planned
def _plan(equation, shapes):
    """The operators that compute a sum of products of operands of these shapes: [(operator, numbers of its tensors, further arguments)].

    Tensors are numbered: the operands, then the operators' results.
    """
    steps = Steps(len(shapes))
    terms, output = _parsed(equation, shapes)
    operands = [_prepared(Planned(i, sizes, steps), term, i) for i, (sizes, term) in enumerate(zip(shapes, terms))]
    _check_sizes(operands)
    while len(operands) > 1:
        i, j = _next_pair(operands)
        second, first = operands.pop(j), operands.pop(i)
        needed = set(output).union(*(letters for _, letters in operands))
        operands.insert(i, _contracted(first, second, needed))
    x, letters = _summed(*operands[0], set(output))
    x = x.permute([letters.index(letter) for letter in output])
    if not steps or x.number != steps.operands + len(steps) - 1:
        steps.add(shape.permute, [x], [list(range(len(x.shape)))], x.shape)
    return steps


class Steps(list):
    """A plan under way; ``operands``: how many tensors it starts from."""

    def __init__(self, operands):
        self.operands = operands

    def add(self, operator, inputs, arguments, sizes):
        self.append((operator, [x.number for x in inputs], arguments))
        return Planned(self.operands + len(self) - 1, sizes, self)


class Planned:
    """A tensor of a plan: its number and shape, and the operators that make more of them. What changes nothing is left out."""

    def __init__(self, number, sizes, steps):
        self.number, self.shape, self.steps = number, tuple(sizes), steps

    def diagonal(self, i, j):
        sizes = [n for d, n in enumerate(self.shape) if d not in (i, j)]
        return self.steps.add(shape.diagonal, [self], [0, i, j], [*sizes, self.shape[i]])

    def sum(self, dims):
        return self.steps.add(reduction.sum, [self], [dims], self._without(dims)) if dims else self

    def squeeze(self, dims):
        return self.steps.add(shape.squeeze, [self], [dims], self._without(dims)) if dims else self

    def _without(self, dims):
        return [n for d, n in enumerate(self.shape) if d not in dims]

    def permute(self, dims):
        if dims == list(range(len(dims))):
            return self
        return self.steps.add(shape.permute, [self], [dims], [self.shape[d] for d in dims])

    def reshape(self, sizes):
        return self if tuple(sizes) == self.shape else self.steps.add(shape.reshape, [self], [tuple(sizes)], sizes)

    def times(self, other, operator, sizes):
        return self.steps.add(operator, [self, other], [], sizes)


# -- reading the equation; a dim that ``...`` stands for gets a negative number for a letter --


def _arguments(args):
    if len(args) < 2:
        raise ValueError(
            "einsum(): must specify the equation string and at least one operand, or at least one operand and its subscripts list"
        )
    if isinstance(args[0], str):
        operands = args[1] if len(args) == 2 and isinstance(args[1], (list, tuple)) else args[1:]
        return args[0], list(operands)
    operands, lists = list(args[0 : len(args) - 1 : 2]), list(args[1::2])
    equation = ",".join(_from_numbers(numbers) for numbers in lists)
    return (f"{equation}->{_from_numbers(args[-1])}" if len(args) % 2 else equation), operands


def _from_numbers(numbers):
    for n in numbers:
        if n is not Ellipsis and not 0 <= n < len(_LETTERS):
            raise ValueError(f"einsum(): expected subscript {n} to be within the valid range [0, 52)")
    return "".join("..." if n is Ellipsis else _LETTERS[n] for n in numbers)


def _parsed(equation, shapes):
    """([letters of each operand], [letters of the result])."""
    left, arrow, right = equation.partition("->")
    inputs = left.split(",")
    if len(inputs) != len(shapes):
        compared = "fewer" if len(shapes) < len(inputs) else "more"
        raise RuntimeError(
            f"einsum(): {compared} operands were provided than specified in the equation\n"
            f"The equation has {len(inputs)} terms, {len(shapes)} tensors were given."
        )
    terms = []
    for i, text in enumerate(inputs):
        term = _term(text, f"operand {i}", left.find(text))
        terms.append(_with_ellipsis(term, len(shapes[i]), i))
    covered = max((sum(isinstance(s, int) for s in term) for term in terms), default=0)
    if not arrow:
        counts = {s: sum(term.count(s) for term in terms) for term in terms for s in term if isinstance(s, str)}
        return terms, _dots(covered) + sorted(s for s, n in counts.items() if n == 1)
    output = []
    for s in _term(right, "output", len(left) + 2):
        output += _dots(covered) if s == "..." else [s]
    _check_output(output, terms)
    return terms, output


def _dots(count):
    return list(range(-count, 0))


def _term(text, where, start):
    """The subscripts of one term: letters and at most one '...'."""
    term, i = [], 0
    while i < len(text):
        c = text[i]
        if c == ".":
            if "..." in term:
                raise RuntimeError(f"einsum(): found '.' for {where} but an ellipsis (...) was already found")
            if text[i : i + 3] != "...":
                raise RuntimeError(f"einsum(): found '.' for {where} that is not part of any ellipsis")
            term.append("...")
            i += 3
            continue
        if c != " ":
            if c not in _LETTERS:
                raise RuntimeError(
                    f"einsum(): invalid subscript given at index {start + i} in the equation string, subscripts must be in [a-zA-Z]"
                )
            term.append(c)
        i += 1
    return term


def _with_ellipsis(term, ndim, operand):
    """The term with '...' replaced by as many numbered dims as the operand has left."""
    named = len(term) - ("..." in term)
    if "..." not in term:
        if named != ndim:
            raise RuntimeError(
                f"einsum(): the number of subscripts in the equation ({named}) does not match the number of dimensions ({ndim}) "
                f"for operand {operand} and no ellipsis was given"
            )
        return term
    if named > ndim:
        raise RuntimeError(
            f"einsum(): the number of subscripts in the equation ({named}) is more than the number of dimensions ({ndim}) "
            f"for operand {operand}"
        )
    at = term.index("...")
    return term[:at] + _dots(ndim - named) + term[at + 1 :]


def _check_output(output, terms):
    for s in output:
        if output.count(s) > 1:
            raise RuntimeError(f"einsum(): output subscript {s} appears more than once in the output")
        if isinstance(s, str) and not any(s in term for term in terms):
            raise RuntimeError(f"einsum(): output subscript {s} does not appear in the equation for any input operand")


# -- contraction: an operand is a tensor and the letters of its dims, all different --


def _prepared(x, term, operand):
    """The operand with repeated letters replaced by their diagonal."""
    letters = list(term)
    for s in dict.fromkeys(term):
        while letters.count(s) > 1:
            i = letters.index(s)
            j = letters.index(s, i + 1)
            if x.shape[i] != x.shape[j]:
                raise RuntimeError(
                    f"einsum(): subscript {s} is repeated for operand {operand} but the sizes don't match, {x.shape[j]} != {x.shape[i]}"
                )
            x = x.diagonal(i, j)
            letters = letters[:i] + letters[i + 1 : j] + letters[j + 1 :] + [s]
    return x, letters


def _check_sizes(operands):
    seen = {}
    for i, (x, letters) in enumerate(operands):
        for size, s in zip(x.shape, letters):
            if size != 1 and seen.setdefault(s, size) != size:
                name = s if isinstance(s, str) else "..."
                raise RuntimeError(
                    f"einsum(): subscript {name} has size {size} for operand {i} which does not broadcast "
                    f"with previously seen size {seen[s]}"
                )


def _next_pair(operands):
    """The two operands whose product is smallest; of two, both."""
    if len(operands) == 2:
        return 0, 1
    sizes = {s: n for x, letters in operands for n, s in zip(x.shape, letters) if n != 1}

    def size(i, j):
        rest = set().union(*(letters for k, (_, letters) in enumerate(operands) if k not in (i, j)))
        product = 1
        for s in set(operands[i][1]) | set(operands[j][1]):
            product *= sizes.get(s, 1) if s in rest or isinstance(s, int) else 1
        return product

    pairs = [(i, j) for j in range(len(operands)) for i in range(j)]
    return min(pairs, key=lambda pair: size(*pair))


def _summed(x, letters, needed):
    """x summed over the letters that nobody needs."""
    dims = [i for i, s in enumerate(letters) if s not in needed]
    return x.sum(dims), [s for s in letters if s in needed]


def _contracted(first, second, needed):
    """The product of two operands, summed over the letters that are in no other operand and not in the result."""
    first, second = _without_ones(first, second), _without_ones(second, first)
    (a, la), (b, lb) = _summed(*first, needed | set(second[1])), _summed(*second, needed | set(first[1]))
    both = [s for s in la if s in lb]
    batch, inner = [s for s in both if s in needed], [s for s in both if s not in needed]
    free_a, free_b = [s for s in la if s not in both], [s for s in lb if s not in both]
    letters = batch + free_a + free_b
    if not inner:
        left, right = _spread(a, la, letters), _spread(b, lb, letters)
        return left.times(right, arithmetic.mul, [m if n == 1 else n for n, m in zip(left.shape, right.shape)]), letters
    sizes = dict(zip(la, a.shape)) | dict(zip(lb, b.shape))
    left = _grouped(a, la, sizes, batch, free_a, inner)
    right = _grouped(b, lb, sizes, batch, inner, free_b)
    product = left.times(right, contraction.bmm if batch else contraction.mm, (*left.shape[:-1], right.shape[-1]))
    return product.reshape([sizes[s] for s in letters]), letters


def _without_ones(operand, other):
    """The operand without dims of size 1 that the other operand has larger: they are broadcast."""
    x, letters = operand
    sizes = dict(zip(other[1], other[0].shape))
    dims = [i for i, s in enumerate(letters) if x.shape[i] == 1 and sizes.get(s, 1) != 1]
    return x.squeeze(dims), [s for i, s in enumerate(letters) if i not in dims]


def _spread(x, own, letters):
    """x with its dims in the order of ``letters``, and dims of size 1 for those that it lacks."""
    x = x.permute([own.index(s) for s in letters if s in own])
    sizes = iter(x.shape)
    return x.reshape([next(sizes) if s in own else 1 for s in letters])


def _grouped(x, own, sizes, batch, rows, columns):
    """x as a matrix, or a batch of them, each side made of a group of letters."""
    x = x.permute([own.index(s) for s in batch + rows + columns])
    extents = []
    for group in ([batch] if batch else []) + [rows, columns]:
        product = 1
        for s in group:
            product *= sizes[s]
        extents.append(product)
    return x.reshape(extents)
