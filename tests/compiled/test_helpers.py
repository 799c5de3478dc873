"""The helper functions of the emitted C over their whole ranges, against `tinyctl.formats` and `tinyctl.layers`."""

from __future__ import annotations

import ctypes
from pathlib import Path

import networks
import numpy as np
import pytest

from tinyctl import toolchains
from tinyctl.emitter import emit, render
from tinyctl.formats.base import encode, requantize
from tinyctl.graph import Graph
from tinyctl.layers.base import F32, Array
from tinyctl.layers.tanh import CLAMP, LINEAR, tanh_f32
from tinyctl.vectors import SPECIAL

WRAPPER = """
#include "policy.c"
void many_tanh(const float *x, float *y, uint32_t n) { while (n--) { *y++ = policy_tanh(*x++); } }
void many_encode(const float *x, int16_t *y, uint32_t n) { while (n--) { *y++ = policy_encode(*x++); } }
void many_clamp(const float *x, float *y, uint32_t n) { while (n--) { *y++ = policy_clamp(*x++, -1.5f, 0.25f); } }
void many_requantize(const int32_t *x, const int32_t *m, int16_t *y, uint32_t n)
{
    while (n--) {
        *y++ = policy_requantize(*x++, *m++);
    }
}
"""


def graph_with_every_helper() -> Graph:
    """Float and integer tanh, and doors between."""
    return networks.in_format(networks.all_layers(), {"first": "w16a16", "tanh_float": "f32"})


@pytest.fixture(scope="module", params=["cc", "zig"])
def library(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    folder = tmp_path_factory.mktemp("helpers")
    emit(graph_with_every_helper(), folder)
    (folder / "wrapper.c").write_text(WRAPPER)
    command = (*toolchains.host_cc(request.param), "-O2", *toolchains.SHARED)
    toolchains.run([*command, folder / "wrapper.c", "-o", folder / "wrapper.so"], what="helpers")
    return ctypes.CDLL(str(folder / "wrapper.so"))


def call(function: object, result: str, *arrays: Array) -> Array:
    found = np.empty(len(arrays[0]), result)
    pointers = [ctypes.c_void_p(np.ascontiguousarray(a).ctypes.data) for a in (*arrays, found)]
    function(*pointers, len(found))  # type: ignore[operator]
    return found


def words(x: Array) -> Array:
    return x.view(np.uint32)


def test_tanh(library: ctypes.CDLL) -> None:
    rng = np.random.default_rng(0)
    around = [(int(v.view(np.uint32)) + np.arange(-3000, 3000)).astype(np.uint32).view(F32) for v in (CLAMP, LINEAR)]
    anything = rng.integers(0, 2**32, 1_000_000, dtype=np.uint32).view(F32)
    x = np.concatenate([rng.uniform(-10, 10, 1_000_000).astype(F32), anything, *around, SPECIAL])
    x = np.where(np.isnan(x), F32(0.5), x)  # the screen lets none through
    for sign in (F32(1), F32(-1)):
        assert (words(call(library.many_tanh, "float32", sign * x)) == words(tanh_f32(sign * x))).all()


def test_clamp(library: ctypes.CDLL) -> None:
    x = np.random.default_rng(0).integers(0, 2**32, 200_000, dtype=np.uint32).view(F32)
    x = np.concatenate([x[~np.isnan(x)], SPECIAL[~np.isnan(SPECIAL)], np.array([-1.5, 0.25], F32)])
    expected = np.where(x < F32(-1.5), F32(-1.5), np.where(x > F32(0.25), F32(0.25), x))
    assert (words(call(library.many_clamp, "float32", x)) == words(expected)).all()


def test_encode(library: ctypes.CDLL) -> None:
    rng = np.random.default_rng(0)
    ties = np.arange(-40000, 40000, dtype=F32) + F32(0.5)
    x = np.concatenate([ties, np.nextafter(ties, F32(np.inf)), np.nextafter(ties, F32(-np.inf)), np.floor(ties),
                        rng.uniform(-(2.0**31) + 512, 2.0**31 - 512, 100_000).astype(F32), SPECIAL[:6]])  # fmt: skip
    assert (call(library.many_encode, "int16", x) == encode(x, np.dtype(np.int16))).all()


def test_requantize(library: ctypes.CDLL) -> None:
    rng = np.random.default_rng(0)
    ends = np.array([-(2**31), -(2**31) + 1, -3, -2, -1, 0, 1, 2, 3, 2**31 - 1])
    sums = np.concatenate([np.repeat(ends, 4), rng.integers(-(2**31), 2**31, 500_000), np.arange(-70_000, 70_000)])
    multipliers = rng.integers(0, 2**31, len(sums)) >> rng.integers(0, 31, len(sums))
    multipliers[-140_000:] = 2**30  # every other one is a tie
    multipliers[:40] = np.tile([0, 1, 2**30, 2**31 - 1], 10)
    found = call(library.many_requantize, "int16", sums.astype(np.int32), multipliers.astype(np.int32))
    assert (found == requantize(sums, multipliers, np.dtype(np.int16))).all()


def test_float_constants_keep_their_bits(tmp_path: Path) -> None:
    """Through text and compiler: random weights of every magnitude, subnormals too."""
    rng = np.random.default_rng(0)
    values = rng.integers(0, 2**32, 60_000, dtype=np.uint32).view(F32)
    values = np.concatenate([values[np.isfinite(values)], (rng.standard_normal(20_000) * 0.1).astype(F32), SPECIAL[:8]])
    from tinyctl.templates import literal

    rows = ",\n".join(literal(v) for v in values)
    (tmp_path / "x.c").write_text(f"const float values[] = {{\n{rows}\n}};\n")
    for compiler in ("cc", "zig"):
        command = (*toolchains.host_cc(compiler), "-Werror", "-Wall", "-Wextra", *toolchains.SHARED)
        toolchains.run([*command, tmp_path / "x.c", "-o", tmp_path / f"{compiler}.so"], what="constants")
        array = (ctypes.c_uint32 * len(values)).in_dll(ctypes.CDLL(str(tmp_path / f"{compiler}.so")), "values")
        assert (np.ctypeslib.as_array(array) == words(values)).all()


def test_the_unit_has_every_helper() -> None:
    text = render(graph_with_every_helper(), "policy")[1]["policy.c"]
    for name in ("tanh", "encode", "clamp", "requantize"):
        assert f" policy_{name}(" in text
