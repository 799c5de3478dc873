"""Bytes to and from a board: by FIFOs or a socket, by a serial port, and by a line that damages what it carries."""

from __future__ import annotations

import os
import select
import time
from typing import Protocol

import numpy as np

from tinyctl.errors import TinyctlError, ToolMissing

PIECE = 65536


class LinkLost(TinyctlError):
    """The other side has gone: unplugged, killed, or its end of the line closed."""


class NoReply(LinkLost):
    """The line is there, and nobody answers."""


class Transport(Protocol):
    """A line of bytes. `read` returns what has come, b"" when nothing does in `timeout_s`; both raise `LinkLost`."""

    def read(self, timeout_s: float) -> bytes: ...

    def write(self, data: bytes) -> None: ...

    def close(self) -> None: ...


class Descriptors:
    """A pair of non-blocking file descriptors, which may be one and the same; owns them."""

    def __init__(self, reads: int, writes: int, write_timeout_s: float = 5.0) -> None:
        self._reads, self._writes, self._write_timeout_s = reads, writes, write_timeout_s
        for fd in {reads, writes}:
            os.set_blocking(fd, False)
        self._poll = select.poll()
        self._poll.register(reads, select.POLLIN)

    def read(self, timeout_s: float) -> bytes:
        if not self._poll.poll(timeout_s * 1000):
            return b""
        try:
            data = os.read(self._reads, PIECE)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise LinkLost(f"the board has gone ({error.strerror})") from None
        if not data:
            raise LinkLost("the board has gone: its end of the line is closed")
        return data

    def write(self, data: bytes) -> None:
        end = time.monotonic() + self._write_timeout_s
        while data:
            try:
                data = data[os.write(self._writes, data) :]
            except BlockingIOError:
                left = end - time.monotonic()
                if left <= 0 or not select.select([], [self._writes], [], left)[1]:
                    raise LinkLost("the board does not take what is sent to it") from None
            except OSError as error:
                raise LinkLost(f"the board has gone ({error.strerror})") from None

    def close(self) -> None:
        for fd in {self._reads, self._writes}:
            os.close(fd)
        self._reads = self._writes = -1


class SerialPort:
    """A real serial port, through pyserial."""

    def __init__(self, port: str, baud: int) -> None:
        try:
            import serial
        except ImportError:
            raise ToolMissing(
                "the Python package pyserial is not installed", fix="pip install 'tinyctl[hil]'"
            ) from None
        self._errors = (serial.SerialException, OSError)
        try:
            self._serial = serial.Serial(port, baud, timeout=0, write_timeout=5, exclusive=True)
        except (*self._errors, ValueError) as error:
            raise TinyctlError(f"cannot be opened ({error})", where=port, fix="is the board plugged in?") from None
        self._port = port

    def read(self, timeout_s: float) -> bytes:
        try:
            self._serial.timeout = timeout_s
            first = self._serial.read(1)
            return first + self._serial.read(self._serial.in_waiting) if first else b""
        except self._errors as error:
            raise LinkLost(f"the board has gone ({error})", where=self._port) from None

    def write(self, data: bytes) -> None:
        try:
            self._serial.write(data)
        except self._errors as error:
            raise LinkLost(f"the board has gone ({error})", where=self._port) from None

    def close(self) -> None:
        self._serial.close()


class Noisy:
    """A line that damages a share of the frames each way: one byte flipped, dropped or inserted, anywhere in it.

    A frame is what ends in a zero, counted in the stream, so that damage also hits the zeros themselves.
    """

    def __init__(self, line: Transport, share: float, seed: int) -> None:
        self._line, self._share = line, share
        self._rng = np.random.default_rng(seed)
        self.damaged = 0

    def read(self, timeout_s: float) -> bytes:
        return self._damage(self._line.read(timeout_s))

    def write(self, data: bytes) -> None:
        self._line.write(self._damage(data))

    def close(self) -> None:
        self._line.close()

    def _damage(self, data: bytes) -> bytes:
        if not data or self._rng.random() >= self._share * max(1, data.rstrip(b"\0").count(0)):
            return data
        self.damaged += 1
        damaged, at = bytearray(data), int(self._rng.integers(len(data)))
        match self._rng.integers(3):
            case 0:
                damaged[at] ^= int(self._rng.integers(1, 256))
            case 1:
                del damaged[at]
            case _:
                damaged.insert(at, int(self._rng.integers(256)))
        return bytes(damaged)
