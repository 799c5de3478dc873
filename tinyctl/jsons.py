"""JSON as this project writes and reads it: one canonical text per value, and hostile text refused."""

from __future__ import annotations

import json
import types
import typing
from dataclasses import MISSING, fields
from typing import Any, TypeVar

from tinyctl.errors import FileError, TinyctlError

Record = TypeVar("Record")


def canonical_json(value: Any) -> str:
    """Sorted keys, no blanks, shortest floats, ASCII: equal values give equal text. Non-finite floats are refused."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def parse_json(text: bytes | str, *, where: object) -> Any:
    """Parse strictly: no NaN or infinity, no key twice, no absurd nesting. Raises `FileError`."""

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        record = dict(items)
        if len(record) != len(items):
            raise ValueError("a key stands twice in one object")
        return record

    def refuse(constant: str) -> Any:
        raise ValueError(f"{constant} is not a JSON number")

    try:
        return json.loads(text, object_pairs_hook=pairs, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise FileError(f"not valid JSON ({error})", where=where) from None


def record_from_json(kind: type[Record], row: dict[str, Any], *, where: str) -> Record:
    """Build the dataclass `kind` from `row`, whose keys and scalar types must match its fields exactly."""
    hints = typing.get_type_hints(kind)
    known = {f.name: f for f in fields(kind)}  # type: ignore[arg-type]
    extra = set(row) - set(known)
    missing = {n for n, f in known.items() if f.default is MISSING and f.default_factory is MISSING} - set(row)
    if extra or missing:
        raise TinyctlError(
            " and ".join(
                f"{word} {', '.join(map(repr, sorted(names)))}"
                for word, names in (("unknown key", extra), ("missing key", missing))
                if names
            ),
            where=where,
        )
    return kind(**{name: _coerce(value, hints[name], f"{where}.{name}") for name, value in row.items()})


def _coerce(value: Any, kind: Any, where: str) -> Any:
    """`value` as the field type `kind`: JSON has lists for tuples and may write a float as an integer."""
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in typing.get_args(kind):
            return None
        return _coerce(value, next(k for k in typing.get_args(kind) if k is not type(None)), where)
    if origin is tuple and isinstance(value, list | tuple):
        item = typing.get_args(kind)[0]
        return tuple(_coerce(v, item, where) for v in value)
    if kind is float and type(value) in (int, float):
        try:
            return float(value)
        except OverflowError:
            raise TinyctlError("number too large", where=where) from None
    if origin is typing.Literal and value in typing.get_args(kind):
        return value
    plain = origin or kind  # an annotated array is an array
    if isinstance(plain, type) and isinstance(value, plain) and (plain is bool or not isinstance(value, bool)):
        return value
    raise TinyctlError(f"expected {getattr(kind, '__name__', kind)}, found {value!r:.60}", where=where)
