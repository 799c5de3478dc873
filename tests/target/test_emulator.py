"""The machine code in the emulator gives the graph's bits, and a broken program is an error, not a crash."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from tinyctl.boards import Board
from tinyctl.builder import build
from tinyctl.errors import TinyctlError
from tinyctl.graph import Graph
from tinyctl.sims.mcu.emulator import Emulator
from tinyctl.vectors import observations

F32 = np.float32


def test_sequences_equal_the_graph_bit_for_bit(each_image: Path, graph: Graph) -> None:
    """Many episodes of several steps with special values in them: actions, statuses and state."""
    emulator = Emulator(each_image)
    assert emulator.selftest() == 0
    n, steps = 64, 12
    obs = observations(graph.contract, n * steps, seed=3, special=0.1).reshape(steps, n, -1)
    structs, state = emulator.initial(n), graph.init(n)
    rejected = 0
    for t in range(steps):
        act, status = emulator.step_batch(structs, obs[t])
        expected, state = graph.run(obs[t], state)
        np.testing.assert_array_equal(act.view(np.uint32), expected.view(np.uint32))
        np.testing.assert_array_equal(status, state.status)
        words = structs[:, : emulator.descriptor.state_bytes].view(np.uint32)
        np.testing.assert_array_equal(words, state.words())
        rejected += int(status.sum())
        if t == 5:
            applied = np.full((n, 1), 0.25, F32)
            emulator.set_applied_batch(structs, applied)
            state = state.with_applied(applied)
    assert rejected > 0


def test_one_at_a_time(image: Path, graph: Graph) -> None:
    emulator = Emulator(image)
    first, status = emulator.step(np.array([0.1, 0.2, -0.3], F32))
    assert (first.shape, status) == ((1,), 0)
    kept, after = emulator.snapshot(), emulator.state_bytes()
    second, _ = emulator.step(np.array([0.1, 0.2, -0.3], F32))
    assert second != first  # the integral moved
    emulator.restore(kept)
    assert emulator.state_bytes() == after
    assert emulator.step(np.array([0.1, 0.2, -0.3], F32))[0] == second
    emulator.set_applied(np.array([-0.5], F32))
    assert emulator.state_bytes()[:4] == F32(-0.5).tobytes()
    emulator.reset()
    assert emulator.step(np.array([0.1, 0.2, -0.3], F32))[0] == first


def test_growing_batches(image: Path) -> None:
    emulator = Emulator(image)
    for n in (3, 700, 0, 5):
        obs = np.arange(3 * n, dtype=F32).reshape(n, 3) / F32(100)
        act, _ = emulator.step_batch(emulator.initial(n), obs)
        assert act.shape == (n, 1)
        if n:
            assert act[-1] == Emulator(image).step(obs[-1])[0]
    with pytest.raises(TinyctlError, match="shape"):
        emulator.step_batch(emulator.initial(2), np.zeros((2, 4), F32))


def broken(unit: Path, board: Board, folder: Path, statement: str) -> Path:
    """An image whose step begins with `statement`."""
    shutil.copytree(unit, folder)
    source = folder / "sample.c"
    mark = "    uint32_t status, i;\n"
    source.write_text(source.read_text().replace(mark, f"{mark}    {statement}\n", 1))
    return build(folder, board, "zig", out=folder / "image.elf").path


@pytest.mark.parametrize(
    ("statement", "complaint"),
    [
        ("*(volatile uint32_t *)0x40000000u = 1u;", "writes 0x40000000 outside"),
        ("*(volatile uint32_t *)0x08000000u = 1u;", "writes 0x08000000 which is not writable"),
        ("(void)*(volatile uint32_t *)0x60000000u;", "reads 0x60000000 outside"),
        ("((void (*)(void))0x20000101u)();", "jumps to 0x20000100 which holds no code"),
        ('__asm__ volatile("udf #0");', "stops: Invalid instruction"),
    ],
)
def test_faults_are_told_with_their_place(
    unit: Path, board: Board, tmp_path: Path, statement: str, complaint: str
) -> None:
    emulator = Emulator(broken(unit, board, tmp_path / "unit", statement))
    with pytest.raises(TinyctlError, match=complaint):
        emulator.step(np.zeros(3, F32))


def test_a_runaway_is_stopped(unit: Path, board: Board, tmp_path: Path) -> None:
    path = broken(unit, board, tmp_path / "unit", 'for (;;) { __asm__ volatile(""); }')
    with pytest.raises(TinyctlError, match=r"sample_step.* does not come to an end"):
        Emulator(path, limit_s=0.2).step(np.zeros(3, F32))


def test_subnormals_are_kept(unit: Path, board: Board, tmp_path: Path) -> None:
    """FPSCR after reset: no flush to zero, round to nearest (ARM DDI 0403, A2.5.3)."""
    path = broken(unit, board, tmp_path / "unit", "s->applied[0] = obs[0] * 0.5f; act[0] = s->applied[0]; return 0u;")
    obs = np.array([3e-45, 0, 0], F32)
    assert Emulator(path).step(obs)[0][0] == F32(1.4e-45) != 0
