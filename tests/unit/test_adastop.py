"""Sequential tests: AdaStop's decisions, the error it promises, and a test that goes on as its folders grow."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from tinyctl.adastop import Plan, decide
from tinyctl.cli import app
from tinyctl.errors import TinyctlError

WORDS = {1: "larger", -1: "smaller", 0: "equal"}


def _oracle(require_package: Callable[[str], ModuleType], plan: Plan) -> Any:
    """AdaStop's package with every exchange enumerated. It takes quantiles of the signed difference, which doubles the
    error it is asked for; it is given the absolute one, as the paper has it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        comparator = require_package("adastop").MultipleAgentsComparator

    class Absolute(comparator):  # type: ignore[misc, valid-type]
        def compute_mean_diffs(self, k: int, Z: Any) -> Any:  # noqa: N803
            return {pair: list(np.abs(d)) for pair, d in super().compute_mean_diffs(k, Z).items()}

    return Absolute(n=plan.runs, K=plan.rounds, B=plan.permutations, alpha=plan.level)


@pytest.mark.parametrize(("runs", "agents"), [(4, 2), (2, 3), (4, 3)])
def test_decisions_equal_adastops(runs: int, agents: int, require_package: Callable[[str], ModuleType]) -> None:
    plan, rng, met = Plan(runs, 2, 0.2), np.random.default_rng(runs), set()
    for repeat in range(6):
        # Multiples of 1/16, so that both sum without rounding: the package has no tolerance for ties.
        scores = [np.round(16 * (rng.normal(size=2 * runs) + k * (repeat % 4))) / 16 for k in range(agents)]
        oracle = _oracle(require_package, plan)
        for k in range(plan.rounds):
            so_far = [s[: (k + 1) * runs] for s in scores]
            oracle.partial_compare({str(i): s for i, s in enumerate(so_far)}, verbose=False)
            state = decide(so_far, plan)
            found = {
                str(np.array(p)): WORDS[state.signs[p]] if p in state.signs else "continue" for p in state.statistics
            }
            assert found == oracle.decisions
            assert state.bounds[-1] == pytest.approx(oracle.boundary[-1][1], abs=1e-9)
            met |= {(k, word) for word in found.values()}
            if oracle.is_finished:
                break
    assert {(1, "equal"), (1, "smaller")} <= met


def test_statistics_by_hand() -> None:
    """(k + 1) |mean a - mean b|, over all runs so far."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 15))
    for rounds in (1, 2, 3):
        state = decide([a[: 5 * rounds], b[: 5 * rounds]], Plan(5, 5, 0.01, 500))
        assert state.rounds == rounds
        assert state.statistics[0, 1] == pytest.approx(rounds * abs(a[: 5 * rounds].mean() - b[: 5 * rounds].mean()))


def test_equal_controllers_are_seldom_told_apart() -> None:
    """200 repeats: with a true error of 0.05, 20 wrong ones or more happen once in 500 times."""
    rng = np.random.default_rng(0)
    tests = (decide([*rng.normal(size=(3, 15))], Plan(5, 3, 0.05, 400, seed)) for seed in range(200))
    assert sum(any(state.signs.values()) for state in tests) < 20


def test_clear_answers_come_early() -> None:
    rng = np.random.default_rng(0)
    scores = [rng.normal(m, 1.0, 25) for m in (0.0, 0.1, 6.0)]
    first = decide([s[:5] for s in scores], Plan())
    assert first.signs == {(0, 2): -1, (1, 2): -1}
    assert first.open() == [(0, 1)]
    assert decide([*scores[:2], scores[2][:5]], Plan()).signs[0, 1] == 0  # the third needs no more runs


def _fly(folder: Path, errors: list[float]) -> None:
    folder.mkdir(exist_ok=True)
    first = len([*folder.iterdir()])
    for k, error in enumerate(errors, first):
        report = {
            "plant": "toy", "task": "balance", "graph_hash": folder.name, "seed": k, "survived": 1.0,
            "scores": {"error": {"value": error, "unit": "m", "ci95": None}},
        }  # fmt: skip
        (folder / f"{k}.json").write_text(json.dumps(report))


def test_a_test_goes_on_as_its_folders_grow(tmp_path: Path) -> None:
    good, bad, kept = tmp_path / "good", tmp_path / "bad", tmp_path / "test.json"
    words = ["compare", str(bad), str(good), "--figure", "error", "--sequential", str(kept)]
    _fly(good, [0.30, 0.25, 0.20])
    _fly(bad, [0.31, 0.24, 0.22, 0.28, 0.27])
    done = CliRunner().invoke(app, [*words, "--json"])
    assert (done.exit_code, json.loads(done.stdout)["run"]) == (1, {"bad": 0, "good": 2})
    _fly(good, [0.26, 0.24])
    done = CliRunner().invoke(app, [*words, "--json"])
    assert (done.exit_code, json.loads(done.stdout)["run"]) == (1, {"bad": 5, "good": 5})
    _fly(good, [0.01, 0.02, 0.01, 0.02, 0.01] * 2)
    _fly(bad, [0.61, 0.44, 0.52, 0.58, 0.47] * 2)
    (good / "0.json").rename(good / "z.json")  # the order of coming counts, not that of the names
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0
    assert "good" in done.stdout.split("is better than")[0]
    assert "stop" in done.stdout
    done = CliRunner().invoke(app, [*words, "--level", "0.1"])
    assert isinstance(done.exception, TinyctlError)
    assert "another plan" in str(done.exception)
    kept.write_text('{"kind": "sequential", "schema": 1, "runs": {"a": [["x"]]}}')
    assert "lists of hashes and numbers" in str(CliRunner().invoke(app, words).exception)
