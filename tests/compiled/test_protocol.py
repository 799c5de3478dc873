"""The C and the Python side of the protocol write the same bytes and accept the same frames, whatever comes in."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tinyctl import bare
from tinyctl.boards import load_board
from tinyctl.builder import WARNINGS
from tinyctl.protocol import Decoder, Frame, cobs, decode, encode, uncobs
from tinyctl.templates import template
from tinyctl.toolchains import SHARED, host_cc, run

BARE = Path(__file__).parents[2] / "firmware" / "bare"
SIZE = 700  # of the decoder's buffer: longer frames are refused
HARNESSES = Path(__file__).parent
FUZZ_RUNS = 100_000


class CFrame(ctypes.Structure):
    _fields_ = (
        ("kind", ctypes.c_uint8),
        ("length", ctypes.c_uint16),
        ("sequence", ctypes.c_uint32),
        ("body", ctypes.POINTER(ctypes.c_uint8)),
    )


class CDecoder(ctypes.Structure):
    _fields_ = (
        ("bytes", ctypes.POINTER(ctypes.c_uint8)),
        ("size", ctypes.c_uint32),
        ("count", ctypes.c_uint32),
        ("state", ctypes.c_uint8 * 4),
    )


class CSide:
    """The functions of protocol.c on bytes."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self.library = library

    def encode(self, frame: Frame) -> bytes:
        body = (ctypes.c_uint8 * max(len(frame.body), 1)).from_buffer_copy(frame.body or b"\0")
        wire = (ctypes.c_uint8 * (2 * len(frame.body) + 32))()
        described = CFrame(frame.kind, len(frame.body), frame.sequence, body)
        count = self.library.tinyctl_encode(ctypes.byref(described), wire)
        return bytes(wire[:count])

    def decode(self, stream: bytes) -> list[Frame | None]:
        held, decoder, frame = (ctypes.c_uint8 * SIZE)(), CDecoder(), CFrame()
        self.library.tinyctl_decoder_start(ctypes.byref(decoder), held, SIZE)
        found: list[Frame | None] = []
        for byte in stream:
            said = self.library.tinyctl_decode(ctypes.byref(decoder), ctypes.c_uint8(byte), ctypes.byref(frame))
            if said == 1:
                found.append(Frame(frame.kind, frame.sequence, bytes(frame.body[: frame.length])))
            elif said == 2:
                found.append(None)
        return found


@pytest.fixture(scope="module")
def c(tmp_path_factory: pytest.TempPathFactory) -> CSide:
    library = tmp_path_factory.mktemp("protocol") / "protocol.so"
    run([*host_cc(), *WARNINGS, "-O1", *SHARED, BARE / "protocol.c", "-o", library], what="compiling the protocol")
    return CSide(ctypes.CDLL(str(library)))


# Runs of equal bytes around 254, where COBS begins another block, and zeros among them.
bodies = st.lists(
    st.one_of(st.binary(max_size=40), st.builds(lambda n: b"\x07" * n, st.integers(240, 260)), st.just(b"\0")),
    max_size=5,
).map(lambda parts: b"".join(parts)[: SIZE - 10])
frames = st.builds(Frame, st.integers(0, 255), st.integers(0, 2**32 - 1), bodies)


@settings(max_examples=300, deadline=None)
@given(frame=frames)
@example(frame=Frame(3, 0, b"\x07" * 246))
def test_both_sides_write_and_read_the_same(c: CSide, frame: Frame) -> None:
    wire = encode(frame)
    assert c.encode(frame) == wire
    assert wire.count(0) == 1
    assert c.decode(wire) == [frame] == Decoder().feed(wire)


@settings(max_examples=300, deadline=None)
@given(sent=st.lists(frames, min_size=1, max_size=4), data=st.data())
def test_both_sides_judge_a_damaged_stream_alike(c: CSide, sent: list[Frame], data: st.DataObject) -> None:
    """Flipped, dropped and inserted bytes: no frame is found that was not sent, and those behind the damage are."""
    stream = bytearray(b"".join(map(encode, sent)))
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, len(stream) - 1))
        match data.draw(st.sampled_from(["flip", "drop", "insert"])):
            case "flip":
                stream[at] ^= data.draw(st.integers(1, 255))
            case "drop" if len(stream) > 1:
                del stream[at]
            case _:
                stream.insert(at, data.draw(st.integers(0, 255)))
    stream += b"\0" + encode(sent[-1])
    found = c.decode(bytes(stream))
    decoder = Decoder()
    pieces = [decoder.feed(bytes([byte])) for byte in stream]
    assert [frame for piece in pieces for frame in piece] == found
    assert decoder.rejected == found.count(None)
    assert set(found) <= {*sent, None}
    assert found[-1] == sent[-1]


