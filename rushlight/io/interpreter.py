"""A closed interpreter of pickles: a file can name things, but only what is on a list is ever built, and nothing of
it runs.

``pickle`` itself executes what a file says: any importable function may be called. Here a name becomes a
:class:`Constructor` of our own or the file is refused, and the only things that are called are the ``build``, ``new``
and ``set_state`` of constructors, which check their arguments. The opcodes are described in the standard library's
``pickletools``.
"""

import struct

from .errors import CheckpointError, TruncatedFile, UnsafeContent, brief

MARK = object()

# What our own code raises on meeting values of a wrong kind.
MISREADINGS = (ArithmeticError, AttributeError, LookupError, MemoryError, TypeError, ValueError, struct.error)


# What has as many parts as its arguments.
_SIZED = (bytes, bytearray, str, set, frozenset, dict, tuple, list)


class Constructor:
    """A name in a file and what may be done with it: ``build(*arguments)``, ``new()`` an object without its
    constructor.
    """

    __slots__ = ("build", "name", "new", "value")

    def __init__(self, name, build=None, new=None, value=None):
        self.name, self.build, self.new, self.value = name, build, new, value


class Interpreter:
    """Reads one pickle from the bytes ``data``, beginning at ``at``; afterwards ``at`` is its end.

    ``resolve(module, name)`` gives the value or Constructor for a name, ``persistent_load(pid)`` a storage,
    ``set_state(obj, state)`` gives an object that was built before its state.
    """

    def __init__(self, data, resolve, persistent_load, set_state, encoding="utf-8", at=0):
        self.data, self.at = data, at
        self.resolve, self.persistent_load, self.set_state = resolve, persistent_load, set_state
        self.encoding = encoding
        self.stack, self.memo = [], {}
        self.budget = 4 * len(data) + 4096

    def load(self):
        """The object. CheckpointError for a pickle that is damaged, UnsafeContent for one that asks for too much."""
        steps = _STEPS
        try:
            while True:
                code = self.data[self.at]
                self.at += 1
                if code == 0x2E:  # STOP
                    return _value(self.stack.pop())
                step = steps.get(code)
                if step is None:
                    raise UnsafeContent(
                        f"opcode {code:#04x} at byte {self.at - 1} is not one that checkpoints are written with"
                    )
                step(self)
        except (CheckpointError, UnsafeContent):
            raise
        except IndexError:
            if self.at >= len(self.data):
                raise TruncatedFile("the pickle of the checkpoint ends too early") from None
            raise self._damaged("takes more from its stack than is there") from None
        except RecursionError:
            raise self._damaged("nests too deeply") from None
        except MISREADINGS as error:
            raise self._damaged(f"cannot be read ({describe(error)})") from None

    def _damaged(self, what):
        return CheckpointError(f"the pickle of the checkpoint {what}, at byte {self.at} of {len(self.data)}")

    def path(self):
        """The keys of the dicts that are being filled: where in the checkpoint the reader stands, for messages."""
        keys, start = [], 0
        for place, item in enumerate([*self.stack, MARK]):
            if item is MARK:
                filled = start > 1 and isinstance(self.stack[start - 2], dict)
                keys.append(_last_key(self.stack[start:place], filled))
                start = place + 1
        keys = [key for key in keys if key is not None]
        return ".".join(keys)

    # ---- reading

    def _take(self, size):
        start, end = self.at, self.at + size
        if size < 0 or end > len(self.data):
            raise TruncatedFile("the pickle of the checkpoint ends too early")
        self.at = end
        return self.data[start:end]

    def _number(self, layout):
        return struct.unpack(layout, self._take(struct.calcsize(layout)))[0]

    def _line(self):
        end = self.data.find(b"\n", self.at)
        if end < 0:
            raise TruncatedFile("the pickle of the checkpoint ends too early")
        line, self.at = self.data[self.at : end], end + 1
        return line

    def _text(self, data):
        return bytes(data) if self.encoding == "bytes" else data.decode(self.encoding)

    def _items(self):
        """What stands above the topmost mark, taken off together with it."""
        place = len(self.stack) - 1
        while self.stack[place] is not MARK:
            place -= 1
            if place < 0:
                raise IndexError("no mark")
        items = self.stack[place + 1 :]
        del self.stack[place:]
        if any(type(item) is Constructor for item in items):
            items = [_value(item) for item in items]
        return items

    def _pop(self):
        value = self.stack.pop()
        if value is MARK:
            raise ValueError("a mark where a value is expected")
        return value

    # ---- building

    def _global(self):
        module, name = self._line().decode(), self._line().decode()
        self.stack.append(self.resolve(module, name))

    def _stack_global(self):
        name, module = self._pop(), self._pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise ValueError("a name that is no text")
        self.stack.append(self.resolve(module, name))

    def _reduce(self):
        arguments, function = self._pop(), self._pop()
        if type(function) is not Constructor or function.build is None:
            raise UnsafeContent(
                f"the file calls {getattr(function, 'name', type(function).__name__)}, which cannot be called"
            )
        if type(arguments) is not tuple:
            raise ValueError("arguments that are no tuple")
        self.stack.append(function.build(*arguments))
        self._spend(self.stack[-1])

    def _spend(self, built):
        """Count the size of ``built``: all together may not outgrow the file, as one text encoded again and again
        would.
        """
        if isinstance(built, _SIZED):
            self.budget -= len(built)
        elif type(built).__module__ == "numpy":
            self.budget -= getattr(built, "nbytes", 0)
        if self.budget < 0:
            raise self._damaged("builds more than it has bytes for")

    def _new(self):
        arguments, kind = self._pop(), self._pop()
        if type(kind) is not Constructor or (kind.new is None and kind.build is None):
            raise UnsafeContent(f"the file makes an instance of {getattr(kind, 'name', type(kind).__name__)}")
        # An object is made without its constructor; a value, such as a tuple, is made of its arguments.
        self.stack.append(kind.new(*arguments) if kind.new is not None else kind.build(*arguments))

    def _new_with_keywords(self):
        if self._pop() != {}:
            raise UnsafeContent("the file makes an object with keyword arguments")
        self._new()

    def _build(self):
        state = _value(self._pop())
        self.set_state(self.stack[-1], state)
        self._spend(self.stack[-1])

    def _persistent(self):
        self.stack.append(self.persistent_load(self._pop()))

    # ---- containers

    def _append(self, items):
        target = self.stack[-1]
        if type(target) is not list and type(target) is not set:
            raise ValueError(f"items for a {type(target).__name__}")
        target.extend(items) if type(target) is list else target.update(_keys(items))

    def _set_items(self, items):
        target = self.stack[-1]
        if not isinstance(target, dict):
            raise ValueError(f"keys for a {type(target).__name__}")
        if len(items) % 2:
            raise ValueError("a key without a value")
        for key, value in zip(_keys(items[::2]), items[1::2], strict=True):
            target[key] = value

    def _last(self, count):
        items = [_value(self._pop()) for _ in range(count)]
        return items[::-1]

    def _put(self, number):
        if self.stack[-1] is MARK:
            raise ValueError("a mark is remembered")
        self.memo[number] = self.stack[-1]

    def _push_dict(self):
        items = self._items()
        self.stack.append({})
        self._set_items(items)


