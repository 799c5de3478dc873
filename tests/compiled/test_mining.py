"""Failures are found, told from what nobody could have saved, and fed back to training; a guard is made of flights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fuzz_guard import FAULTS, fuzz
from guards import make_guarded

import tinyctl
from tinyctl.errors import FileError, TinyctlError
from tinyctl.flight import GraphController
from tinyctl.graph import Graph
from tinyctl.safety import fallback
from tinyctl.safety.feasible import feasible
from tinyctl.safety.making import conformal, predictions, unlimited
from tinyctl.safety.mining import crash_kernel, heavier, starts
from tinyctl.safety.monitor import leaky
from tinyctl.sims.experts.lqr import make
from tinyctl.sims.kernel import Kernel, compile_plant
from tinyctl.sims.loop import Draws
from tinyctl.sims.starts import Starts, read_starts, write_starts
from tinyctl.trainers import configured

F32 = np.float32


@pytest.fixture(scope="module")
def kernel() -> Kernel:
    plant = tinyctl.plant("quadrotor")
    return crash_kernel(plant, plant.task("hover"))


@pytest.fixture(scope="module")
def regulator() -> Graph:
    return make_guarded().policy


def test_starts_are_those_of_the_task_spread_evenly(kernel: Kernel) -> None:
    drawn = starts(kernel, 256, seed=1)
    assert np.abs(drawn.x[:, 0:3]).max() <= 0.2
    quarters = np.histogram(drawn.x[drawn.x[:, 0] != 0, 0], bins=4, range=(-0.2, 0.2))[0]
    assert quarters.max() - quarters.min() <= 12  # at random about 60 a quarter, give or take 8
    np.testing.assert_array_equal(starts(kernel, 256, seed=1).x, drawn.x)
    wide = starts(kernel, 256, seed=1, scale=1.5)
    np.testing.assert_allclose(wide.x[:, 7:10], 1.5 * drawn.x[:, 7:10], rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(wide.x[:, 3:7], axis=1), 1, rtol=1e-5)
    heavy = starts(kernel, 16, seed=1, parameters=heavier(kernel.plant))
    mass = heavy.p[:, [q.name for q in kernel.plant.parameters].index("mass")]
    assert 0.027 <= mass.min() < mass.max() <= 0.034


def test_what_can_be_saved_and_what_not(kernel: Kernel, regulator: Graph) -> None:
    """A controller saves the first, the search alone the second, nobody the third."""
    x = np.tile(np.array([0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, *[14474.0] * 4], F32), (3, 1))
    x[1, 3:7] = np.cos(0.8), np.sin(0.8), 0, 0  # leans by 92 degrees, which turns this regulator over
    x[2, 2], x[2, 9] = -0.9, -4.0
    p, noise = np.array([*kernel.plant.nominal().values()], F32), np.zeros((500, 3, 18), F32)
    drawn = Draws(x, np.zeros((3, 6), F32), p, noise)
    shown = feasible(kernel, drawn, [GraphController(regulator)])
    np.testing.assert_array_equal(shown, [True, True, False])


def test_the_file_of_starts(kernel: Kernel, tmp_path: Path) -> None:
    path = tmp_path / "failures.npz"
    kept = Starts(np.ones((2, 17), F32), np.zeros((2, 6), F32), np.ones((2, 12), F32))
    write_starts(path, kept)
    np.testing.assert_array_equal(read_starts(path, kernel).x, kept.x)
    for broken in (replace(kept, x=np.ones((2, 16), F32)), replace(kept, d=np.full((2, 6), np.nan, F32))):
        write_starts(path, broken)
        with pytest.raises(FileError, match="finite float32"):
            read_starts(path, kernel)
    path.write_bytes(b"PK")
    with pytest.raises(FileError, match="not a file of starts"):
        read_starts(path, kernel)


def test_mined_starts_are_trained_on(regulator: Graph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A quarter of the flights begins with them."""
    from tinyctl.trainers import window

    found = tinyctl.mine(regulator, "quadrotor", flights=200, out=tmp_path / "failures.npz")
    assert 0 < len(found.x) < 200
    with pytest.raises(TinyctlError, match="none of 8 flights failed"):
        tinyctl.mine(regulator, "quadrotor", flights=8, scale=0.1)
    taken: list[int] = []
    restart = window.Window.restart

    def counted(self: window.Window) -> None:
        restart(self)
        known = {row.tobytes() for row in found.x}
        taken.append(sum(np.ascontiguousarray(column).tobytes() in known for column in self.x[0].T))

    monkeypatch.setattr(window.Window, "restart", counted)
    short = {"iterations": "2", "validate_every": "2", "validation_episodes": "8"}
    config = configured("apg", {**short, "retrain": str(tmp_path / "failures.npz")})
    tinyctl.train("quadrotor", config=config)
    assert 15 <= taken[0] <= 50  # of 128


def test_a_guard_from_flights(regulator: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small one, of short flights. What a real one is worth, `make bench-guard` tells."""
    monkeypatch.setattr(fallback, "SHARES", (1.0,))
    monkeypatch.setattr(fallback, "RANGES", (0.35,))
    plant = tinyctl.plant("quadrotor")
    short = replace(plant, tasks={"hover": replace(plant.task("hover"), episode_steps=120, scores=())})
    guarded, report = tinyctl.guard(regulator, short, settings={"flights": "64"})
    assert report.crashed_with.keys() == {"inside", "outside"}
    assert report.limits.keys() == {"p_x", "r_xx", "v_x", "w_x"}
    assert report.graph_hash == guarded.hash != regulator.hash
    assert guarded.policy.hash == regulator.hash
    with pytest.raises(TinyctlError, match="has a guard already"):
        tinyctl.guard(guarded, short)


def test_the_quantile_is_the_conformal_one() -> None:
    values = np.arange(1.0, 100.0)
    assert conformal(values, 0.1) == 90  # 10 of 100 places for a further value are above it
    assert conformal(values, 0.001) > 99
    means = leaky(np.ones((3, 1, 1)), np.zeros((1, 1)), 0.5)
    np.testing.assert_allclose(means[:, 0, 0], [0.5, 0.75, 0.875])


@pytest.mark.parametrize("seed", [1, 2])
def test_fuzzed(seed: int, tmp_path: Path) -> None:
    """Undefined behaviour traps, actions stay in their box, every fault leaves its reason. `make bench-guard` tries a
    million."""
    tried = fuzz(make_guarded(), tmp_path, 10_000, seed, "zig")
    assert tried.keys() == set(FAULTS)
    assert min(tried.values()) > 1000


def test_another_plant() -> None:
    """One that says nothing of itself: the guard expects what it saw last, a crash is the loss of the episode."""
    plant = tinyctl.plant("cartpole")
    task = plant.task()
    assert task.predict is None
    policy = make(plant, task).policy()
    groups = unlimited(policy.contract, task)
    rows = np.random.default_rng(0).normal(size=(5, task.contract.n_obs + task.contract.n_act)).astype(F32)
    for g, program in zip(groups, predictions(task), strict=True):
        np.testing.assert_array_equal(program.run(rows, rows), rows[:, g.columns])
    state = np.zeros((1, len(plant.states)), F32)
    assert crash_kernel(plant, task).margin(state) == compile_plant(plant, task).margin(state)
