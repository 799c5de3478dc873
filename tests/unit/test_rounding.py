"""Encode, decode and requantize against exact rational arithmetic: one rounding rule, floor(v + 1/2)."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyctl.errors import TinyctlError
from tinyctl.formats import FORMATS, find_format
from tinyctl.formats.base import F32, decode, encode, requantize

FLOATS = st.floats(-(2.0**30), 2.0**30, width=32)
INT32 = st.integers(-(2**31), 2**31 - 1)
HALF = Fraction(1, 2)


def saturate(v: int, bits: int) -> int:
    return min(max(v, -(2 ** (bits - 1))), 2 ** (bits - 1) - 1)


def float32_sum(a: Fraction, b: Fraction) -> Fraction:
    """The float32 nearest to a + b, ties to even, in integers (no subnormal here)."""
    exact = a + b
    if not exact:
        return exact
    step = Fraction(2) ** (math.frexp(float(exact))[1] - 24)
    return round(exact / step) * step


@given(FLOATS)
def test_encode(y: float) -> None:
    for dtype, bits in ((np.int16, 16), (np.int8, 8)):
        found = int(encode(np.array([y], F32), np.dtype(dtype))[0])
        assert found == saturate(math.floor(float32_sum(Fraction(y), HALF)), bits)


def test_encode_around_ties() -> None:
    whole = np.r_[-(2**15) - 3 : -(2**15) + 500, -(2**15) : 2**15 : 61, -500:500, 2**15 - 500 : 2**15 + 3]
    ties = (whole + 0.5).astype(F32)
    for y in (ties, np.nextafter(ties, F32(-np.inf)), np.nextafter(ties, F32(np.inf)), np.floor(ties)):
        exact = [math.floor(float32_sum(Fraction(float(v)), HALF)) for v in y]
        assert encode(y, np.dtype(np.int16)).tolist() == [saturate(v, 16) for v in exact]


def test_the_rule_is_floor_of_v_plus_a_half() -> None:
    y = np.array([-2.5, -1.5, -0.5, -0.49, 0.0, -0.0, 0.49, 0.5, 1.5, 2.5], F32)
    assert encode(y, np.dtype(np.int16)).tolist() == [-2, -1, 0, 0, 0, 0, 0, 1, 2, 3]
    sums = np.array([-5, -3, -1, 0, 1, 3, 5])
    assert requantize(sums, np.array(2**31), np.dtype(np.int16)).tolist() == [-2, -1, 0, 0, 1, 2, 3]  # halves


def test_encode_saturates() -> None:
    y = np.array([-1e9, -32769.0, -32768.6, -32768.0, 32767.0, 32767.4, 32767.6, 1e9], F32)
    assert encode(y, np.dtype(np.int16)).tolist() == [-32768] * 4 + [32767] * 4


@given(INT32, st.integers(0, 2**31 - 1))
def test_requantize(total: int, multiplier: int) -> None:
    exact = math.floor(Fraction(total * multiplier, 2**32) + HALF)
    for dtype, bits in ((np.int16, 16), (np.int8, 8)):
        assert int(requantize(np.array(total), np.array(multiplier), np.dtype(dtype))) == saturate(exact, bits)


def test_requantize_over_the_whole_range() -> None:
    edges = np.array([-(2**31), -(2**31) + 1, -1, 0, 1, 2**31 - 1])
    rng = np.random.default_rng(0)
    totals = np.concatenate([edges, rng.integers(-(2**31), 2**31, 2000), rng.integers(-(2**20), 2**20, 2000)])
    multipliers = np.concatenate([[0, 1, 2, 2**30, 2**31 - 1], (2.0 ** rng.uniform(0, 31, 40)).astype(np.int64)])
    found = requantize(totals[:, None], multipliers, np.dtype(np.int16))
    for i, total in enumerate(totals.tolist()):
        exact = [saturate((total * m * 2 + 2**32) >> 33, 16) for m in multipliers.tolist()]
        assert found[i].tolist() == exact


@given(st.integers(-(2**15), 2**15 - 1), st.floats(2.0**-60, 2.0**60, width=32))
def test_decode_rounds_once(q: int, scale: float) -> None:
    found = decode(np.array([q], np.int16), F32(scale))[0]
    assert Fraction(float(found)) == float32_sum(Fraction(q) * Fraction(scale), Fraction(0))


def test_formats() -> None:
    assert set(FORMATS) == {"f32", "w16a16", "w8a16", "w8a8"}
    for name, found in FORMATS.items():
        assert found.name == name
        assert find_format(name) is found
    assert not FORMATS["f32"].integer
    assert FORMATS["w16a16"].integer
    assert FORMATS["w16a16"].weight_limit == 32767


def test_unknown_format() -> None:
    with pytest.raises(TinyctlError, match=r"no number format 'w4a4'; choose one of f32, w16a16"):
        find_format("w4a4")
