"""Zip archives as PyTorch's checkpoints use them: stored without compression, every record aligned to 64 bytes.

The format is PKWARE's APPNOTE.TXT, sections 4.3 and 4.5. The reader trusts nothing: each offset and size is checked
against the length of the file, and all sizes together cannot exceed it, before anything is allocated.
"""

import os
import struct
import zlib

from .checksum import crc32
from .errors import CheckpointError, TruncatedFile

ALIGNMENT = 64

_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_END64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR64 = struct.Struct("<4sIQI")
_UTF8 = 0x0800
_DAY_ONE = 0x0021  # the first of January 1980, the zero of DOS dates
_MAX32, _MAX16 = 0xFFFFFFFF, 0xFFFF
_PIECE = 1 << 24  # bytes that are read at a time from files that cannot read into memory that is given


def _damaged(what):
    return CheckpointError(
        f"PytorchStreamReader failed reading zip archive: {what}\n"
        "The file is damaged: it was not written to its end, or changed after it was written."
    )


class ArchiveWriter:
    """Writes records one after the other to ``file`` (only ``write`` is used) in the folder ``prefix`` of the
    archive.
    """

    def __init__(self, file, prefix, checksums=True):
        self._file, self._prefix, self._checksums = file, prefix, checksums
        self._offset = 0
        self._directory = []
        self.checksum = 0

    def _write(self, data):
        self._file.write(data)
        self._offset += len(data)

    def add(self, name, data):
        """Add record ``name`` with the bytes ``data``."""
        size, name = len(data), f"{self._prefix}/{name}".encode()
        crc = crc32(data) if self._checksums else 0
        self.checksum = zlib.crc32(struct.pack("<I", crc), self.checksum)
        wide = size >= _MAX32
        extra = struct.pack("<2H2Q", 1, 16, size, size) if wide else b""
        short = _MAX32 if wide else size
        start = self._offset + _LOCAL.size + len(name) + len(extra) + 4
        padding = -start % ALIGNMENT
        extra += struct.pack("<2s H", b"FB", padding) + b"Z" * padding
        header = self._offset
        version = 45 if wide else 20
        self._write(
            _LOCAL.pack(b"PK\3\4", version, _UTF8, 0, 0, _DAY_ONE, crc, short, short, len(name), len(extra))
            + name
            + extra
        )
        self._write(data)
        self._directory.append((name, header, size, crc))

    def close(self):
        """Write the directory."""
        start = self._offset
        for name, header, size, crc in self._directory:
            wide = [value for value in (size, size, header) if value >= _MAX32]
            extra = struct.pack(f"<2H{len(wide)}Q", 1, 8 * len(wide), *wide) if wide else b""
            size, header = min(size, _MAX32), min(header, _MAX32)
            version = 45 if wide else 20
            self._write(
                _CENTRAL.pack(
                    b"PK\1\2", version, version, _UTF8, 0, 0, _DAY_ONE, crc, size, size, len(name), len(extra), 0, 0,
                    0, 0, header
                ) + name + extra
            )  # fmt: skip
        end, count = self._offset, len(self._directory)
        if end >= _MAX32 or count >= _MAX16:
            self._write(_END64.pack(b"PK\6\6", 44, 45, 45, 0, 0, count, count, end - start, start))
            self._write(_LOCATOR64.pack(b"PK\6\7", 0, end, 1))
        count = min(count, _MAX16)
        self._write(_END.pack(b"PK\5\6", 0, 0, count, count, min(end - start, _MAX32), min(start, _MAX32), 0))


