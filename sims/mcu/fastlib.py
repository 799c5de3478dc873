"""The recorder and timer in C as a library: compiled on demand with the host's compiler, its structs, its functions."""

from __future__ import annotations

import ctypes
import hashlib
import os
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from tinyctl.errors import TinyctlError
from tinyctl.toolchains import SHARED, cache_folder, host_cc, run, version

SOURCES = tuple(
    Path(__file__).with_name(name)
    for name in ("fast.h", "fast_record.c", "fast_memory.c", "fast_time.c", "fast_score.c")
)
FLAGS = ("-std=c99", "-O3", *SHARED)
MOST_LINES, MOST_REGIONS = 128, 16

ROW = np.dtype(
    [("address", "u4"), ("end", "u4"), ("part", "i4"), ("next", "u4")]
    + [(name, "u1") for name in ("cost", "refill", "flags", "after_load", "store", "address_made", "fp", "spare")]
)
ISSUE = np.dtype(
    [(name, "u4") for name in ("reads", "writes", "branch")]
    + [(name, "u1") for name in ("n_reads", "n_writes", "cycles", "pairs", "early", "blocks_fp", "bubble", "cause")]
    + [("flags", "u1"), ("spare", "u1", 3)]
)
USE = np.dtype([(name, "u1") for name in ("register", "a", "b", "c")])
TIMED = np.dtype([("cycles", "i4"), ("state", "i4"), ("part", "i4")])
OPERAND = np.dtype([(name, "i4") for name in ("base", "index", "shift", "offset", "count", "size", "write")])
ACCESS = np.dtype([("position", "u4"), ("address", "u4"), ("size", "u4")])


class Array(ctypes.Structure):
    _fields_ = (("data", ctypes.c_void_p), ("count", ctypes.c_size_t), ("room", ctypes.c_size_t))


class Recorder(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("stop", "read_register", "decode", "operands", "places")),
        *((name, ctypes.c_uint32) for name in ("line_bytes", "n_ranges")),
        ("ranges", ctypes.c_uint32 * (2 * MOST_REGIONS)),
        ("budget", ctypes.c_int64),
        ("spent", ctypes.c_int64),
        *((name, Array) for name in ("blocks", "lines", "addresses", "accesses")),
    )


class Rules(ctypes.Structure):
    _fields_ = tuple(
        (name, ctypes.c_int32)
        for name in (
            *("near", "far", "flag_distance", "unaligned_load", "unaligned_store", "banked"),
            *("call_bubble", "n_counters"),
        )
    )


class Lines(ctypes.Structure):
    _fields_ = (
        ("capacity", ctypes.c_int32),
        ("count", ctypes.c_int32),
        *((name, ctypes.c_int64) for name in ("clock", "first", "n_slots")),
        ("slots", ctypes.c_void_p),
        ("line", ctypes.c_int64 * MOST_LINES),
        ("used", ctypes.c_int64 * MOST_LINES),
    )


class Sets(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_int64) for name in ("sets", "ways", "clock")),
        *((name, ctypes.c_void_p) for name in ("lines", "used")),
    )


class Region(ctypes.Structure):
    _fields_ = (
        ("origin", ctypes.c_uint32),
        ("end", ctypes.c_uint32),
        *((name, ctypes.c_int32) for name in ("model", "wait_states", "line_bytes", "invented")),
        *((name, ctypes.c_int64) for name in ("current", "prefetched", "prefetched_at", "free_at")),
        ("instructions", Lines),
        ("data", Lines),
        ("instruction_sets", ctypes.c_void_p),
        ("data_sets", ctypes.c_void_p),
    )


class Memories(ctypes.Structure):
    _fields_ = (
        ("n_regions", ctypes.c_int64),
        ("position", ctypes.c_int64),
        ("n_unknown", ctypes.c_int64),
        ("unknown", ctypes.c_void_p),
        ("regions", Region * MOST_REGIONS),
    )


@cache
def library(compiler: str | None = None) -> ctypes.CDLL:
    """The library, from the cache or freshly made; raises `TinyctlError` where it cannot be."""
    command = (*host_cc(compiler), *FLAGS)
    text = b"".join(path.read_bytes() for path in SOURCES)
    key = hashlib.sha256(text + "\0".join((*command, version(command[: -len(FLAGS)]))).encode()).hexdigest()
    folder = cache_folder() / "emulator"
    path = folder / f"fast-{key[:32]}.so"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as work:
            made = Path(work) / "fast.so"
            run(
                [*command, *(path.resolve() for path in SOURCES if path.suffix == ".c"), "-o", made],
                what="compiling the emulator's recorder",
            )
            os.replace(made, path)
    loaded = ctypes.CDLL(str(path))
    pointer, number, whole = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int32
    for name, result, arguments in (
        ("recorder_new", pointer, ()),
        ("recorder_free", None, (pointer,)),
        ("recorder_begin", None, (pointer, number)),
        ("table_new", pointer, ()),
        ("table_free", None, (pointer,)),
        ("table_add", ctypes.c_int, (pointer, ctypes.c_uint64, ctypes.c_uint64, ctypes.c_uint32, ctypes.c_uint32)),
        ("memo_run", ctypes.c_int, (*[pointer] * 3, number, ctypes.c_uint32, *[pointer] * 3, number, pointer)),
        ("steps_fill", ctypes.c_int, (*[pointer] * 3, number, *[pointer] * 3, number, pointer, pointer)),
        (
            "walk_time",
            number,
            (
                *(pointer, pointer, number, pointer, number, pointer, pointer),
                *(whole, whole, ctypes.c_uint32, whole, ctypes.c_char_p, *[whole] * 4, pointer, pointer),
            ),
        ),
        (
            "score_time",
            number,
            (
                *(pointer, pointer, pointer, pointer, number, pointer, number, pointer, pointer, pointer),
                *(ctypes.c_uint32, ctypes.c_char_p, whole, whole, pointer, pointer),
            ),
        ),
        ("size_of_region", ctypes.c_size_t, ()),
    ):
        function = getattr(loaded, name)
        function.restype, function.argtypes = result, arguments
    if loaded.size_of_region() != ctypes.sizeof(Region):
        raise TinyctlError("fast_memory.c and fastlib.py disagree about a struct")
    return loaded