@given(plain=bodies)
def test_cobs_without_zeros_and_back(plain: bytes) -> None:
    coded = cobs(plain)
    assert 0 not in coded
    assert uncobs(coded) == plain
    assert len(coded) <= len(plain) + len(plain) // 254 + 1


@settings(max_examples=300)
@given(noise=st.binary(max_size=60))
def test_noise_is_no_frame(noise: bytes) -> None:
    assert decode(noise) is None


def test_a_frame_that_the_documentation_shows() -> None:
    text = (BARE.parents[1] / "docs" / "protocol.md").read_text()
    shown = encode(Frame(3, 1, bytes.fromhex("0000803f")))
    assert shown.hex(" ") in text


def fuzz(
    sources: list[Path], folder: Path, *options: object, runs: int = FUZZ_RUNS
) -> subprocess.CompletedProcess[str]:
    """Run C sources, a harness among them, under libFuzzer, ASan and UBSan.

    Where clang is missing the test is skipped, but fails when CI=true.
    """
    clang = shutil.which("clang") or shutil.which("clang-14")
    if clang is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("clang is not installed")
    assert clang is not None
    checks = ["-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all"]
    program, facts = folder / "fuzz", bare.facts(load_board("pico"), 100.0, 3, 1)
    (folder / "tinyctl_board.h").write_text(template("board.h.j2").render(board="fuzz", facts=facts))
    includes = [f"-I{BARE}", f"-I{folder}"]
    run([clang, "-std=c99", "-g", "-O1", *checks, *includes, *sources, "-o", program], what="the fuzzer")
    words = [program, f"-runs={runs}", "-seed=1", "-max_len=1200", "-print_final_stats=1", *options]
    return subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, timeout=300, check=False, cwd=folder
    )


def test_fuzz(tmp_path: Path) -> None:
    """Any stream is decoded without a fault, and what is accepted encodes to itself."""
    seeds = tmp_path / "seeds"
    seeds.mkdir()
    for length in (0, 4, 72, 246, 300):
        body = (bytes(range(1, 256)) * 2)[:length]
        (seeds / str(length)).write_bytes(encode(Frame(3, 7, body)) + encode(Frame(1, 8)))
    done = fuzz([BARE / "protocol.c", HARNESSES / "fuzz_protocol.c"], tmp_path, seeds)
    assert done.returncode == 0, done.stderr[-2000:]
    assert f"stat::number_of_executed_units: {FUZZ_RUNS}" in done.stderr


def test_the_fuzzer_would_find_an_overrun(tmp_path: Path) -> None:
    """The same run on a decoder without its bound fails: the check can fail."""
    source = (BARE / "protocol.c").read_text()
    bound = "if (d->count == d->size) {"
    assert bound in source
    (tmp_path / "protocol.c").write_text(source.replace(bound, "if (d->count == 2u * d->size) {"))
    done = fuzz([tmp_path / "protocol.c", HARNESSES / "fuzz_protocol.c"], tmp_path, "-len_control=0")
    assert done.returncode != 0
    assert "heap-buffer-overflow" in done.stderr


def test_fuzz_a_board(tmp_path: Path) -> None:
    """Whatever is sent, a board answers in good frames, and serves nobody who has not named its hashes."""
    sources = [BARE / "serve.c", BARE / "protocol.c", HARNESSES / "fuzz_serve.c"]
    done = fuzz(sources, tmp_path, "-len_control=0", runs=FUZZ_RUNS // 5)
    assert done.returncode == 0, done.stderr[-2000:]


def test_the_fuzzer_would_find_a_missing_greeting(tmp_path: Path) -> None:
    text = (BARE / "serve.c").read_text()
    assert "if (!greeted &&" in text
    (tmp_path / "serve.c").write_text(text.replace("if (!greeted &&", "if (0 &&"))
    sources = [tmp_path / "serve.c", BARE / "protocol.c", HARNESSES / "fuzz_serve.c"]
    assert "deadly signal" in fuzz(sources, tmp_path, "-len_control=0", runs=FUZZ_RUNS // 5).stderr
