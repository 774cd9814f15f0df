"""Sets of values: what a distribution gives, and what its parameters may be. ``constraint.check(value)`` says which values lie in the set.

event_dim: how many of the last dimensions make one value; is_discrete: whether the set is countable.
"""

import rushlight as rl

__all__ = [
    "Constraint", "MixtureSameFamilyConstraint", "boolean", "cat", "corr_cholesky", "dependent", "dependent_property", "greater_than",
    "greater_than_eq", "half_open_interval", "independent", "integer_interval", "interval", "is_dependent", "less_than", "lower_cholesky",
    "lower_triangular", "multinomial", "nonnegative", "nonnegative_integer", "one_hot", "positive", "positive_definite", "positive_integer",
    "positive_semidefinite", "real", "real_vector", "simplex", "square", "stack", "symmetric", "unit_interval",
]  # fmt: skip


class Constraint:
    """Base class of sets of values: ``check(value)`` tells for each value whether it lies in the set. event_dim: how many of the last
    dimensions make one value.

    >>> constraints = torch.distributions.constraints
    >>> constraints.positive.check(torch.tensor([-1.0, 2.0]))
    tensor([False,  True])
    >>> constraints.simplex.check(torch.tensor([[0.5, 0.5], [0.5, 0.6]])), constraints.simplex.event_dim
    (tensor([ True, False]), 1)
    """

    is_discrete = False
    event_dim = 0

    def check(self, value):
        """Which values, over the batch dimensions, lie in the set: a bool tensor."""
        raise NotImplementedError

    def __repr__(self):
        return self.__class__.__name__[1:] + "()"


class _Dependent(Constraint):
    """A set that depends on other parameters, so that it can't be checked by itself.

    >>> constraints = torch.distributions.constraints
    >>> constraints.dependent.check(torch.tensor(1.0))
    Traceback (most recent call last):
        ...
    ValueError: Cannot determine validity of dependent constraint
    """

    def __init__(self, *, is_discrete=NotImplemented, event_dim=NotImplemented):
        self._is_discrete, self._event_dim = is_discrete, event_dim
        super().__init__()

    @property
    def is_discrete(self):
        """Whether the set is countable, if that was said."""
        return self._known(self._is_discrete, "is_discrete")

    @property
    def event_dim(self):
        """The number of dimensions of a value, if that was said."""
        return self._known(self._event_dim, "event_dim")

    def _known(self, value, name):
        if value is NotImplemented:
            raise NotImplementedError(f".{name} cannot be determined statically")
        return value

    def __call__(self, *, is_discrete=NotImplemented, event_dim=NotImplemented):
        """The same, with more said about it."""
        return _Dependent(
            is_discrete=self._is_discrete if is_discrete is NotImplemented else is_discrete,
            event_dim=self._event_dim if event_dim is NotImplemented else event_dim,
        )

    def check(self, x):
        """Raises ValueError."""
        raise ValueError("Cannot determine validity of dependent constraint")


def is_dependent(constraint):
    """True for sets that depend on other parameters.

    >>> constraints = torch.distributions.constraints
    >>> is_dependent(constraints.positive), is_dependent(constraints.dependent), is_dependent(torch.distributions.Uniform.support)
    (False, True, True)
    """
    return isinstance(constraint, _Dependent)


class _DependentProperty(property, _Dependent):
    """A property that gives a set: dependent on the class, known on an instance.

    >>> class Above(torch.distributions.Distribution):
    ...     def __init__(self, low):
    ...         self.low = low
    ...     @torch.distributions.constraints.dependent_property(is_discrete=False, event_dim=0)
    ...     def support(self):
    ...         return torch.distributions.constraints.greater_than(self.low)
    >>> Above.support, Above(2.0).support
    (DependentProperty(), GreaterThan(lower_bound=2.0))
    """

    def __init__(self, fn=None, *, is_discrete=NotImplemented, event_dim=NotImplemented):
        super().__init__(fn)
        self._is_discrete, self._event_dim = is_discrete, event_dim

    def __call__(self, fn):
        return _DependentProperty(fn, is_discrete=self._is_discrete, event_dim=self._event_dim)


class _IndependentConstraint(Constraint):
    """``base_constraint`` with its last batch dimensions taken into the value.

    >>> constraints = torch.distributions.constraints
    >>> vector = constraints.independent(constraints.positive, 1)
    >>> vector.check(torch.tensor([[1.0, 2.0], [1.0, -2.0]])), vector.event_dim
    (tensor([ True, False]), 1)
    """

    def __init__(self, base_constraint, reinterpreted_batch_ndims):
        self.base_constraint, self.reinterpreted_batch_ndims = base_constraint, reinterpreted_batch_ndims

    @property
    def is_discrete(self):
        return self.base_constraint.is_discrete

    @property
    def event_dim(self):
        return self.base_constraint.event_dim + self.reinterpreted_batch_ndims

    def check(self, value):
        result = self.base_constraint.check(value)
        n = self.reinterpreted_batch_ndims
        if result.dim() < n:
            raise ValueError(f"Expected value.dim() >= {self.event_dim} but got {value.dim()}")
        return result.reshape(*result.shape[: result.dim() - n], -1).all(-1)

    def __repr__(self):
        return f"{self.__class__.__name__[1:]}({self.base_constraint!r}, {self.reinterpreted_batch_ndims})"


