"""`.tctl` files: exact, the same bytes every time, and refused in one line whatever is wrong with them."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from dataclasses import fields
from pathlib import Path

import networks
import numpy as np
import pytest
from archives import assert_refused, contents, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tinyctl import archive
from tinyctl.archive import load, members, save
from tinyctl.errors import FileError
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
