"""Requests to a board and its replies, over a line that may lose and damage what it carries (docs/protocol.md)."""

from __future__ import annotations

import struct
import time
from dataclasses import dataclass

import numpy as np

from tinyctl.errors import TinyctlError
from tinyctl.layers.base import F32, Array
from tinyctl.protocol import REPLY, Decoder, Frame, Hello, Kind, Reason, encode
from tinyctl.transports import LinkLost, Transport

PATIENCE_S = (0.5, 0.5, 1.0, 2.0, 4.0)  # for a reply, each time a request is sent: a loaded machine takes its time
GREETING_S = (0.2,) * 10 + PATIENCE_S  # a board that is just starting hears nothing
STEP_REPLY = struct.Struct("<II")  # status word, count
FAULT = struct.Struct("<4x6I")


@dataclass(frozen=True)
class Step:
    """What a board answers to an observation: action (n_act,) float32, status word, and the count of the step."""

    action: Array
    status: int
    count: int


class Link:
    """The host's side. Counts `requests`, `replies` to them, requests `resent`, frames `rejected` by either side."""

    def __init__(self, line: Transport) -> None:
        self._line = line
        self._decoder = Decoder()
        self._waiting: list[Frame | None] = []
        self._sequence = 0
        self._refused_by_board = 0
        self.requests = self.replies = self.resent = 0
        self.hello: Hello | None = None

    @property
    def rejected(self) -> int:
        return self._decoder.rejected + self._refused_by_board

    def greet(self, contract_hash: str, graph_hash: str) -> Hello:
        """Both sides name what they hold; raises `TinyctlError` when they differ, or the board is not ready."""
        ours = {"contract": contract_hash, "graph": graph_hash}
        body = self.request(Kind.HELLO, b"".join(map(bytes.fromhex, ours.values())), Hello.LAYOUT.size, GREETING_S)
        try:
            hello = Hello.of(body)
        except ValueError as error:
            raise TinyctlError(f"the board greets with {error}", fix="build its firmware with this version") from None
        for what, mine in ours.items():
            theirs = getattr(hello, f"{what}_hash")
            if theirs != mine:
                raise TinyctlError(
                    f"the board runs another {what}: {theirs[:12]}, not {mine[:12]}",
                    fix="build the firmware from this file and flash it",
                )
        if hello.phase != "running":
            raise TinyctlError(f"the board is not ready: {hello.phase.replace('_', ' ')}")
        self.hello = hello
        return hello

    def reset(self) -> None:
        """Put the controller back to its start."""
        self.request(Kind.RESET, b"", 0)

    def step(self, observation: Array) -> Step:
        """One step on an observation (n_obs,) float32."""
        assert self.hello is not None
        n_act = self.hello.n_act
        body = self.request(Kind.STEP, observation.astype("<f4").tobytes(), STEP_REPLY.size + 4 * n_act)
        status, count = STEP_REPLY.unpack_from(body)
        return Step(np.frombuffer(body, "<f4", n_act, STEP_REPLY.size).astype(F32), status, count)

    def set_applied(self, action: Array) -> None:
        """Tell the controller which action (n_act,) was applied instead of its own."""
        self.request(Kind.APPLIED, action.astype("<f4").tobytes(), 0)

    def request(self, kind: Kind, body: bytes, length: int, patience_s: tuple[float, ...] = PATIENCE_S) -> bytes:
        """The body, `length` bytes, of the reply to a request.

        Raises `LinkLost` when none comes however often the request is sent, `TinyctlError` when the board refuses it.
        """
        self._sequence = (self._sequence + 1) & 0xFFFFFFFF
        wire = encode(Frame(kind, self._sequence, body))
        self.requests += 1
        for attempt, wait_s in enumerate(patience_s):
            self.resent += attempt > 0
            self._line.write(b"\0" + wire if attempt else wire)
            end = time.monotonic() + wait_s
            while (frame := self._next(end)) is not None:
                if frame.kind == kind | REPLY and frame.sequence == self._sequence and len(frame.body) == length:
                    self.replies += 1
                    return frame.body
                if frame.kind == Kind.ERROR and self._is_refusal(frame):
                    break
        raise LinkLost(f"no reply to frame {self._sequence} after sending it {len(patience_s)} times")

    def _next(self, end: float) -> Frame | None:
        """The next good frame; None when the request must be sent again, for damage or because time is up."""
        while not self._waiting:
            left = end - time.monotonic()
            if left <= 0:
                return None
            self._waiting = self._decoder.feed(self._line.read(left))
        return self._waiting.pop(0)

    def _is_refusal(self, frame: Frame) -> bool:
        """Whether the board did not understand the request. Raises `TinyctlError` when it did and will not serve it."""
        reason = frame.body[0] if frame.body else 0
        if reason == Reason.BAD_FRAME:
            self._refused_by_board += 1
            return True
        if reason == Reason.FAILED and len(frame.body) == FAULT.size:
            number, pc, lr, cfsr, hfsr, address = FAULT.unpack(frame.body)
            raise TinyctlError(
                f"the board stopped with a fault: exception {number} at {pc:#010x}, called from {lr:#010x}, "
                f"CFSR {cfsr:#x}, HFSR {hfsr:#x}, address {address:#010x}"
            )
        if frame.sequence == self._sequence:
            name = Reason(reason).name.lower() if reason in {*Reason} else f"reason {reason}"
            raise TinyctlError(f"the board refuses frame {frame.sequence}: {name.replace('_', ' ')}")
        return False
