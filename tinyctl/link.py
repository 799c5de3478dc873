"""Requests to a board and its replies, over a line that may lose and damage what it carries (docs/protocol.md)."""

from __future__ import annotations

import struct
import time
from dataclasses import dataclass

import numpy as np

from tinyctl.errors import TinyctlError
from tinyctl.layers.base import F32, Array
from tinyctl.protocol import REPLY, Decoder, Frame, Hello, Kind, Reason, encode
from tinyctl.transports import LinkLost, NoReply, Transport

PATIENCE_S = (0.5, 0.5, 1.0, 2.0, 4.0)  # for a reply, before a request is sent again: a loaded machine takes its time
MOST_SENT = 100  # on a line that damages most frames
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
        hashes = b"".join(map(bytes.fromhex, ours.values()))
        try:
            hello = Hello.of(self.request(Kind.HELLO, hashes, Hello.LAYOUT.size, GREETING_S))
        except NoReply:
            raise NoReply(
                "nobody answers", fix="flash the firmware for this link (docs/hil.md), check the line"
            ) from None
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

        Raises `NoReply` when none comes however often the request is sent, `TinyctlError` when the board refuses it.
        """
        self._sequence = (self._sequence + 1) & 0xFFFFFFFF
        wire = encode(Frame(kind, self._sequence, body))
        self.requests += 1
        left = list(patience_s)
        for sent in range(MOST_SENT):
            self.resent += sent > 0
            self._line.write(b"\0" + wire if sent else wire)
            try:
                reply = self._reply(kind, length, time.monotonic() + left[0])
            except TimeoutError:
                del left[0]
                if not left:
                    break
            else:
                if reply is not None:
                    self.replies += 1
                    return reply
        raise NoReply(f"the board does not answer: frame {self._sequence} was sent {sent + 1} times")

    def _reply(self, kind: Kind, length: int, end: float) -> bytes | None:
        """The body of the reply; None when it, or the request, was damaged. Raises `TimeoutError`."""
        while (frame := self._next(end)) is not None:
            if frame.kind == kind | REPLY and frame.sequence == self._sequence and len(frame.body) == length:
                return frame.body
            if frame.kind == Kind.ERROR and self._is_refusal(frame):
                return None
        return None

    def _next(self, end: float) -> Frame | None:
        """The next frame, None for a damaged one. Raises `TimeoutError`."""
        while not self._waiting:
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError
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
            if reason == Reason.MISMATCH and self.hello is not None:
                raise LinkLost("the board has restarted: it does not know this controller any more")
            name = Reason(reason).name.lower() if reason in {*Reason} else f"reason {reason}"
            raise TinyctlError(f"the board refuses frame {frame.sequence}: {name.replace('_', ' ')}")
        return False
