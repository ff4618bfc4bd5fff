"""Typed records as bytes: msgpack, with Arrow tables and NumPy arrays inside. Never pickle.

Equal records give equal bytes, so a record can be named by its hash.
"""

import io
from typing import Any, TypeVar

import msgspec
import numpy as np
import pyarrow as pa

T = TypeVar("T")
_ARRAY, _TABLE = 1, 2


def encode(record: Any) -> bytes:
    """`record` (a msgspec Struct, or plain values) as bytes."""
    return _ENCODER.encode(record)


def decode(data: bytes, kind: type[T]) -> T:
    """The record of type `kind` that `encode` made.

    Raises:
        msgspec.ValidationError: the bytes do not hold a record of this type.
    """
    return msgspec.msgpack.decode(data, type=kind, ext_hook=_decode_extension, dec_hook=_accept)


def table_bytes(table: pa.Table) -> bytes:
    """An Arrow table as an Arrow IPC file, compressed; equal tables give equal bytes."""
    sink = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_file(sink, table.schema, options=options) as writer:
        writer.write_table(table.combine_chunks(), max_chunksize=1 << 20)
    return sink.getvalue()


def table_from_bytes(data: bytes | memoryview) -> pa.Table:
    """The table that `table_bytes` wrote."""
    return pa.ipc.open_file(pa.py_buffer(data)).read_all()


def _extension(value: Any) -> msgspec.msgpack.Ext:
    if isinstance(value, pa.Table):
        return msgspec.msgpack.Ext(_TABLE, table_bytes(value))
    if isinstance(value, np.ndarray):
        sink = io.BytesIO()
        np.lib.format.write_array(sink, np.ascontiguousarray(value), allow_pickle=False)
        return msgspec.msgpack.Ext(_ARRAY, sink.getvalue())
    if isinstance(value, np.generic):
        return value.item()  # type: ignore[no-any-return]
    raise TypeError(f"no plain form for {type(value).__name__}")


def _decode_extension(code: int, data: memoryview) -> Any:
    if code == _TABLE:
        return table_from_bytes(bytes(data))
    if code == _ARRAY:
        return np.lib.format.read_array(io.BytesIO(bytes(data)), allow_pickle=False)
    raise msgspec.ValidationError(f"unknown extension {code}")


def _accept(kind: type, value: Any) -> Any:
    if isinstance(value, kind):
        return value
    raise msgspec.ValidationError(f"expected {kind.__name__}, actual {type(value).__name__}")


_ENCODER = msgspec.msgpack.Encoder(enc_hook=_extension, order="deterministic")
