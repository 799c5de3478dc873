"""Comparisons: rliable's definitions, intervals that cover, rankings refused from too few runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from typer.testing import CliRunner

from tinyctl.cli import app
from tinyctl.comparison import Runs, compare, read_runs
from tinyctl.errors import TinyctlError
from tinyctl.statistics import bootstrap, iqm, optimality_gap, performance_profile, probability_of_improvement

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(11, 3)), RNG.normal(0.3, 1.0, size=(9, 3))
Y[0] = X[0]  # ties


def test_figures_equal_rliables(require_package: Callable[[str], ModuleType]) -> None:
    metrics = require_package("rliable.metrics")
    assert abs(iqm(X) - metrics.aggregate_iqm(X)) < 1e-9
    assert abs(optimality_gap(X, 0.4) - metrics.aggregate_optimality_gap(X, 0.4)) < 1e-9
    for x, y in ((X, Y), (Y, X), (X, X)):
        assert abs(probability_of_improvement(x, y) - metrics.probability_of_improvement(x, y)) < 1e-9
    thresholds = np.linspace(-2, 2, 7)
    above = require_package("rliable.library").run_score_deviation
    assert np.abs(performance_profile(X, thresholds) - [above(X, t) for t in thresholds]).max() < 1e-9


def test_figures_by_hand() -> None:
    assert iqm(np.array([[0.0], [1.0], [2.0], [100.0]])) == 1.5
    assert probability_of_improvement(np.array([[1.0], [2.0]]), np.array([[1.0], [0.0]])) == 0.875
    assert probability_of_improvement(X, X) == pytest.approx(0.5)
    assert performance_profile(np.array([[0.0], [1.0]]), np.array([-1.0, 0.0, 2.0])).tolist() == [1.0, 0.5, 0.0]
    assert optimality_gap(np.array([[0.5], [3.0]]), 1.0) == 0.25


def test_intervals_cover() -> None:
    """A fifth of the repeats of `make bench-evidence`, so within a wider band."""
    hits = 0
    for repeat in range(200):
        scores = np.random.default_rng([30, repeat]).normal(size=(30, 1))
        interval = bootstrap(iqm, scores, seed=repeat, resamples=300)
        hits += interval.low <= 0.0 <= interval.high
    assert 0.90 <= hits / 200 <= 0.985
    assert not interval.narrow
    assert bootstrap(iqm, scores[:5], resamples=10).narrow


def _folder(root: Path, name: str, errors: list[float], survived: float = 1.0) -> Path:
    folder = root / name
    folder.mkdir()
    for k, error in enumerate(errors):
        report = {
            "plant": "toy", "task": "balance", "graph_hash": name, "survived": survived,
            "scores": {"error": {"value": error, "unit": "m", "ci95": None}},
        }  # fmt: skip
        (folder / f"{k}.json").write_text(json.dumps(report))
    return folder


def test_the_better_one_is_found(tmp_path: Path) -> None:
    good = _folder(tmp_path, "good", [0.1, 0.11, 0.09, 0.1, 0.12, 0.1])
    bad = _folder(tmp_path, "bad", [0.3, 0.2, 0.25, 0.28, 0.31, 0.22])
    found = compare([read_runs(p, "error") for p in (bad, good)], "error", larger_is_better=False)
    assert found.clear == "good"
    assert (found.pairs[0].better, found.pairs[0].probability.value) == ("good", 1.0)
    assert found.profiles["good"][-1] >= found.profiles["bad"][-1]
    done = CliRunner().invoke(app, ["compare", str(bad), str(good), "--figure", "error", "--json"])
    assert json.loads(done.stdout)["clear"] == "good"
    done = CliRunner().invoke(app, ["compare", str(bad), str(good), "--figure", "error"])
    assert "clearly the best: good" in done.stdout


def test_mistakes(tmp_path: Path) -> None:
    few, enough = _folder(tmp_path, "few", [0.1] * 4), _folder(tmp_path, "enough", [0.1] * 5)
    with pytest.raises(TinyctlError, match="few: 4 runs cannot be ranked"):
        compare([read_runs(p, "error") for p in (few, enough)], "error", larger_is_better=False)
    with pytest.raises(TinyctlError, match="no score 'speed'"):
        read_runs(few, "speed")
    (tmp_path / "empty").mkdir()
    with pytest.raises(TinyctlError, match="no flight reports inside"):
        read_runs(tmp_path / "empty", "error")
    (tmp_path / "other.json").write_text("[]")
    with pytest.raises(TinyctlError, match="is no flight report"):
        read_runs(tmp_path / "other.json", "error")
    other = Runs("other", ("toy/swing",), np.zeros((5, 1)))
    with pytest.raises(TinyctlError, match="flew different tasks"):
        compare([read_runs(enough, "error"), other], "error", larger_is_better=False)
