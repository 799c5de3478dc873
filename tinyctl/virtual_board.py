"""The virtual board: an image of `firmware/bare` in QEMU, its link on this process's side of a line.

QEMU counts one instruction as one nanosecond (`-icount shift=0`), so what a timer measures is instructions, the same in
every run and under any load. Nothing survives the starter: see `guard.py`.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tinyctl import guard
from tinyctl.bare import Wire
from tinyctl.boards import Board
from tinyctl.errors import ToolMissing
from tinyctl.transports import Descriptors, LinkLost, Transport

QEMU = "qemu-system-arm"
START_S = 20.0  # a loaded machine may take seconds to start it
END_S = 3.0


@contextmanager
def virtual_board(image: Path, board: Board, wire: Wire) -> Iterator[Transport]:
    """Start `image` in QEMU and yield the line to it; afterwards it is gone, and its folder."""
    if shutil.which(QEMU) is None:
        raise ToolMissing(
            f"{QEMU} is not installed", fix=f"install it (Debian: {QEMU}), or give --port of a real board"
        )
    with tempfile.TemporaryDirectory(prefix="tinyctl-qemu-") as name:
        folder = Path(name)
        words = [
            QEMU, "-M", board.bare.qemu, "-kernel", str(image.resolve()), "-display", "none", "-monitor", "none",
            "-icount", "shift=0",
        ]  # fmt: skip
        if wire == "usart":
            ours, theirs = socket.socketpair()
            with theirs:
                before = ["-serial", "null"] * (board.bare.usart - 1)  # the machine has all of them, in order
                line = ["-chardev", f"socket,id=line,fd={theirs.fileno()}", *before, "-serial", "chardev:line"]
                process = _start([*words, *line], folder, (theirs.fileno(),))
            transport = Descriptors(*(ours.detach(),) * 2)
        else:
            os.mkfifo(folder / "to_board")
            os.mkfifo(folder / "from_board")
            reads = os.open(folder / "from_board", os.O_RDONLY | os.O_NONBLOCK)
            process = _start([*words, "-serial", "none", "-semihosting-config", "enable=on,target=native"], folder, ())
            try:
                transport = Descriptors(reads, _open_for_writing(folder / "to_board", process))
            except BaseException:
                os.close(reads)
                _end(process)
                raise
        try:
            yield _Watched(transport, process)
        finally:
            transport.close()  # the firmware sees the end of its file and leaves by itself
            _end(process)


class _Watched:
    """The line, whose loss is told with what QEMU said."""

    def __init__(self, line: Transport, process: subprocess.Popen[bytes]) -> None:
        self._line, self._process = line, process

    def read(self, timeout_s: float) -> bytes:
        try:
            return self._line.read(timeout_s)
        except LinkLost as error:
            raise self._told(error) from None

    def write(self, data: bytes) -> None:
        try:
            self._line.write(data)
        except LinkLost as error:
            raise self._told(error) from None

    def close(self) -> None:
        self._line.close()

    def _told(self, error: LinkLost) -> LinkLost:
        try:
            status = self._process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            return error
        return LinkLost(f"the virtual board ended ({_ending(self._process, status)})")


def _start(words: list[str], folder: Path, keep: tuple[int, ...]) -> subprocess.Popen[bytes]:
    """QEMU under the guard, in a session of its own: a terminal's interrupt reaches us, and we end it."""
    return subprocess.Popen(
        [sys.executable, "-I", "-S", guard.__file__, *words],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        pass_fds=keep,
        start_new_session=True,
    )


def _open_for_writing(fifo: Path, process: subprocess.Popen[bytes]) -> int:
    """Open a FIFO that QEMU is about to read from."""
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        try:
            return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # nobody reads from it yet
            status = process.poll()
            if status is not None:
                raise LinkLost(f"the virtual board did not start ({_ending(process, status)})") from None
            time.sleep(0.002)
    raise LinkLost(f"the virtual board did not open its link within {START_S:.0f} s")


def _ending(process: subprocess.Popen[bytes], status: int) -> str:
    said = process.stderr.read().decode(errors="replace").strip() if process.stderr else ""
    if status > 128:
        return f"killed by signal {status - 128}"
    return said.splitlines()[-1] if said else f"status {status}"


def _end(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin
    try:
        process.wait(timeout=END_S / 10)
    except subprocess.TimeoutExpired:
        process.stdin.close()  # the guard kills QEMU
        try:
            process.wait(timeout=END_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if process.returncode < 0:  # the guard was killed: QEMU may go on without it
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.stdin.close()
    if process.stderr:
        process.stderr.close()
