"""`.tctl` files: exact, the same bytes every time, and refused in one line whatever is wrong with them."""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import networks
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tinyctl import archive
from tinyctl.archive import load, members, save
from tinyctl.errors import FileError
from tinyctl.graph import Graph
from tinyctl.layers.clip import Clip
from tinyctl.layers.dense import Dense
from tinyctl.layers.lag import Lag
from tinyctl.layers.relu import Relu
from tinyctl.layers.screen import Screen
from tinyctl.network import Network, chain
from tinyctl.policy import Policy

NETWORKS: dict[str, Network] = {
    "policy": networks.all_layers(),
    "f32": networks.in_format(networks.all_layers(), "f32"),
    "w16a16": networks.in_format(networks.all_layers(), "w16a16"),
    "branching": networks.branching(),
    "csr": networks.sparse("csr"),
    "straight": networks.in_format(networks.sparse("straight"), "w8a16"),
}
TINY = networks.in_format(networks.tiny(), "w16a16")


def packed(network: Network) -> bytes:
    path = io.BytesIO()
    with zipfile.ZipFile(path, "w") as out:
        for name, data in members(network):
            out.writestr(zipfile.ZipInfo(name, archive.EPOCH), data)
    return path.getvalue()


GOOD = packed(TINY)
OUT = Dense(np.ones((1, 4), np.float32), np.zeros(1, np.float32))


def assert_refused(path: Path, message: str = ".") -> None:
    with pytest.raises(FileError, match=message) as raised:
        load(path)
    text = str(raised.value)
    assert text.startswith(str(path))
    assert text.isprintable()
    assert len(text) <= 400


# --- good files -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NETWORKS)
def test_round_trip(name: str, tmp_path: Path) -> None:
    network = NETWORKS[name]
    save(network, tmp_path / "x.tctl")
    back = load(tmp_path / "x.tctl")
    assert type(back) is type(network)
    assert back.hash == network.hash
    assert back.contract == network.contract
    for ours, theirs in zip(network.nodes, back.nodes, strict=True):
        assert (ours.name, ours.inputs, ours.format) == (theirs.name, theirs.inputs, theirs.format)
        assert type(ours.layer) is type(theirs.layer)
        for f in fields(ours.layer):
            a, b = getattr(ours.layer, f.name), getattr(theirs.layer, f.name)
            if isinstance(a, np.ndarray):
                assert a.dtype == b.dtype
                assert a.shape == b.shape
                assert a.tobytes() == b.tobytes()
            else:
                assert a == b
                assert type(a) is type(b)


def test_a_field_at_its_default_is_left_out() -> None:
    """So that files and hashes from before the field was there stay what they are."""
    manifest = dict(members(networks.sparse("dense")))[archive.MANIFEST].decode()
    assert "storage" not in manifest
    assert dict(members(networks.sparse("csr")))[archive.MANIFEST].decode().count('"storage":"csr"') == 4


def test_signs_and_subnormals_survive(tmp_path: Path) -> None:
    made = networks.tiny()
    odd = np.array([[-0.0, 1e-45, -1e-39, 3.4028235e30, 0.0]] * 4, np.float32)
    rows = [
        n if n.name != "hidden" else type(n)(n.name, type(n.layer)(odd, n.layer.bias), n.inputs) for n in made.nodes
    ]
    save(Policy(made.contract, tuple(rows)), tmp_path / "x.tctl")
    back = next(n.layer for n in load(tmp_path / "x.tctl").nodes if n.name == "hidden")
    assert back.weight.tobytes() == odd.tobytes()


