"""What is inside a `.tctl` file, arrays and manifest, refused in one line whatever is wrong with it."""

from __future__ import annotations

import json
import pickle
import struct
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from archives import TINY, assert_refused, contents, write

from tinyctl.archive import load, members
from tinyctl.errors import FileError
from tinyctl.graph import Graph

# --- arrays -----------------------------------------------------------------------------------------------------------


def npy(header: str, data: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    text = header.encode() + b"\n"
    return b"\x93NUMPY" + version + struct.pack("<H", len(text)) + text + data


def head(shape: str = "(4, 5)", descr: str = "'<i2'", fortran: str = "False") -> str:
    return f"{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}}}"


DATA = bytes(40)  # what hidden/weight.npy holds: 4 x 5 int16


def with_weight(path: Path, data: bytes) -> Path:
    rows = contents()
    assert len(rows["hidden/weight.npy"]) == 128 + len(DATA)
    rows["hidden/weight.npy"] = data
    return write(path, list(rows.items()))


def test_a_handwritten_array(tmp_path: Path) -> None:
    assert isinstance(load(with_weight(tmp_path / "x", npy(head(), DATA))), Graph)


BAD_ARRAYS = {
    "empty": b"",
    "magic only": b"\x93NUMPY",
    "no header": b"\x93NUMPY\x01\x00\xff\xff",
    "text": b"hello",
    "version 2": npy(head(), DATA, b"\x02\x00"),
    "version 9": npy(head(), DATA, b"\x09\x09"),
    "pickle": pickle.dumps(np.zeros(3)),
    "object": npy(head(descr="'|O'"), pickle.dumps([1])),
    "short": npy(head(), DATA[:-1]),
    "long": npy(head(), DATA + b"x"),
    "huge": npy(head("(1000000, 1000000)"), DATA),
    "huger": npy(head(f"({10**30}, {10**30})"), DATA),
    "nothing times huge": npy(head(f"(0, {10**30})")),
    "negative": npy(head("(-4, -5)"), DATA),
    "negative and nothing": npy(head("(-1, 0)")),
    "none": npy(head("(0, 5)")),
    "scalar": npy(head("()"), DATA[:2]),
    "vector": npy(head("(20,)"), DATA),
    "three": npy(head("(4, 5, 1)"), DATA),
    "hundred": npy(head(repr((1,) * 100)), DATA[:2]),
    "boolean": npy(head("(True, True)"), DATA[:2]),
    "float shape": npy(head("(4.0, 5)"), DATA),
    "shape is a list": npy(head("[4, 5]"), DATA),
    "turned": npy(head("(5, 4)"), DATA),
    "fortran": npy(head(fortran="True"), DATA),
    "big-endian": npy(head(descr="'>i2'"), DATA),
    "float64": npy(head("(5, 1)", "'<f8'"), DATA),
    "int64": npy(head("(5,1)", "'<i8'"), DATA),
    "float32": npy(head("(2, 5)", "'<f4'"), DATA),
    "int8": npy(head("(8, 5)", "'|i1'"), DATA),
    "void": npy(head("(4, 5)", "'|V2'"), DATA),
    "string": npy(head("(4, 5)", "'|S2'"), DATA),
    "record": npy(head("(4, 5)", "[('a', '|i1'), ('b', '|i1')]"), DATA),
    "subarray": npy(head("(4,)", "[('a', '<i2', (5,))]"), DATA),
    "date": npy(head("(5,1)", "'<M8[s]'"), DATA),
    "unknown type": npy(head(descr="'nonsense'"), DATA),
    "code": npy("__import__('os').system('true')", DATA),
    "missing key": npy("{'descr': '<i2'}", DATA),
    "extra key": npy(head()[:-1] + ", 'x': 1}", DATA),
    "nested": npy("(" * 1000, DATA),
    "unclosed": npy(head()[:-1], DATA),
    "long header": npy(head() + " " * 5000, DATA),
    "not ASCII": npy(head() + "é", DATA),
    "null": npy("\0" * 40, DATA),
    "escape": npy(r"'\d'", DATA),
}


@pytest.mark.parametrize("case", BAD_ARRAYS)
def test_bad_arrays(case: str, tmp_path: Path) -> None:
    assert_refused(with_weight(tmp_path / "x", BAD_ARRAYS[case]))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite(value: float, tmp_path: Path) -> None:
    rows = contents()
    rows["lag/initial.npy"] = npy(head("(1,)", "'<f4'"), struct.pack("<f", value))
    assert_refused(write(tmp_path / "x", list(rows.items())), "not finite")


def test_weights_that_could_overflow(tmp_path: Path) -> None:
    assert_refused(with_weight(tmp_path / "x", npy(head(), b"\xff\x7f" * 20)), "row 1 could overflow 32 bits")


# --- the manifest -----------------------------------------------------------------------------------------------------


def with_manifest(path: Path, manifest: bytes | Any) -> Path:
    rows = contents()
    rows["manifest.json"] = manifest if isinstance(manifest, bytes) else json.dumps(manifest).encode()
    return write(path, list(rows.items()))


def manifest() -> Any:
    return json.loads(contents()["manifest.json"])


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\xff",
        b"[]",
        b"3",
        b"null",
        b'"x"',
        b"{}",
        b"[" * 200_000,
        b'{"a":' * 50_000,
        b"NaN",
        b'{"kind":NaN}',
        b'{"kind":1,"kind":2}',
        b"9" * 10_000,
        b'"\\ud800"',
        b'{"\\ud800": 1}',
    ],
)
def test_bad_text(text: bytes, tmp_path: Path) -> None:
    assert_refused(with_manifest(tmp_path / "x", text))


