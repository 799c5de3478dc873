"""Sweeps: what a file may say, that a killed one goes on, and that its front is one."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tinyctl import cli, search
from tinyctl.errors import FileError, TinyctlError
from tinyctl.search import Trial, coverage, front, run_sweep
from tinyctl.sweep import Figures, Sweep, load_sweep

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

    def told(sides: dict[str, Any]) -> Any:
        return {k: ([replace(t, number=0) for t in s.trials], s.covered) for k, s in sides.items()}

    assert told(run) == told(whole)
    assert any(t.figures == "diverged" for s in run.values() for t in s.trials)
    assert all(t.test is not None for s in run.values() for t in s.front)
    calls.clear()
    run_sweep(sweep)
    assert calls == []
    assert {k: len(s.trials) for k, s in run_sweep(replace(sweep, budget=9)).items()} == {"tpe": 9, "random": 9}
    assert calls.count((0,)) == 2
    with pytest.raises(TinyctlError, match="another sweep"):
        run_sweep(replace(sweep, tuning_seeds=(1,)))


def test_sweep_trains_flies_and_tells(
    sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["tinyctl", "sweep", str(tmp_path / "sweep.toml"), "--json"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    record = json.loads(capsys.readouterr().out)
    assert record == json.loads((tmp_path / "out" / "sweep.json").read_text())
    assert set(record["sides"]) == {"tpe", "random"}
    for side in record["sides"].values():
        assert len(side["trials"]) == 1
        for trial in side["trials"]:
            assert trial["figures"]["cycles"] > 100
            assert (trial["number"] in side["front"]) == (trial["test"] is not None)
    assert (tmp_path / "out" / "front.svg").read_text().startswith("<svg")
