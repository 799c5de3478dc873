"""What can go wrong with a board: each ends in one clear line, with no process left and the recording readable."""

from __future__ import annotations

import os
import pty
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tinyctl import archive, link
from tinyctl.boards import Board
from tinyctl.builder import build
from tinyctl.errors import FileError, TinyctlError
from tinyctl.graph import Graph
from tinyctl.hil import VIRTUAL_BOARD, Line, open_link, step_on_board
from tinyctl.link import Link
from tinyctl.protocol import Frame, Kind, encode
from tinyctl.recording import Recorder, read_recording
from tinyctl.transports import Descriptors, LinkLost, SerialPort
from tinyctl.vectors import observations
from tinyctl.virtual_board import virtual_board

pytestmark = pytest.mark.usefixtures("qemu")
STEP = "    uint32_t status, i;\n"


def processes(word: str) -> list[int]:
    """The processes with `word` in their command line, this one aside."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if word.encode() in line and int(folder.name) != os.getpid():
            found.append(int(folder.name))
    return found


def wait_for(condition: Callable[[], object], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.02)


@pytest.fixture
def running(graph: Graph, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """`tinyctl hil` in full swing, its temporary files under `tmp_path`, and its recording."""
    archive.save(graph, tmp_path / "graph.tctl")
    recording = tmp_path / "flight.csv"
    words = ["hil", "graph.tctl", "--frames", "9000000", "--plant", "random", "--record", recording.name]
    process = subprocess.Popen(
        [sys.executable, "-m", "tinyctl", *words],
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored where a shell's job runs the tests
    )
    try:
        wait_for(lambda: recording.exists() and recording.stat().st_size > 20_000)
        yield process, recording
    finally:
        process.kill()
        process.communicate()


def machine(tmp_path: Path, guard: bool) -> int:
    """The process of QEMU itself, or that of its guard."""
    return next(
        pid for pid in processes(str(tmp_path)) if (b"guard.py" in Path(f"/proc/{pid}/cmdline").read_bytes()) == guard
    )


def test_a_killed_board(running: tuple[subprocess.Popen[str], Path], tmp_path: Path, graph: Graph) -> None:
    process, recording = running
    os.kill(machine(tmp_path, guard=False), signal.SIGKILL)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 2
    assert out == ""
    assert err.splitlines() == ["tinyctl: the virtual board ended (killed by signal 9)"]
    assert processes(str(tmp_path)) == []
    assert sum(len(e.obs) for e in read_recording(recording, graph.contract).episodes) > 100
    assert {path.name for path in tmp_path.iterdir()} == {"graph.tctl", "flight.csv"}


def test_a_killed_guard(running: tuple[subprocess.Popen[str], Path], tmp_path: Path) -> None:
    """The board goes on without it, and is ended all the same."""
    process, recording = running
    os.kill(machine(tmp_path, guard=True), signal.SIGKILL)
    size = recording.stat().st_size
    wait_for(lambda: recording.stat().st_size > size + 10_000)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    wait_for(lambda: processes(str(tmp_path)) == [])


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_killed_host(
    running: tuple[subprocess.Popen[str], Path], tmp_path: Path, graph: Graph, number: signal.Signals
) -> None:
    process, recording = running
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode != 0
    wait_for(lambda: processes(str(tmp_path)) == [])
    assert sum(len(e.obs) for e in read_recording(recording, graph.contract).episodes) > 100


def altered(unit: Path, folder: Path, body: str) -> Path:
    """The unit, whose step begins with `body`."""
    shutil.copytree(unit, folder)
    text = (folder / "sample.c").read_text()
    assert STEP in text
    (folder / "sample.c").write_text(text.replace(STEP, STEP + body, 1))
    return folder


SPOILT = "    if (obs[0] == 1.25f) {{ {} }}\n"  # until then it works, and passes its self-test


def spoilt_image(unit: Path, board: Board, tmp_path: Path, body: str, wire: str = "semihosting") -> Path:
    folder = altered(unit, tmp_path / "unit", SPOILT.format(body))
    return build(folder, board, out=tmp_path / "hil.elf", program=f"hil_{wire}").path  # type: ignore[arg-type]


@pytest.mark.parametrize("wire", ["semihosting", "usart"])
def test_a_hung_firmware(
    graph: Graph, unit: Path, board: Board, tmp_path: Path, wire: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "PATIENCE_S", (0.3, 0.3))
    image = spoilt_image(unit, board, tmp_path, "for (;;) { }", wire)
    with virtual_board(image, board, wire) as line:  # type: ignore[arg-type]
        talk = Link(line)
        talk.greet(graph.contract.hash, graph.hash)
        talk.step(np.zeros(3, np.float32))
        with pytest.raises(LinkLost, match="the board does not answer: frame 3 was sent 2 times"):
            talk.request(Kind.STEP, np.full(3, 1.25, "<f4").tobytes(), 12, link.PATIENCE_S)
    assert talk.requests - talk.replies == 1
    assert processes(str(tmp_path)) == []


@pytest.mark.parametrize("wire", ["semihosting", "usart"])
def test_a_fault(graph: Graph, unit: Path, board: Board, tmp_path: Path, wire: str) -> None:
    """The handler stops the actuators, then says where it was."""
    image = spoilt_image(unit, board, tmp_path, "*(volatile uint32_t *)0xF0000000u = 1u;", wire)
    with virtual_board(image, board, wire) as line:  # type: ignore[arg-type]
        talk = Link(line)
        talk.greet(graph.contract.hash, graph.hash)
        with pytest.raises(TinyctlError, match=r"stopped with a fault: exception 3 at 0x080\w{5}, .*CFSR 0x\w+"):
            talk.step(np.full(3, 1.25, np.float32))


@pytest.mark.parametrize("which", ["contract", "graph"])
def test_another_controller_on_the_board(graph: Graph, unit: Path, board: Board, tmp_path: Path, which: str) -> None:
    image = build(unit, board, out=tmp_path / "hil.elf", program="hil_semihosting")
    hashes = {"contract": graph.contract.hash, "graph": graph.hash, which: "5a" * 32}
    with virtual_board(image.path, board, "semihosting") as line:
        talk = Link(line)
        with pytest.raises(TinyctlError, match=rf"the board runs another {which}: \w{{12}}, not 5a5a5a5a5a5a"):
            talk.greet(hashes["contract"], hashes["graph"])
        with pytest.raises(TinyctlError, match=r"the board refuses frame \d+: mismatch"):
            talk.reset()


@pytest.mark.parametrize(
    ("kind", "body", "skip", "reason"),
    [
        (Kind.STEP, b"\0" * 8, 0, "bad length"),
        (Kind.RESET, b"\0" * 4, 0, "bad length"),
        (Kind.MEASURE, b"", 0, "unknown kind"),
        (Kind.STEP, b"\0" * 12, 1, "bad sequence"),
    ],
)
def test_what_the_board_refuses(graph: Graph, board: Board, kind: Kind, body: bytes, skip: int, reason: str) -> None:
    with open_link(graph, board, VIRTUAL_BOARD) as talk:
        talk._sequence += skip
        with pytest.raises(TinyctlError, match=f"the board refuses frame .: {reason}"):
            talk.request(kind, body, 12)
        talk.greet(graph.contract.hash, graph.hash)  # and goes on
        talk.reset()
        assert talk.step(np.zeros(3, np.float32)).status == 0


def test_a_restarted_board(graph: Graph, unit: Path, board: Board, tmp_path: Path) -> None:
    """As a watchdog would: the host's next frame is not taken for anything else."""
    restart = "*(volatile uint32_t *)0xE000ED0Cu = 0x05FA0004u;"  # AIRCR: ARM DDI 0403, B3.2.6
    image = spoilt_image(unit, board, tmp_path, restart, "usart")
    with virtual_board(image, board, "usart") as line:
        talk = Link(line)
        talk.greet(graph.contract.hash, graph.hash)
        with pytest.raises(LinkLost, match="the board has restarted"):
            talk.step(np.full(3, 1.25, np.float32))


