"""Damaged and hostile files, for every importer: read or refused in one line, in bounded time; nothing else is touched.

The files of `tests/seeds` are cut, flipped, and filled with what has broken parsers: deep nesting, huge numbers, names
that would end a C comment or a string. `FUZZ_EXAMPLES=5000 pytest tests/unit/test_import_fuzz.py` looks longer.
"""

from __future__ import annotations

import io
import os
import re
import signal
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tinyctl import importers
from tinyctl.contract import check_identifier
from tinyctl.emitter import render
from tinyctl.errors import TinyctlError
from tinyctl.graph import Graph
from tinyctl.importers import Imported, Request
from tinyctl.importers.base import read_bytes

SEEDS = sorted(p for p in (Path(__file__).parents[1] / "seeds").iterdir() if p.suffix not in (".py", ""))
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0"))
LIMIT_S = 60  # far above what any file takes, the process that reads HDF5 included
GIVEN: dict[str, dict[str, Any]] = {".pt": {"layers": ("dense", "tanh", "dense")}}
HOSTILE = (
    b"*/",
    b'"\n#include "/etc/passwd"\n',
    b"\\",
    b"int",
    b"while",
    b"../../etc/passwd",
    b"[" * 3000,
    b'{"a":' * 3000,
    b"{" * 3000,
    b"9" * 400,
    b"1e999",
    b"NaN",
    b"-1",
    b"\xff\xff\xff\x7f",
    b"\xff" * 8,
    b"\x00" * 8,
    b"\x80" * 12,
)
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
written: list[str] | None = None


def _watch(event: str, args: tuple[Any, ...]) -> None:
    """Every file that Python opens to write, and every program but our own reader, while `written` is a list."""
    if written is None:
        return
    if event == "open" and isinstance(args[2], int) and args[2] & WRITES and not isinstance(args[0], int):
        written.append(str(args[0]))
    if event in ("os.system", "os.exec", "os.posix_spawn", "pty.spawn", "os.remove", "os.rename", "socket.connect"):
        written.append(event)


sys.addaudithook(_watch)


@contextmanager
def watched() -> Iterator[list[str]]:
    """Raises when what runs inside takes longer than `LIMIT_S`; gives what it wrote."""
    global written

    def late(*_: object) -> None:
        raise AssertionError(f"more than {LIMIT_S} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(LIMIT_S)
    written = found = []
    try:
        yield found
    finally:
        written = None
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def imported(path: Path) -> Imported:
    return importers.read(Request(path, rate_hz=50.0, unnormalized=True, **GIVEN.get(path.suffix, {})))


def checked(found: Imported) -> None:
    """What was imported has clean names, and C in which nothing of the file but numbers stands."""
    network = found.policy
    signals = [s.name for s in (*network.contract.inputs, *network.contract.outputs)]
    for name in (*signals, *(n.name for n in network.nodes)):
        check_identifier(name, "name")
    try:
        graph = network if isinstance(network, Graph) else Graph(network.contract, network.nodes)
    except TinyctlError:  # values that could reach the largest float32
        return
    _, texts = render(graph, "policy")
    assert not re.search(r"passwd", "".join(texts.values()).replace("etc_passwd", ""))


def mutate(data: st.DataObject, raw: bytes) -> bytes:
    """A few edits; of a zip file, edits of one member as well, which its check sums would hide otherwise."""
    if raw[:2] == b"PK" and data.draw(st.integers(0, 3)):
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            members = {entry.filename: archive.read(entry) for entry in archive.infolist()}
        chosen = data.draw(st.sampled_from(sorted(members)))
        members[chosen] = mutate(data, members[chosen])
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            for name, value in members.items():
                archive.writestr(name, value)
        return stream.getvalue()
    made = bytearray(raw)
    words = list(re.finditer(rb"[A-Za-z_][\w./]{2,}", raw))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, max(len(made) - 1, 0)))
        match data.draw(st.sampled_from(("byte", "cut", "word", "name", "number", "text"))):
            case "byte":
                made[place : place + 1] = data.draw(st.binary(min_size=1, max_size=1))
            case "cut":
                del made[place : place + data.draw(st.integers(1, 200))]
            case "word":
                made[place:place] = data.draw(st.sampled_from(HOSTILE))
            case "name" if words:  # of the same length, so that what stands around it stays whole
                match_ = data.draw(st.sampled_from(words))
                new = data.draw(st.sampled_from((b'*/"\n', b"int ", b"\\\"'", b"\xff\xfe\x00", b"../../")))
                made[match_.start() : match_.end()] = (new * len(match_[0]))[: len(match_[0])]
            case "number":
                value = data.draw(st.sampled_from((0, 1, 2**31 - 1, 2**32 - 1, 2**63 - 1, 2**64 - 1)))
                size = data.draw(st.sampled_from((1, 2, 4, 8)))
                made[place : place + size] = (value % 256**size).to_bytes(size, "little")
            case "text":
                found = list(re.finditer(rb"\d+", bytes(made)))
                if found:
                    match_ = data.draw(st.sampled_from(found))
                    made[match_.start() : match_.end()] = data.draw(st.sampled_from((b"-1", b"0", b"9" * 30, b"1e9")))
    return bytes(made)


def test_every_importer_has_a_seed() -> None:
    suffixes = {path.suffix for path in SEEDS}
    for name in importers.NAMES:
        assert suffixes & set(vars(importers)["_FOUND"][name].SUFFIXES), name
    assert {imported(path).source for path in SEEDS} >= {
        "ONNX",
        "Keras",
        "rl-tools",
        "PyTorch state_dict",
        "CleanRL TD3 or DDPG",
        "Stable-Baselines3 PPO or A2C",
        "TensorFlow Lite",
    }


@pytest.mark.parametrize("seed", SEEDS, ids=lambda path: path.name)
def test_damaged_and_hostile_files_are_read_or_refused(seed: Path, tmp_path: Path) -> None:
    checked(imported(seed))  # whatever is loaded once is loaded now
    raw = read_bytes(seed)
    slow = b"\x89HDF" in raw  # read in a process of its own
    path = tmp_path / seed.name

    @settings(
        max_examples=EXAMPLES or (20 if slow else 150),
        deadline=None,
        database=None,
        derandomize=not EXAMPLES,
        suppress_health_check=list(HealthCheck),
    )
    @given(data=st.data())
    def damage(data: st.DataObject) -> None:
        path.write_bytes(mutate(data, raw))
        told = ""
        with watched() as touched:
            try:
                checked(imported(path))
            except TinyctlError as error:
                told = str(error)
        assert told.isprintable()
        assert not touched
        assert [p.name for p in tmp_path.iterdir()] == [path.name]

    damage()