class MixtureSameFamilyConstraint(Constraint):
    """The support of a mixture: that of its components, which have one more batch dimension.

    >>> support = MixtureSameFamilyConstraint(torch.distributions.constraints.positive)
    >>> support.check(torch.tensor([1.0, -1.0]))
    tensor([ True, False])
    """

    def __init__(self, base_constraint):
        if not isinstance(base_constraint, Constraint):
            raise AssertionError(f"base_constraint {base_constraint!r} is no Constraint")
        self.base_constraint = base_constraint

    @property
    def is_discrete(self):
        return self.base_constraint.is_discrete

    @property
    def event_dim(self):
        return self.base_constraint.event_dim

    def check(self, value):
        return self.base_constraint.check(value.unsqueeze(-1 - self.event_dim)).all(-1)

    def __repr__(self):
        return f"{self.__class__.__name__}({self.base_constraint!r})"


class _Bounded(Constraint):
    """A set of numbers between bounds; subclasses say which of them belong to it."""

    def __init__(self, lower_bound=None, upper_bound=None):
        self.lower_bound, self.upper_bound = lower_bound, upper_bound
        super().__init__()

    def __repr__(self):
        bounds = (("lower_bound", self.lower_bound), ("upper_bound", self.upper_bound))
        return f"{self.__class__.__name__[1:]}({', '.join(f'{n}={b}' for n, b in bounds if b is not None)})"


class _IntegerInterval(_Bounded):
    """The integers from a to b, both included.

    >>> torch.distributions.constraints.integer_interval(0, 3).check(torch.tensor([3.0, 1.5, 4.0]))
    tensor([ True, False, False])
    """

    is_discrete = True

    def check(self, value):
        return (value % 1 == 0) & (self.lower_bound <= value) & (value <= self.upper_bound)


class _IntegerLessThan(_Bounded):
    """The integers up to b."""

    is_discrete = True

    def __init__(self, upper_bound):
        super().__init__(None, upper_bound)

    def check(self, value):
        return (value % 1 == 0) & (value <= self.upper_bound)


class _IntegerGreaterThan(_Bounded):
    """The integers from a on."""

    is_discrete = True

    def check(self, value):
        return (value % 1 == 0) & (value >= self.lower_bound)


class _GreaterThan(_Bounded):
    """The numbers above a: x > lower_bound.

    >>> torch.distributions.constraints.greater_than(2.0).check(torch.tensor([2.0, 3.0]))
    tensor([False,  True])
    """

    def check(self, value):
        return self.lower_bound < value


class _GreaterThanEq(_Bounded):
    """The numbers from a on: x >= lower_bound.

    >>> torch.distributions.constraints.greater_than_eq(2.0).check(torch.tensor([1.0, 2.0]))
    tensor([False,  True])
    """

    def check(self, value):
        return self.lower_bound <= value


class _LessThan(_Bounded):
    """The numbers below b: x < upper_bound.

    >>> torch.distributions.constraints.less_than(2.0).check(torch.tensor([1.0, 2.0]))
    tensor([ True, False])
    """

    def __init__(self, upper_bound):
        super().__init__(None, upper_bound)

    def check(self, value):
        return value < self.upper_bound


class _Interval(_Bounded):
    """The numbers from a to b, both included.

    >>> torch.distributions.constraints.interval(0.0, 2.0).check(torch.tensor([2.0, 2.5]))
    tensor([ True, False])
    """

    def check(self, value):
        return (self.lower_bound <= value) & (value <= self.upper_bound)


class _HalfOpenInterval(_Bounded):
    """The numbers from a to below b.

    >>> torch.distributions.constraints.half_open_interval(0.0, 2.0).check(torch.tensor([0.0, 2.0]))
    tensor([ True, False])
    """

    def check(self, value):
        return (self.lower_bound <= value) & (value < self.upper_bound)


class _Multinomial(Constraint):
    """Counts, at least 0, that sum to at most ``upper_bound``.

    >>> torch.distributions.constraints.multinomial(3).check(torch.tensor([[1, 2], [2, 2]]))
    tensor([ True, False])
    """

    is_discrete, event_dim = True, 1

    def __init__(self, upper_bound):
        self.upper_bound = upper_bound

    def check(self, x):
        return (x >= 0).all(-1) & (x.sum(-1) <= self.upper_bound)


class _Boolean(Constraint):
    """0 and 1."""

    is_discrete = True

    def check(self, value):
        return (value == 0) | (value == 1)


class _OneHot(Constraint):
    """Vectors with a single 1 among zeros."""

    is_discrete, event_dim = True, 1

    def check(self, value):
        return ((value == 0) | (value == 1)).all(-1) & value.sum(-1).eq(1)


class _Real(Constraint):
    """All numbers but NaN."""

    def check(self, value):
        return value == value


