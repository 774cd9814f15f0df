"""TorchVersion: a version string that compares by its numbers."""


def _key(version):
    numbers = []
    for part in str(version).split("+")[0].split("."):
        digits = "".join(c for c in part if c.isdigit())
        numbers.append(int(digits) if digits else 0)
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return numbers


class TorchVersion(str):
    """A str that compares as a version: ``TorchVersion('2.13.0') > '2.6'``. It also compares with tuples of ints."""

    def _other(self, other):
        return list(other) if isinstance(other, tuple) else _key(other)

    def __lt__(self, other):
        return _key(self) < self._other(other)

    def __le__(self, other):
        return _key(self) <= self._other(other)

    def __gt__(self, other):
        return _key(self) > self._other(other)

    def __ge__(self, other):
        return _key(self) >= self._other(other)

    def __eq__(self, other):
        return str.__eq__(self, other) if isinstance(other, str) and "+" in other else _key(self) == self._other(other)

    def __ne__(self, other):
        return not self == other

    __hash__ = str.__hash__
