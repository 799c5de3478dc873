"""One canonical text per value; hostile text refused in one line."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyctl.errors import FileError, TinyctlError
from tinyctl.jsons import canonical_json, parse_json, record_from_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_round_trip(value: Any) -> None:
    text = canonical_json(value)
    assert text.isascii()
    assert parse_json(text, where="x") == value
    assert canonical_json(parse_json(text.encode(), where="x")) == text


def test_canonical_text() -> None:
    assert canonical_json({"b": 0.1, "a": [1.0, -0.0, 1e300, 5e-324]}) == '{"a":[1.0,-0.0,1e+300,5e-324],"b":0.1}'


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_non_finite_is_not_written(value: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json([value])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[1,]",
        "nul",
        "NaN",
        "[Infinity]",
        "-Infinity",
        '{"a":1,"a":1}',
        '{"x":{"a":1,"a":2}}',
        "1 2",
        b"\xff\xfe",
        b"\x80",
        "9" * 5000,
        "[" * 100_000,
        '{"a":' * 100_000,
        "'a'",
        "01",
        "\x00",
    ],
)
def test_bad_text(text: str | bytes) -> None:
    with pytest.raises(FileError, match="not valid JSON") as raised:
        parse_json(text, where="file")
    assert "\n" not in str(raised.value)


@given(st.binary(max_size=60))
def test_any_bytes_parse_or_are_refused(data: bytes) -> None:
    with contextlib.suppress(FileError):
        parse_json(data, where="file")


@dataclass(frozen=True)
class Row:
    name: str
    count: int
    share: float
    flag: bool = False
    kind: Literal["a", "b"] = "a"
    items: tuple[int, ...] = ()


GOOD = {"name": "x", "count": 1, "share": 0.5}


def test_record() -> None:
    assert record_from_json(Row, GOOD, where="r") == Row("x", 1, 0.5)
    full = {**GOOD, "share": 2, "flag": True, "kind": "b", "items": [1, 2]}
    assert record_from_json(Row, full, where="r") == Row("x", 1, 2.0, True, "b", (1, 2))
    assert type(record_from_json(Row, full, where="r").share) is float


@pytest.mark.parametrize(
    "change",
    [
        {"name": 1},
        {"name": None},
        {"count": 1.0},
        {"count": True},
        {"count": "1"},
        {"share": "0.5"},
        {"share": True},
        {"share": 10**400},
        {"flag": 1},
        {"kind": "c"},
        {"kind": ["a"]},
        {"items": 3},
        {"items": [1.5]},
        {"items": [True]},
        {"items": "12"},
        {"extra": 1},
    ],
)
def test_bad_record(change: dict[str, Any]) -> None:
    with pytest.raises(TinyctlError, match="r"):
        record_from_json(Row, {**GOOD, **change}, where="r")


@pytest.mark.parametrize("missing", GOOD)
def test_missing_key(missing: str) -> None:
    with pytest.raises(TinyctlError, match=f"missing key '{missing}'"):
        record_from_json(Row, {k: v for k, v in GOOD.items() if k != missing}, where="r")


def test_deep_value_of_the_wrong_type_is_refused_in_one_line() -> None:
    """Parsing and naming a value recurse to different depths: no depth may fall between them."""
    for depth in range(1, 1200):
        try:
            value = parse_json("[" * depth + "]" * depth, where="r")
        except FileError:
            continue
        with pytest.raises(TinyctlError):
            record_from_json(Row, {**GOOD, "name": value}, where="r")
