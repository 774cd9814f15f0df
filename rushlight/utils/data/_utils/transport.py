"""Messages between the program and its worker processes: a pickle, and the bytes of its tensors beside it.

The bytes of a tensor go from its memory into the socket and from there into the memory of the new tensor: no copy in
between, no shared-memory file, no descriptor per tensor.
"""

import io
import pickle
import struct

import rushlight

from ....io import tensors

_HEAD = struct.Struct("<QI")
_SIZE = struct.Struct("<Q")


class _Pickler(pickle.Pickler):
    def __init__(self, file):
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self.blocks = []

    def persistent_id(self, obj):
        if type(obj) is not rushlight.Tensor or not tensors.is_plain(obj):
            return None
        self.blocks.append(tensors.materialised(obj))
        return len(self.blocks) - 1, tensors.dtype_name(obj.dtype), tuple(obj.shape), obj.requires_grad and obj.is_leaf


class _Unpickler(pickle.Unpickler):
    def __init__(self, file, blocks):
        super().__init__(file)
        self.blocks = blocks

    def persistent_load(self, pid):
        number, dtype, shape, requires_grad = pid
        tensor = tensors.tensor_of_block(self.blocks[number], dtype, shape)
        return tensor.requires_grad_() if requires_grad else tensor


def send(connection, message):
    """Write ``message`` to the socket ``connection``. What cannot be pickled raises before anything is written."""
    file = io.BytesIO()
    pickler = _Pickler(file)
    pickler.dump(message)
    payload = file.getbuffer()
    views = [tensors.view_bytes(block) for block in pickler.blocks]
    sizes = [_SIZE.pack(len(view)) for view in views]
    connection.sendall(b"".join([_HEAD.pack(len(payload), len(views)), *sizes, payload]))
    for view in views:
        connection.sendall(view)


def receive(connection):
    """Read one message from the socket ``connection``; EOFError at its end."""
    length, count = _HEAD.unpack(_exactly(connection, _HEAD.size))
    sizes = _exactly(connection, _SIZE.size * count)
    payload = _exactly(connection, length)
    blocks = []
    for (size,) in _SIZE.iter_unpack(sizes):
        block = tensors.empty_block(size)
        _fill(connection, tensors.view_bytes(block))
        blocks.append(block)
    return _Unpickler(io.BytesIO(payload), blocks).load()


def _exactly(connection, size):
    data = bytearray(size)
    _fill(connection, memoryview(data))
    return data


def _fill(connection, view):
    done = 0
    while done < len(view):
        count = connection.recv_into(view[done:])
        if not count:
            raise EOFError("the other side of the connection is gone")
        done += count