def describe(error):
    """The class and text of one of the MISREADINGS; a LookupError's text is the key, which may be anything."""
    text = brief(error.args[0]) if isinstance(error, LookupError) and error.args else str(error)[:200]
    return f"{type(error).__name__}: {text}"


def _last_key(items, filled):
    """The last key among ``items``: keys and values in turn if they fill a dict (``filled``), the last of which may
    be unfinished.

    A dict with one item stands among the items itself, before its key.
    """
    while items and type(items[-1]) is Constructor:
        items = items[:-1]
    for place in (len(items) - 1, len(items) - 2):
        if place >= 0 and isinstance(items[place], str):
            return items[place] if filled or (place and isinstance(items[place - 1], dict)) else None
    return None


def _value(item):
    """What a stack item means as a value: a class or function for its name, anything else itself."""
    if type(item) is Constructor:
        return item if item.value is None else item.value
    if item is MARK:
        raise ValueError("a mark where a value is expected")
    return item


def _keys(items):
    """``items``, checked to be plain keys: hashing must not run code, nor take for ever on tuples of shared tuples."""
    for item in items:
        if type(item) not in _PLAIN_KEYS:
            _check_key(item, [1000])
    return items


_PLAIN_KEYS = frozenset({str, int, float, bool, bytes, complex, type(None)})


def _check_key(item, budget):
    budget[0] -= 1
    if budget[0] < 0:
        raise ValueError("a key of more than 1000 parts")
    if type(item) in (tuple, frozenset):
        for part in item:
            _check_key(part, budget)
    elif type(item) not in _PLAIN_KEYS and not _is_plain_hash(item):
        raise ValueError(f"a key of type {type(item).__name__}")


