"""Calibration: instructions on the virtual board, told as such; cycles on a board, compared."""

from __future__ import annotations

import json
import os
import pty
import struct
import threading
import tty
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tinyctl.bare import Wire
from tinyctl.boards import Board, load_board
from tinyctl.builder import benchmarks, benchmarks_hash, build_calibration
from tinyctl.calibrate import NO_CONTRACT, calibrate
from tinyctl.cli import app
from tinyctl.errors import TinyctlError
from tinyctl.hil import Line
from tinyctl.protocol import REPLY, Decoder, Frame, Hello, Kind, encode
from tinyctl.sims.mcu.microbench import FEW, MANY
from tinyctl.transports import Descriptors


@pytest.mark.parametrize(("toolchain", "transport"), [("gcc", "semihosting"), ("zig", "usart")])
def test_the_virtual_board_counts_instructions(
    board: Board, toolchain: str, transport: Wire, require_tool: Callable[[str], str]
) -> None:
    require_tool("qemu-system-arm")
    if toolchain == "gcc":
        require_tool("arm-none-eabi-gcc")
    report = calibrate(board, Line(transport=transport), toolchain)  # type: ignore[arg-type]
    assert report.unit == "instructions"
    assert report.rows[0].evidence == "document"
    assert report.rows[-1].evidence == "measured"
    assert {row.agrees for row in report.rows} == {None}
    bodies = {one.name: one.body for one in benchmarks(board)}
    for row in report.rows:
        if "1:" not in bodies[row.name]:  # nothing is jumped over
            assert row.counted == len(bodies[row.name].split(";")), row.name


def test_command_says_that_instructions_are_no_cycles(require_tool: Callable[[str], str], tmp_path: Path) -> None:
    require_tool("qemu-system-arm")
    done = CliRunner().invoke(app, ["calibrate", "--out", str(tmp_path / "x.json")])
    assert done.exit_code == 0
    assert "The instructions are no cycles" in done.stdout
    assert json.loads((tmp_path / "x.json").read_text())["unit"] == "instructions"


@pytest.fixture
def fake_board(board: Board) -> Iterator[Callable[[dict[str, float], str], str]]:
    """`fake_board(cycles, hash)`: a serial port behind which a core takes so many cycles for each body."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    line, ended, threads = Descriptors(master, os.dup(master)), threading.Event(), []
    few_many = (FEW, MANY)

    def serve(cycles: dict[str, float], name: str) -> None:
        decoder, names = Decoder(), [one.name for one in benchmarks(board)]
        hello = Hello.LAYOUT.pack(
            bytes.fromhex(NO_CONTRACT), bytes.fromhex(name), 0, 0, board.clock_hz, board.clock_hz, 1, 1, 1, 0
        )
        while not ended.is_set():
            for frame in decoder.feed(line.read(0.02)):
                assert frame is not None
                body = hello
                if frame.kind == Kind.MEASURE:
                    number = struct.unpack("<I", frame.body)[0]
                    warm = round(30 + few_many[number % 2] * cycles[names[number // 2]])
                    body = struct.pack("<II", warm + 99, warm)
                line.write(encode(Frame(frame.kind | REPLY, frame.sequence, body)))

    def start(cycles: dict[str, float], name: str) -> str:
        threads.append(threading.Thread(target=serve, args=(cycles, name)))
        threads[0].start()
        return os.ttyname(slave)

    yield start
    ended.set()
    for thread in threads:
        thread.join()
    line.close()
    os.close(slave)


def test_a_board_that_agrees(board: Board, fake_board: Callable[[dict[str, float], str], str]) -> None:
    cycles = {one.name: one.cycles[board.core] for one in benchmarks(board)}
    report = calibrate(board, Line(port=fake_board(cycles, benchmarks_hash(board))))
    assert (report.unit, report.counter, report.clock_hz) == ("cycles", "cycles", board.clock_hz)
    assert {row.agrees for row in report.rows} == {True}
    assert report.good


def test_a_board_that_differs(fake_board: Callable[[dict[str, float], str], str], board: Board) -> None:
    cycles = {one.name: one.cycles[board.core] for one in benchmarks(board)}
    cycles["vdiv"] += 2
    port = fake_board(cycles, benchmarks_hash(board))
    done = CliRunner().invoke(app, ["calibrate", "--port", port, "--json"])
    assert done.exit_code == 1
    rows = {row["name"]: row for row in json.loads(done.stdout)["rows"]}
    assert [name for name, row in rows.items() if not row["agrees"]] == ["vdiv"]
    assert rows["vdiv"]["counted"] == rows["vdiv"]["predicted_cycles"] + 2


def test_another_set_of_benchmarks(fake_board: Callable[[dict[str, float], str], str], board: Board) -> None:
    with pytest.raises(TinyctlError, match="the board runs another graph"):
        calibrate(board, Line(port=fake_board({}, "5a" * 32)))


def test_firmware_to_flash(tmp_path: Path, board: Board) -> None:
    done = CliRunner().invoke(app, ["calibrate", "--build", str(tmp_path / "a.elf"), "--toolchain", "zig"])
    assert done.exit_code == 0
    assert (tmp_path / "a.elf").read_bytes().startswith(b"\x7fELF")
    with pytest.raises(TinyctlError, match="no serial line is described"):
        build_calibration(load_board("nano33ble"), "usart", "zig", out=tmp_path / "b.elf")