def test_the_same_bytes_every_time(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save(networks.in_format(networks.tiny(), "w16a16"), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() == GOOD


def test_python_types_do_not_matter(tmp_path: Path) -> None:
    """What is saved is what is loaded, and has its hash, whatever numbers the layers were made from."""
    contract = networks.tiny_contract()
    initial = np.zeros(1, np.float32)
    layers = [
        (Lag(3, (1,), 1, initial), Relu(4)),
        (Lag(np.int64(3), [np.int32(1)], np.float32(1), initial), Relu(np.uint8(4))),
    ]
    hashes = set()
    for lag, relu in layers:
        rows = [
            ("screen", Screen.of(contract)),
            ("lag", lag),
            ("relu", relu),
            ("out", OUT),
            ("clip", Clip.of(contract)),
        ]
        made = Policy(contract, list(chain(rows)))
        save(made, tmp_path / "x")
        hashes |= {made.hash, load(tmp_path / "x").hash}
    assert len(hashes) == 1


def test_a_memory_order_does_not_matter(tmp_path: Path) -> None:
    made = networks.tiny()
    rows = [
        n
        if n.name != "hidden"
        else type(n)(n.name, type(n.layer)(np.asfortranarray(n.layer.weight), n.layer.bias), n.inputs)
        for n in made.nodes
    ]
    turned = Policy(made.contract, tuple(rows))
    assert turned.hash == made.hash


# --- files that are not one -------------------------------------------------------------------------------------------


def test_no_file(tmp_path: Path) -> None:
    assert_refused(tmp_path / "none.tctl", "no such file")


def test_a_folder(tmp_path: Path) -> None:
    assert_refused(tmp_path, "cannot be read")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK",
        b"hello",
        b"\x80\x04N.",
        pickle.dumps([1]),
        b"PK\x05\x06" + bytes(18),
        b"{}",
        b"\x93NUMPY\x01\x00",
        bytes(100_000),
    ],
)
def test_something_else(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(data)
    assert_refused(tmp_path / "x")


def test_too_large(tmp_path: Path) -> None:
    with (tmp_path / "x").open("wb") as file:
        file.truncate(archive.MAX_FILE_BYTES + 1)
    assert_refused(tmp_path / "x", "larger than 16 MiB")


def test_every_truncation(tmp_path: Path) -> None:
    for length in [*range(0, len(GOOD), 97), len(GOOD) - 1]:
        (tmp_path / "x").write_bytes(GOOD[:length])
        assert_refused(tmp_path / "x")


SLOW = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@SLOW
@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(1, 255)), min_size=1, max_size=4))
def test_flipped_bytes(tmp_path: Path, flips: list[tuple[int, int]]) -> None:
    """Refused, or the very same network (the zip format has bytes that mean nothing)."""
    data = bytearray(GOOD)
    for place, mask in flips:
        data[place] ^= mask
    (tmp_path / "x").write_bytes(data)
    try:
        assert load(tmp_path / "x").hash == TINY.hash
    except FileError as error:
        if not str(error).isprintable():
            raise


def test_flipped_bytes_of_the_directory(tmp_path: Path) -> None:
    """The zip's own records, where the checksums do not reach."""
    start = GOOD.index(b"PK\x01\x02")
    for place in [*range(30), *range(start, len(GOOD), 3)]:
        for mask in (0x01, 0xFF):
            data = bytearray(GOOD)
            data[place] ^= mask
            (tmp_path / "x").write_bytes(data)
            try:
                assert load(tmp_path / "x").hash == TINY.hash
            except FileError:
                continue


# --- zip tricks -------------------------------------------------------------------------------------------------------


def contents() -> dict[str, bytes]:
    return dict(members(TINY))


def write(path: Path, rows: list[tuple[str, bytes]], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as out:
        for name, data in rows:
            out.writestr(zipfile.ZipInfo(name, archive.EPOCH), data, method)
    return path


def test_written_by_another_hand(tmp_path: Path) -> None:
    """The order of the members does not matter."""
    assert load(write(tmp_path / "x", list(reversed(contents().items())))).hash == TINY.hash


def test_compressed(tmp_path: Path) -> None:
    rows = [("manifest.json", bytes(1 << 20))]
    assert_refused(write(tmp_path / "x", rows, zipfile.ZIP_DEFLATED), "compressed or encrypted")
    assert_refused(write(tmp_path / "y", list(contents().items()), zipfile.ZIP_LZMA), "compressed or encrypted")


def test_a_member_twice(tmp_path: Path) -> None:
    rows = list(contents().items())
    with pytest.warns(UserWarning, match="Duplicate name"):
        write(tmp_path / "x", [*rows, rows[0]])
    assert_refused(tmp_path / "x", "one twice")


def test_too_many_members(tmp_path: Path) -> None:
    rows = [(f"m{i}", b"") for i in range(archive.MAX_MEMBERS + 1)]
    assert_refused(write(tmp_path / "x", rows), "too many members")


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "hidden/../x.npy", "x\n\x1b[31m", "C:\\x", "extra.npy"]
)
def test_unexpected_members(name: str, tmp_path: Path) -> None:
    assert_refused(write(tmp_path / "x", [*contents().items(), (name, b"")]), "unexpected member")
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_a_member_larger_than_the_file(tmp_path: Path) -> None:
    data = bytearray(write(tmp_path / "x", [("manifest.json", b"{}")]).read_bytes())
    place = data.index(b"PK\x01\x02")
    data[place + 20 : place + 28] = struct.pack("<II", 0x7FFFFFFF, 0x7FFFFFFF)
    (tmp_path / "x").write_bytes(data)
    assert_refused(tmp_path / "x")


@pytest.mark.parametrize("name", contents())
def test_missing_member(name: str, tmp_path: Path) -> None:
    rows = {k: v for k, v in contents().items() if k != name}
    assert_refused(write(tmp_path / "x", list(rows.items())), "not a .tctl file" if "json" in name else "is missing")


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
