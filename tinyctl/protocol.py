"""The link's protocol as Python speaks it: the same bytes as `firmware/bare/protocol.c` (docs/protocol.md)."""

from __future__ import annotations

import struct
from binascii import crc_hqx
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar

VERSION = 1
HEADER = struct.Struct("<BBHI")  # version, kind, length of the body, sequence
CRC = struct.Struct("<H")
MAX_BODY = 0xFFFF
LONGEST = 2 * MAX_BODY  # more than any frame takes on the wire
REPLY = 0x80


class Kind(IntEnum):
    HELLO = 1
    RESET = 2
    STEP = 3
    APPLIED = 4
    MEASURE = 5
    ERROR = 0xFF


class Reason(IntEnum):
    """Why a board refuses a frame: the first byte of an ERROR's body."""

    BAD_FRAME = 1
    BAD_LENGTH = 2
    UNKNOWN_KIND = 3
    BAD_SEQUENCE = 4
    MISMATCH = 5
    FAILED = 6


@dataclass(frozen=True)
class Frame:
    """What stands between two zeros of the stream: `kind` with bit 7 in a reply, `sequence` below 2^32."""

    kind: int
    sequence: int
    body: bytes = b""


@dataclass(frozen=True)
class Hello:
    """Who answers. `counter` names what counts a step: `cycles`, `timer` (TIM2), `systick` or `none`; it counts
    `counter_hz` a second. `clock` says what the clock set-up came to, `phase` where the firmware stands."""

    contract_hash: str
    graph_hash: str
    n_obs: int
    n_act: int
    clock_hz: int
    counter_hz: int
    counter: str
    clock: str
    phase: str

    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<32s32sHHIIBBBB")
    COUNTERS: ClassVar[tuple[str, ...]] = ("none", "cycles", "timer", "systick")
    CLOCKS: ClassVar[tuple[str, ...]] = ("reset", "crystal", "internal")
    PHASES: ClassVar[tuple[str, ...]] = ("booting", "running", "selftest_failed", "fault")

    @classmethod
    def of(cls, body: bytes) -> Hello:
        """The body of a reply to HELLO; raises `ValueError` when it is none."""
        if len(body) != cls.LAYOUT.size:
            raise ValueError(f"a greeting of {len(body)} bytes, not {cls.LAYOUT.size}")
        contract, graph, n_obs, n_act, clock_hz, counter_hz, counter, clock, phase, _ = cls.LAYOUT.unpack(body)
        names = []
        for value, known in ((counter, cls.COUNTERS), (clock, cls.CLOCKS), (phase, cls.PHASES)):
            if value >= len(known):
                raise ValueError(f"a greeting with {value} where at most {len(known) - 1} is known")
            names.append(known[value])
        return cls(contract.hex(), graph.hex(), n_obs, n_act, clock_hz, counter_hz, *names)


def encode(frame: Frame) -> bytes:
    """The frame as it goes on the wire, its closing zero included. The CRC is CRC-16/IBM-3740."""
    if len(frame.body) > MAX_BODY:
        raise ValueError(f"a body of {len(frame.body)} bytes")
    plain = HEADER.pack(VERSION, frame.kind, len(frame.body), frame.sequence) + frame.body
    return cobs(plain + CRC.pack(crc_hqx(plain, 0xFFFF))) + b"\0"


def decode(wire: bytes) -> Frame | None:
    """The frame of one stretch without zeros, or None when it is none."""
    try:
        plain = uncobs(wire)
        version, kind, length, sequence = HEADER.unpack_from(plain)
    except (ValueError, struct.error):
        return None
    end = HEADER.size + length
    if version != VERSION or len(plain) != end + CRC.size:
        return None
    if CRC.unpack_from(plain, end)[0] != crc_hqx(plain[:end], 0xFFFF):
        return None
    return Frame(kind, sequence, plain[HEADER.size : end])


class Decoder:
    """Takes frames from a stream of bytes that comes in any pieces. `rejected` counts what ended and was no frame."""

    def __init__(self) -> None:
        self._rest = b""
        self.rejected = 0

    def feed(self, received: bytes) -> list[Frame | None]:
        """What ended in `received`, in order; None stands for a frame to be ignored."""
        *ended, rest = (self._rest + received).split(b"\0")
        self._rest = rest[:LONGEST]  # what is longer cannot become a frame
        found = [decode(wire) for wire in ended if wire]
        self.rejected += found.count(None)
        return found


def cobs(plain: bytes) -> bytes:
    """Consistent Overhead Byte Stuffing (Cheshire and Baker, IEEE/ACM Transactions on Networking 7, 1999)."""
    coded = bytearray()
    blocks = plain.split(b"\0")
    for block in blocks:
        start, longest = 0, 254 if block is blocks[-1] else 253  # a block of 254 says that no zero follows
        while len(block) - start > longest:
            coded.append(255)
            coded += block[start : start + 254]
            start += 254
        coded.append(len(block) - start + 1)
        coded += block[start:]
    return bytes(coded)


def uncobs(coded: bytes) -> bytes:
    """What `cobs` was made from; raises `ValueError` for a code that runs past the end."""
    plain, at = bytearray(), 0
    while at < len(coded):
        code = coded[at]
        if code == 0 or at + code > len(coded):
            raise ValueError("not a COBS code")
        plain += coded[at + 1 : at + code]
        at += code
        if code < 255 and at < len(coded):
            plain.append(0)
    return bytes(plain)