def _is_plain_hash(item):
    """True for objects whose class hashes by identity or is a builtin's own: parameters, dtypes, devices."""
    return type(item).__hash__ is object.__hash__ or type(item).__module__.partition(".")[0] in ("rushlight", "torch")


def _frozenset(self):
    self.stack.append(frozenset(_keys(self._items())))


def _list(self):
    self.stack.append(self._items())


def _tuple(self):
    self.stack.append(tuple(self._items()))


def _int_line(self):
    line = self._line()
    if line in (b"00", b"01"):
        self.stack.append(line == b"01")
    else:
        self.stack.append(int(line))


def _string_line(self):
    line = self._line().strip()
    if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in b"\"'":
        raise ValueError("text without quotes")
    self.stack.append(self._text(line[1:-1].decode("unicode_escape").encode("latin1")))


def _push(layout):
    return lambda self: self.stack.append(self._number(layout))


def _push_constant(value):
    return lambda self: self.stack.append(value)


def _push_new(kind):
    return lambda self: self.stack.append(kind())


def _push_data(layout, convert):
    return lambda self: self.stack.append(convert(self, self._take(self._number(layout))))


def _long(layout):
    return lambda self: self.stack.append(int.from_bytes(self._take(self._number(layout)), "little", signed=True))


def _utf8(self, data):
    return data.decode("utf-8", "surrogatepass")


def _raw(self, data):
    return bytes(data)


_STEPS = {
    ord(code): step
    for code, step in {
        "\x80": lambda self: self._take(1),  # PROTO
        "\x95": lambda self: self._take(8) and None,  # FRAME: only a hint for reading ahead
        "(": _push_constant(MARK),
        "0": lambda self: self.stack.pop(),
        "1": lambda self: self._items(),
        "2": lambda self: self.stack.append(self.stack[-1]),
        "N": _push_constant(None),
        "\x88": _push_constant(True),
        "\x89": _push_constant(False),
        "I": _int_line,
        "J": _push("<i"),
        "K": _push("<B"),
        "M": _push("<H"),
        "L": lambda self: self.stack.append(int(self._line().rstrip(b"L"))),
        "\x8a": _long("<B"),
        "\x8b": _long("<i"),
        "F": lambda self: self.stack.append(float(self._line())),
        "G": _push(">d"),
        "S": _string_line,
        "T": _push_data("<i", Interpreter._text),
        "U": _push_data("<B", Interpreter._text),
        "V": lambda self: self.stack.append(self._line().decode("raw_unicode_escape")),
        "X": _push_data("<I", _utf8),
        "\x8c": _push_data("<B", _utf8),
        "\x8d": _push_data("<Q", _utf8),
        "B": _push_data("<I", _raw),
        "C": _push_data("<B", _raw),
        "\x8e": _push_data("<Q", _raw),
        "\x96": _push_data("<Q", lambda self, data: bytearray(data)),
        ")": _push_constant(()),
        "t": _tuple,
        "\x85": lambda self: self.stack.append(tuple(self._last(1))),
        "\x86": lambda self: self.stack.append(tuple(self._last(2))),
        "\x87": lambda self: self.stack.append(tuple(self._last(3))),
        "]": _push_new(list),
        "l": _list,
        "a": lambda self: self._append(self._last(1)),
        "e": lambda self: self._append(self._items()),
        "}": _push_new(dict),
        "d": lambda self: self._push_dict(),
        "s": lambda self: self._set_items(self._last(2)),
        "u": lambda self: self._set_items(self._items()),
        "\x8f": _push_new(set),
        "\x90": lambda self: self._append(self._items()),
        "\x91": _frozenset,
        "p": lambda self: self._put(int(self._line())),
        "q": lambda self: self._put(self._number("<B")),
        "r": lambda self: self._put(self._number("<I")),
        "\x94": lambda self: self._put(len(self.memo)),
        "g": lambda self: self.stack.append(self.memo[int(self._line())]),
        "h": lambda self: self.stack.append(self.memo[self._number("<B")]),
        "j": lambda self: self.stack.append(self.memo[self._number("<I")]),
        "c": Interpreter._global,
        "\x93": Interpreter._stack_global,
        "R": Interpreter._reduce,
        "\x81": Interpreter._new,
        "\x92": Interpreter._new_with_keywords,
        "b": Interpreter._build,
        "Q": Interpreter._persistent,
    }.items()
}
