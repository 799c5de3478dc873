"""Sweeps: what a file may say, that a killed one goes on, and that its front is one."""

from __future__ import annotations

import gc
import json
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import pytest

from tinyctl import cli, search
from tinyctl.errors import FileError, TinyctlError
from tinyctl.files import locked
from tinyctl.search import Side, Trial, coverage, front, run_sweep
from tinyctl.sweep import Figures, Sweep, load_sweep, measure_elsewhere
from tinyctl.workers import Work, working

pytestmark = pytest.mark.xdist_group("sweep")  # one process for all: several compare with the same sweep

TEXT = """plant = "pendulum"
board = "crazyflie21"
budget = 1
tuning_seeds = [0]
test_seeds = [7]
formats = ["f32", "w8a8"]
out = "out"
[settings]
iterations = 2
plants = 8
window = 4
validate_every = 2
validation_episodes = 4
hidden = [[4], [6, 4]]
learning_rate = { low = 1e-3, high = 1e-1, log = true }
"""

NODE = {"num_cpus": 2, "include_dashboard": False, "object_store_memory": 100 << 20}


@pytest.fixture
def sweep(tmp_path: Path, require_package: Callable[[str], ModuleType]) -> Sweep:
    require_package("optuna")
    path = tmp_path / "sweep.toml"
    path.write_text(TEXT)
    return load_sweep(path)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("test_seeds = [7]", "test_seeds = [7, 0]", "seed 0 is a tuning seed and a test seed"),
        ("test_seeds = [7]", "test_seeds = []", "test_seeds"),
        ("budget = 1", "budget = 0", "at least one trial"),
        ("budget = 1", "budget = 1\nbatch = 0", "at least one trial"),
        ("budget = 1", "budget = 1\ncolour = 1", "colour"),
        ('"f32", ', '"f31", ', "f31"),
        ("crazyflie21", "nowhere", "nowhere"),
        ("iterations = 2", "iteration = 2", "no setting 'iteration'"),
        ("iterations = 2", "iterations = [2, 2]", "choice twice"),
        ("iterations = 2", "iterations = { low = 1.5, high = 2 }", "not of type int"),
        ("low = 1e-3", "low = 0", "above zero"),
        ("low = 1e-3", "low = nan", "finite"),
        ("log = true", "step = 1", "low, high and perhaps log"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(tmp_path: Path, old: str, new: str, why: str) -> None:
    path = tmp_path / "sweep.toml"
    path.write_text(TEXT.replace(old, new))
    with pytest.raises(FileError, match=why) as caught:
        load_sweep(path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_the_front_holds_what_nothing_dominates() -> None:
    rows = [(1.0, 100, 50), (1.0, 100, 60), (2.0, 50, 50), (3.0, 200, 90), (0.5, 300, 90)]
    trials = tuple(Trial(n, {}, Figures(*row)) for n, row in enumerate(rows))
    best = front((*trials, Trial(9, {}, "it failed")))
    assert [t.number for t in best] == [2, 0, 4]
    assert coverage(trials[3:4], best) == 0
    assert coverage(trials[:1], (trials[1], trials[4])) == 0.5


def test_a_killed_sweep_goes_on_and_ends_as_an_undisturbed_one(
    sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[int, ...]] = []

    def measured(sweep: Sweep, chosen: dict[str, str], seeds: tuple[int, ...]) -> Figures | str:
        calls.append(seeds)
        if len(calls) == killed:
            raise KeyboardInterrupt
        rate, wide = float(chosen["learning_rate"]), "6" in chosen["hidden"]
        return "diverged" if rate > 0.05 else Figures(rate + sum(seeds), 900 if wide else 500, 80 if wide else 60)

    monkeypatch.setattr(search, "measure", measured)
    sweep = replace(sweep, budget=8)
    killed = 0
    whole = run_sweep(replace(sweep, out=str(tmp_path / "whole")))
    of_whole, calls[:] = len(calls), []
    killed = 5
    with pytest.raises(KeyboardInterrupt):
        run_sweep(sweep)
    killed = 0
    run = run_sweep(sweep)
    assert len(calls) == of_whole + 1  # the one that was killed is done again, nothing else

    assert run == whole
    assert any(t.figures == "diverged" for s in run.values() for t in s.trials)
    assert all(t.test is not None for s in run.values() for t in s.front)
    calls.clear()
    run_sweep(sweep)
    assert calls == []
    assert {k: len(s.trials) for k, s in run_sweep(replace(sweep, budget=9)).items()} == {"tpe": 9, "random": 9}
    assert calls.count((0,)) == 2
    with pytest.raises(TinyctlError, match="another sweep"):
        run_sweep(replace(sweep, tuning_seeds=(1,)))


@pytest.mark.parametrize(("sampler", "budget"), [("tpe", 14), ("nsga", 54)])  # beyond the random draws they begin with
def test_a_draw_does_not_depend_on_which_worker_is_the_fastest(
    sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sampler: Literal["tpe", "nsga"], budget: int
) -> None:
    monkeypatch.setattr(search, "measure", lambda sweep, chosen, seeds: Figures(float(chosen["learning_rate"]), 1, 1))

    @contextmanager
    def backwards(do: Callable[..., Any], workers: int, ray: str | None) -> Iterator[Work]:
        yield lambda jobs: ((key, do(*job)) for key, job in reversed(list(jobs)))

    sweep = replace(sweep, budget=budget, sampler=sampler)
    whole = run_sweep(replace(sweep, out=str(tmp_path / "whole")))
    monkeypatch.setattr(search, "working", backwards)
    assert run_sweep(sweep) == whole


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory, require_package: Callable[[str], ModuleType]) -> Path:
    """A small sweep that `whole` has done."""
    require_package("optuna")
    path = tmp_path_factory.mktemp("whole") / "sweep.toml"
    path.write_text(TEXT)
    return path


@pytest.fixture(scope="module")
def whole(file: Path) -> dict[str, Side]:
    """What one worker makes of it."""
    return run_sweep(load_sweep(file))


def test_two_workers_make_the_same_of_it(sweep: Sweep, whole: dict[str, Side]) -> None:
    assert run_sweep(sweep, workers=2) == whole


def test_a_cluster_makes_the_same_of_it(
    sweep: Sweep, whole: dict[str, Side], require_package: Callable[[str], ModuleType]
) -> None:
    require_package("ray")
    from ray.cluster_utils import Cluster

    with warnings.catch_warnings(action="ignore"):  # Ray leaves sockets and processes to the garbage collector
        cluster = Cluster(initialize_head=True, head_node_args=NODE)
        try:
            assert run_sweep(sweep, ray=cluster.address) == whole
            with working(measure_elsewhere, ray_address="auto") as work, pytest.raises(TinyctlError) as caught:
                list(work([(0, ("other", sweep, {}, (0,)))]))
        finally:
            cluster.shutdown()
            gc.collect()
    assert str(caught.value).startswith("a machine of the cluster has another tinyctl")


@pytest.mark.parametrize(("address", "why"), [("127.0.0.1:1", "refused"), ("nowhere", "cannot be reached")])
def test_a_cluster_that_is_not_there_is_told(
    sweep: Sweep, require_package: Callable[[str], ModuleType], address: str, why: str
) -> None:
    require_package("ray")
    with pytest.raises(TinyctlError, match=why) as caught:
        run_sweep(sweep, ray=address)
    assert "\n" not in str(caught.value)


def test_a_folder_takes_one_sweep_at_a_time(sweep: Sweep) -> None:
    with locked(Path(sweep.out) / search.LOCK, ""), pytest.raises(FileError, match="another sweep works in this"):
        run_sweep(sweep)


def test_the_command_tells_what_was_found(
    file: Path, whole: dict[str, Side], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["tinyctl", "sweep", str(file), "--json"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    record = json.loads(capsys.readouterr().out)
    assert record == json.loads((file.parent / "out" / "sweep.json").read_text())
    assert {name: len(side["trials"]) for name, side in record["sides"].items()} == dict.fromkeys(whole, 1)
    for side in record["sides"].values():
        for trial in side["trials"]:
            assert trial["figures"]["cycles"] > 100
            assert (trial["number"] in side["front"]) == (trial["test"] is not None)
    assert (file.parent / "out" / "front.svg").read_text().startswith("<svg")
