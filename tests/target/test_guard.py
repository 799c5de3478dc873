"""The guarded controller's machine code gives the definition's bits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from guards import make_guarded, trouble

from tinyctl.boards import Board, load_board
from tinyctl.builder import build
from tinyctl.checker import check
from tinyctl.emitter import emit
from tinyctl.errors import TinyctlError
from tinyctl.safety.guard import FALLBACK, JUMP
from tinyctl.sims.mcu.emulator import Emulator


@pytest.mark.parametrize(("board", "toolchain"), [("crazyflie21", "gcc"), ("crazyflie21", "zig"), ("pico", "zig")])
def test_the_machine_code_equals_the_definition(
    board: str, toolchain: str, tmp_path: Path, require_gcc: Callable[[Board], None]
) -> None:
    target = load_board(board)
    if toolchain == "gcc":
        require_gcc(target)
    guarded, n = make_guarded(), 16 if target.fpu != "none" else 4
    emit(guarded, tmp_path / "c", "hover")
    image = build(tmp_path / "c", target, toolchain, out=tmp_path / "hover.elf")  # type: ignore[arg-type]
    emulator, state, met = Emulator(image.path, target), guarded.init(n), 0
    assert emulator.selftest() == 0
    structs = emulator.initial(n)
    for obs in trouble(guarded, 150, n, seed=1):
        action, state = guarded.run(obs, state)  # type: ignore[assignment]
        act, status = emulator.step_batch(structs, obs)
        np.testing.assert_array_equal(act.view(np.uint32), action.view(np.uint32))
        np.testing.assert_array_equal(status, state.status)
        met |= int(np.bitwise_or.reduce(status))
    assert met & (FALLBACK if n > 4 else JUMP)


def test_timed_on_given_observations(tmp_path: Path) -> None:
    """In calm flight no sensor is in doubt but at the first step, which random observations never show."""
    guarded, target = make_guarded(), load_board("crazyflie21")
    emit(guarded, tmp_path / "c", "hover")
    image = build(tmp_path / "c", target, "zig", out=tmp_path / "hover.elf")
    rest = np.array([s.on_nan for s in guarded.contract.inputs[:18]])
    calm = (rest + np.random.default_rng(0).normal(size=(40, 1, 18)) * 3e-4).astype(np.float32)
    report = check(image.path, target, observations=calm)
    assert report.paths == 2
    assert report.cycles_typical < report.cycles_slowest
    with pytest.raises(TinyctlError, match="steps, sequences, 18"):
        check(image.path, target, observations=calm[:, :, :5])