def test_a_repeated_frame_steps_once(graph: Graph, board: Board) -> None:
    """A lost reply costs a round trip: the board answers the frame again with the same bytes, and its state stays."""
    state = graph.init(1)
    with open_link(graph, board, VIRTUAL_BOARD) as talk:
        talk.reset()
        for observation in observations(graph.contract, 20, seed=9):
            expected, state = graph.run(observation[None], state)
            first = talk.step(observation)
            talk._line.write(encode(Frame(Kind.STEP, talk._sequence, observation.astype("<f4").tobytes())))
            assert first.action.tobytes() == expected.tobytes()


def test_a_closed_socket() -> None:
    ours, theirs = socket.socketpair()
    line = Descriptors(*(ours.detach(),) * 2)
    theirs.sendall(b"\1\2\0")
    theirs.close()
    assert line.read(1) == b"\1\2\0"
    with pytest.raises(LinkLost, match="the board has gone"):
        line.read(1)
    with pytest.raises(LinkLost, match="the board has gone"):
        line.write(b"x" * 100)
    line.close()


def test_an_unplugged_serial_port() -> None:
    master, slave = pty.openpty()
    port = SerialPort(os.ttyname(slave), 115200)
    os.close(slave)
    os.close(master)
    with pytest.raises(LinkLost, match="the board has gone"):
        Link(port).reset()
    port.close()