PLACES: dict[str, Callable[[Any], tuple[Any, Any]]] = {
    "kind": lambda m: (m, "kind"),
    "schema": lambda m: (m, "schema"),
    "contract": lambda m: (m, "contract"),
    "nodes": lambda m: (m, "nodes"),
    "rate_hz": lambda m: (m["contract"], "rate_hz"),
    "inputs": lambda m: (m["contract"], "inputs"),
    "input": lambda m: (m["contract"]["inputs"], 0),
    "low": lambda m: (m["contract"]["inputs"][0], "low"),
    "signal": lambda m: (m["contract"]["inputs"][0], "name"),
    "node": lambda m: (m["nodes"], 1),
    "name": lambda m: (m["nodes"][1], "name"),
    "layer": lambda m: (m["nodes"][1], "layer"),
    "reads": lambda m: (m["nodes"][1], "inputs"),
    "read": lambda m: (m["nodes"][1]["inputs"], 0),
    "format": lambda m: (m["nodes"][1], "format"),
    "fields": lambda m: (m["nodes"][1], "fields"),
    "width": lambda m: (m["nodes"][1]["fields"], "width"),
    "columns": lambda m: (m["nodes"][1]["fields"], "columns"),
    "column": lambda m: (m["nodes"][1]["fields"]["columns"], 0),
    "tau_s": lambda m: (m["nodes"][1]["fields"], "tau_s"),
    "extra": lambda m: (m, "extra"),
    "extra field": lambda m: (m["nodes"][1]["fields"], "extra"),
    "array as a field": lambda m: (m["nodes"][1]["fields"], "initial"),
    "extra in node": lambda m: (m["nodes"][1], "extra"),
    "extra in contract": lambda m: (m["contract"], "extra"),
    "extra in input": lambda m: (m["contract"]["inputs"][0], "extra"),
}
DEEP: Any = "x"
for _ in range(300):
    DEEP = [DEEP]
VALUES: list[Any] = [
    None,
    True,
    -1,
    0,
    1e9,
    1.5,
    10**30,
    10**400,
    1e300,
    1e-320,
    "",
    "x",
    "../x",
    "*/ int x; /*",
    "x" * 10_000,
    "\x1b[31m\n",
    "\ud800",
    [],
    ["x"],
    [[]],
    [0, 0],
    {},
    {"x": 1},
    "int",
    "w16a16",
    "screen",
    DEEP,
]


@pytest.mark.parametrize("place", PLACES)
def test_wrong_values_everywhere(place: str, tmp_path: Path) -> None:
    for value in VALUES:
        changed = manifest()
        owner, key = PLACES[place](changed)
        if (key in owner if isinstance(owner, dict) else True) and owner[key] == value:
            continue
        owner[key] = value
        try:
            loaded = load(with_manifest(tmp_path / "x", changed))
        except FileError as error:
            assert str(error).isprintable()  # noqa: PT017
            assert len(str(error)) <= 400  # noqa: PT017
        else:  # another value that is as good, in a place that has such values
            assert place in ("rate_hz", "low", "signal", "tau_s", "column"), (place, value)
            assert loaded.hash != TINY.hash


def test_keys_removed_everywhere(tmp_path: Path) -> None:
    def walk(value: Any) -> list[tuple[Any, Any]]:
        rows = (
            list(value.items())
            if isinstance(value, dict)
            else list(enumerate(value))
            if isinstance(value, list)
            else []
        )
        return [(value, key) for key, _ in rows] + [found for _, inner in rows for found in walk(inner)]

    count = len(walk(manifest()))
    assert count > 80
    for k in range(count):
        changed = manifest()
        owner, key = walk(changed)[k]
        del owner[key]
        with_manifest(tmp_path / "x", changed)
        if key in ("low", "high", "on_nan", "safe", "source"):  # these have defaults
            try:
                load(tmp_path / "x")
            except FileError:
                continue
        else:
            assert_refused(tmp_path / "x")


def test_a_newer_schema_says_what_to_do(tmp_path: Path) -> None:
    assert_refused(with_manifest(tmp_path / "x", {**manifest(), "schema": 2}), "schema 2 is not 1; update tinyctl")


def test_integer_nodes_are_no_policy(tmp_path: Path) -> None:
    assert_refused(with_manifest(tmp_path / "x", {**manifest(), "kind": "policy"}), "format w16a16 in a policy")


def test_every_member_counts_for_the_hash() -> None:
    names = [name for name, _ in members(TINY)]
    assert names[0] == "manifest.json"
    assert (
        len(set(names))
        == len(names)
        == 1 + sum(isinstance(getattr(n.layer, f.name), np.ndarray) for n in TINY.nodes for f in fields(n.layer))
    )
