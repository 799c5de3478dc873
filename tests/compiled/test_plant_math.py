"""The plants' own functions of libm: within one unit in the last place of the real ones."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
import pytest

from tinyctl.templates import template
from tinyctl.toolchains import SHARED, host_cc, run

FLAGS = ("-std=gnu99", "-O2", "-fno-builtin", "-ffp-contract=off", *SHARED)
RANGES = {"sin": (-1000, 1000), "cos": (-1000, 1000), "tan": (-100, 100), "exp": (-80, 80), "log": (1e-30, 1e30),
          "arcsin": (-1, 1), "arccos": (-1, 1), "arctan": (-50, 50), "sinh": (-80, 80), "cosh": (-80, 80),
          "tanh": (-12, 12)}  # fmt: skip


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    work = tmp_path_factory.mktemp("math")
    (work / "math.c").write_text(template("plant_math.c.j2").render())
    run([*host_cc(), *FLAGS, "math.c", "-o", "math.so"], what="the plants' math", cwd=Path(work))
    return ctypes.CDLL(str(work / "math.so"))


def called(library: ctypes.CDLL, name: str, *columns: np.ndarray) -> np.ndarray:
    function = library[f"{name.replace('arc', 'a')}f"]
    function.restype, function.argtypes = ctypes.c_float, [ctypes.c_float] * len(columns)
    return np.array([function(*map(float, row)) for row in zip(*columns, strict=True)], np.float32)


def units(got: np.ndarray, real: np.ndarray) -> float:
    return float(np.max(np.abs(got - real) / np.spacing(np.abs(real).astype(np.float32))))


@pytest.mark.parametrize("name", RANGES)
def test_one_argument(library: ctypes.CDLL, name: str) -> None:
    low, high = RANGES[name]
    rng = np.random.default_rng(0)
    wide = rng.uniform(low, high, 3000)
    x = np.concatenate([wide, low + (wide - low) * 1e-3, rng.uniform(max(low, -1), min(high, 1), 1000)])
    x = x.astype(np.float32).clip(low, high)
    assert units(called(library, name, x), getattr(np, name)(x.astype(np.float64))) <= 1


def test_two_arguments(library: ctypes.CDLL) -> None:
    a, b = np.random.default_rng(0).uniform(-5, 5, (2, 3000)).astype(np.float32)
    assert units(called(library, "arctan2", a, b), np.arctan2(a.astype(np.float64), b)) <= 1
    assert units(called(library, "pow", np.abs(a), b), np.abs(a.astype(np.float64)) ** b) <= 1
    whole = np.rint(b)
    assert units(called(library, "pow", a, whole), a.astype(np.float64) ** whole) <= 1