def test_no_such_port(graph: Graph, board: Board) -> None:
    with pytest.raises(TinyctlError, match=r"/dev/nonesuch: cannot be opened .*is the board plugged in\?"):
        step_on_board(graph, board, Line(port="/dev/nonesuch"))


@pytest.mark.parametrize("ending", [".csv", ".mcap"])
def test_a_full_disk(graph: Graph, board: Board, tmp_path: Path, ending: str) -> None:
    """From the first byte on, and in the middle: one line, and what was written before is readable."""
    full = tmp_path / f"full{ending}"
    full.symlink_to("/dev/full")
    with pytest.raises(FileError, match=r"the recording cannot be written \(No space left on device\)"):
        step_on_board(graph, board, frames=100, record=full)
    path = tmp_path / f"flight{ending}"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    written = 0

    def fill(talk: Link) -> None:
        nonlocal written
        with Recorder(path, graph.contract, graph.hash) as recorder:
            recorder.reset()
            for observation in observations(graph.contract, 1000, seed=1):
                recorder.step(observation, talk.step(observation))
                written += 1

    with open_link(graph, board, VIRTUAL_BOARD) as talk:
        resource.setrlimit(resource.RLIMIT_FSIZE, (8000, limits[1]))
        try:
            with pytest.raises(FileError, match=r"the recording cannot be written \(File too large\)"):
                fill(talk)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert written > 20
    assert sum(len(e.obs) for e in read_recording(path, graph.contract).episodes) == written
    assert path.stat().st_size == 8000


@pytest.mark.parametrize("ending", [".csv", ".mcap"])
def test_a_damaged_recording_is_refused(graph: Graph, tmp_path: Path, ending: str) -> None:
    """Overwritten anywhere, it is read or refused with a `TinyctlError`: no other exception."""
    step = link.Step(np.zeros(1, np.float32), 0, 7)
    path = tmp_path / f"flight{ending}"
    with Recorder(path, graph.contract, graph.hash) as recorder:
        recorder.reset()
        for _ in range(4):
            recorder.step(np.zeros(3, np.float32), step)
    good = path.read_bytes()
    refused = 0
    for at in range(0, len(good), 7):
        path.write_bytes(good[:at] + b"\xff\x00\xff" + good[at + 3 :])
        try:
            read_recording(path, graph.contract)
        except TinyctlError:
            refused += 1
    assert refused > 10
    for content in (b"", b"\x89MCAP", b"a,b\n"):
        path.write_bytes(content)
        with pytest.raises(FileError, match="not a recording"):
            read_recording(path, graph.contract)
    with pytest.raises(TinyctlError, match=r"ends in \.csv or \.mcap"):
        read_recording(tmp_path / "x.txt", graph.contract)