class _Simplex(Constraint):
    """Vectors without negative entries that sum to 1."""

    event_dim = 1

    def check(self, value):
        return (value >= 0).all(-1) & ((value.sum(-1) - 1).abs() < 1e-6)


class _LowerTriangular(Constraint):
    """Matrices with zeros above the diagonal."""

    event_dim = 2

    def check(self, value):
        return (value.tril() == value).flatten(-2).all(-1)


class _LowerCholesky(_LowerTriangular):
    """Lower triangular matrices with a positive diagonal."""

    def check(self, value):
        return super().check(value) & (value.diagonal(dim1=-2, dim2=-1) > 0).all(-1)


class _CorrCholesky(_LowerCholesky):
    """Cholesky factors of correlation matrices: rows of length 1."""

    def check(self, value):
        norms = rl.linalg.norm(value.detach(), dim=-1)
        tolerance = rl.finfo(value.dtype).eps * value.size(-1) * 10
        return super().check(value) & (norms - 1).abs().lt(tolerance).all(-1)


class _Square(Constraint):
    """Square matrices."""

    event_dim = 2

    def check(self, value):
        return rl.full(value.shape[:-2], value.shape[-2] == value.shape[-1], dtype=rl.bool, device=value.device)


class _Symmetric(_Square):
    """Symmetric matrices."""

    def check(self, value):
        square = super().check(value)
        return rl.isclose(value, value.mT, atol=1e-6).all(-2).all(-1) if bool(square.all()) else square


class _PositiveSemidefinite(_Symmetric):
    """Symmetric matrices without negative eigenvalues."""

    def check(self, value):
        symmetric = super().check(value)
        return rl.linalg.eigvalsh(value).ge(0).all(-1) if bool(symmetric.all()) else symmetric


class _PositiveDefinite(_Symmetric):
    """Symmetric matrices that have a Cholesky factor."""

    def check(self, value):
        symmetric = super().check(value)
        return rl.linalg.cholesky_ex(value).info.eq(0) if bool(symmetric.all()) else symmetric


class _Cat(Constraint):
    """Sets side by side along a dimension: ``cseq[i]`` holds for ``lengths[i]`` positions of it.

    >>> constraints = torch.distributions.constraints
    >>> both = constraints.cat([constraints.positive, constraints.unit_interval], lengths=[1, 2])
    >>> both.check(torch.tensor([5.0, 0.5, 2.0]))
    tensor([ True,  True, False])
    """

    def __init__(self, cseq, dim=0, lengths=None):
        self.cseq, self.dim = list(cseq), dim
        self.lengths = [1] * len(self.cseq) if lengths is None else list(lengths)
        if len(self.lengths) != len(self.cseq):
            raise AssertionError(f"{len(self.lengths)} lengths for {len(self.cseq)} constraints")

    @property
    def is_discrete(self):
        return any(c.is_discrete for c in self.cseq)

    @property
    def event_dim(self):
        return max(c.event_dim for c in self.cseq)

    def check(self, value):
        parts = rl.split(value, self.lengths, self.dim)
        return rl.cat([c.check(v) for c, v in zip(self.cseq, parts)], self.dim)


class _Stack(Constraint):
    """Sets stacked along a dimension: ``cseq[i]`` holds for position i of it.

    >>> constraints = torch.distributions.constraints
    >>> constraints.stack([constraints.positive, constraints.real]).check(torch.tensor([-1.0, -1.0]))
    tensor([False,  True])
    """

    def __init__(self, cseq, dim=0):
        self.cseq, self.dim = list(cseq), dim

    @property
    def is_discrete(self):
        return any(c.is_discrete for c in self.cseq)

    @property
    def event_dim(self):
        dim = max(c.event_dim for c in self.cseq)
        return dim + 1 if self.dim + dim < 0 else dim

    def check(self, value):
        parts = [value.select(self.dim, i) for i in range(value.size(self.dim))]
        return rl.stack([c.check(v) for c, v in zip(self.cseq, parts)], self.dim)


dependent = _Dependent()
dependent_property = _DependentProperty
independent = _IndependentConstraint
boolean, one_hot, real = _Boolean(), _OneHot(), _Real()
nonnegative_integer, positive_integer = _IntegerGreaterThan(0), _IntegerGreaterThan(1)
integer_interval, multinomial = _IntegerInterval, _Multinomial
real_vector = independent(real, 1)
positive, nonnegative = _GreaterThan(0.0), _GreaterThanEq(0.0)
greater_than, greater_than_eq, less_than = _GreaterThan, _GreaterThanEq, _LessThan
unit_interval, interval, half_open_interval = _Interval(0.0, 1.0), _Interval, _HalfOpenInterval
simplex, lower_triangular, lower_cholesky = _Simplex(), _LowerTriangular(), _LowerCholesky()
corr_cholesky, square, symmetric = _CorrCholesky(), _Square(), _Symmetric()
positive_semidefinite, positive_definite = _PositiveSemidefinite(), _PositiveDefinite()
cat, stack = _Cat, _Stack