class ArchiveReader:
    """Reads the records of the archive that begins where the seekable binary ``file`` stands. ``names`` lists them
    without their common folder.
    """

    def __init__(self, file):
        self._file, self._start = file, file.tell()
        file.seek(0, os.SEEK_END)
        self._size = file.tell() - self._start
        self._records = self._read_directory()
        self.prefix = next(iter(self._records), "/").partition("/")[0] + "/"
        # With checksums switched off PyTorch writes zeros for all of them.
        self.has_checksums = any(crc for _, _, crc in self._records.values())

    @property
    def names(self):
        """The names of all records."""
        return [name.removeprefix(self.prefix) for name in self._records]

    def _at(self, offset, size):
        if offset < 0 or offset + size > self._size:
            raise _damaged("a record reaches beyond the end of the file")
        self._file.seek(self._start + offset)
        data = self._file.read(size)
        if len(data) != size:
            raise TruncatedFile("PytorchStreamReader failed reading zip archive: the file ends too early")
        return data

    def _read_directory(self):
        tail_size = min(self._size, _END.size + _MAX16)
        tail = self._at(self._size - tail_size, tail_size)
        place = tail.rfind(b"PK\5\6")
        if place < 0 or place + _END.size > tail_size:
            raise _damaged("failed finding central directory.")
        *_, count, size, start, _ = _END.unpack_from(tail, place)
        end = self._size - tail_size + place
        if _MAX32 in (size, start) or count == _MAX16:
            count, size, start = self._read_end64(end)
        if start + size > end:
            raise _damaged("the directory reaches beyond its end")
        return self._parse_directory(self._at(start, size), count)

    def _read_end64(self, end):
        signature, _, place, _ = _LOCATOR64.unpack(self._at(end - _LOCATOR64.size, _LOCATOR64.size))
        fields = _END64.unpack(self._at(place, _END64.size))
        if signature != b"PK\6\7" or fields[0] != b"PK\6\6":
            raise _damaged("the 64-bit directory's end record is missing")
        return fields[7:]

    def _parse_directory(self, directory, count):
        records, total, at = {}, 0, 0
        for _ in range(count):
            if at + _CENTRAL.size > len(directory):
                raise _damaged("the directory ends too early")
            fields = _CENTRAL.unpack_from(directory, at)
            signature, flags, method, crc = fields[0], fields[3], fields[4], fields[7]
            packed, size, name_size, extra_size, comment_size, header = *fields[8:13], fields[16]
            at += _CENTRAL.size
            name = directory[at : at + name_size].decode("utf-8", "replace")
            extra = directory[at + name_size : at + name_size + extra_size]
            at += name_size + extra_size + comment_size
            if signature != b"PK\1\2" or at > len(directory):
                raise _damaged("a directory entry is unreadable")
            packed, size, header = _widen(extra, packed, size, header)
            if method != 0 or flags & 1 or packed != size:
                raise CheckpointError(
                    f"PytorchStreamReader failed reading zip archive: record {name!r} is compressed or encrypted\n"
                    "Checkpoints are stored as they are; unpack the archive and pack it again without compression "
                    "(zip -0)."
                )
            if name in records:
                raise _damaged(f"record {name!r} occurs twice")
            total += size
            if header + size > self._size or total > self._size:
                raise _damaged(f"record {name!r} reaches beyond the end of the file")
            records[name] = (header, size, crc)
        return records

    def _record(self, name):
        try:
            return self._records[self.prefix + name]
        except KeyError:
            raise _damaged(f"record {name!r} is missing") from None

    def __contains__(self, name):
        return self.prefix + name in self._records

    def size(self, name):
        """The number of bytes of record ``name``."""
        return self._record(name)[1]

    def offset(self, name):
        """Where in the archive the bytes of record ``name`` begin."""
        header, size, _ = self._record(name)
        fields = _LOCAL.unpack(self._at(header, _LOCAL.size))
        start = header + _LOCAL.size + fields[9] + fields[10]
        if fields[0] != b"PK\3\4" or start + size > self._size:
            raise _damaged(f"the header of record {name!r} is unreadable")
        return start

    def read(self, name):
        """The bytes of record ``name``."""
        data = self._at(self.offset(name), self.size(name))
        self._check(name, data)
        return data

    def read_into(self, name, view):
        """Fill the memoryview ``view``, which has the record's size, with the bytes of record ``name``."""
        self._file.seek(self._start + self.offset(name))
        done = 0
        while done < len(view):
            count = self._fill(view[done:])
            if not count:
                raise TruncatedFile(
                    f"PytorchStreamReader failed reading zip archive: the file ends within record {name!r}"
                )
            done += count
        self._check(name, view)

    def _fill(self, view):
        """Reads some of the bytes that ``view`` has room for, and returns how many."""
        if hasattr(self._file, "readinto"):
            return self._file.readinto(view)
        data = self._file.read(min(len(view), _PIECE))
        view[: len(data)] = data
        return len(data)

    def _check(self, name, data):
        if self.has_checksums and crc32(data) != self._record(name)[2]:
            raise _damaged(f"the checksum of record {name!r} is wrong")


def _widen(extra, packed, size, header):
    """The true values of the fields that are kept in the 64-bit extra field."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        if kind == 1:
            words = iter(struct.unpack_from(f"<{length // 8}Q", extra[at + 4 : at + 4 + length].ljust(length, b"\0")))
            size = next(words, size) if size == _MAX32 else size
            packed = next(words, packed) if packed == _MAX32 else packed
            header = next(words, header) if header == _MAX32 else header
        at += 4 + length
    return packed, size, header
