"""Flights held against specifications: what is watched is what flew, and a lost flight keeps to nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from tinyctl.cli import app
from tinyctl.errors import FileError, TinyctlError
from tinyctl.sims.loop import fly
from tinyctl.sims.plant import Array, Plant
from tinyctl.sims.plants import load_plant
from tinyctl.specifications.flights import Watch, load_specifications, specification

TEXTS = (
    "always[0.5, end] abs(state.angle) < 0.4",
    "eventually[0, 1] angle_error < 0.1 and always abs(act.torque) <= 1",
    "abs(obs.speed) < 10 until[0, 2] abs(angle) < 0.2",
)


class Spring:
    """Pushes back, too weakly for some starts."""

    def reset(self, n: int) -> None:
        pass

    def step(self, observations: Array) -> Array:
        return np.clip(-0.25 * observations[:, :1], -1, 1)


@pytest.fixture(scope="module")
def toy() -> Plant:
    return load_plant(str(Path(__file__).parents[1] / "toy_plant.py"))


def test_robustness_is_that_of_the_trajectories(toy: Plant) -> None:
    watch = Watch(toy, toy.task(), [specification(text) for text in TEXTS])
    flights = fly(toy, toy.task(), Spring(), episodes=60, keep=60, batch=25, watch=watch)
    alive, (near, close, until) = flights.survived, watch.kept()
    assert 0 < alive.sum() < 60
    angle, torque = np.abs(flights.states[:, :, 0]), np.abs(flights.actions[:, :, 0]).max(0)
    np.testing.assert_array_equal(near.robustness[alive], (np.float32(0.4) - angle[25:]).min(0)[alive])
    expected = np.minimum((np.float32(0.1) - angle[:51]).max(0), 1 - torque)
    np.testing.assert_array_equal(close.robustness[alive], expected[alive])
    for kept in (near, close, until):
        assert not kept.holds[~alive].any()
        assert (kept.robustness[~alive] <= 0).all()
        assert (kept.holds == (kept.robustness > 0)).mean() > 0.9  # they part at exactly zero only
    assert until.holds[alive].any()


def test_the_command_tells_who_kept_to_what(toy: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    specs = tmp_path / "specs.toml"
    specs.write_text('[specs]\nlevel = "always[end_of_swing] x < 1"')
    with pytest.raises(FileError, match=r"specs.level: specification, line 1, column 8"):
        load_specifications(specs)
    specs.write_text('[signals]\nerror = "abs(angle)"\n[specs]\nlevel = "eventually error < 0.1"')
    words = ["fly", "--expert", "lqr", "--plant", "pendulum", "--episodes", "4", "--specs", str(specs), "--json"]
    run = CliRunner().invoke(app, [*words, "--spec", "always abs(angle) < 0", "--satisfied", "0.5"])
    assert run.exit_code == 1
    first, second = told(run.stdout)
    assert (first["name"], first["satisfied"], first["worst_episode"]) == (
        "always abs(angle) < 0", 0.0, int(np.argmin(first["robustness"])),
    )  # fmt: skip
    assert (second["name"], second["formula"], len(second["robustness"])) == ("level", "eventually error < 0.1", 4)


def told(text: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(text)["specifications"]
    return found


def test_signals_that_are_not_there_are_told(toy: Plant) -> None:
    with pytest.raises(TinyctlError, match=r"no signal is called 'height'; one of .*angle_error.*torque"):
        Watch(toy, toy.task(), [specification("height > 0")])
    with pytest.raises(TinyctlError, match="begins 3 s after take-off, the flight lasts 2 s"):
        Watch(toy, toy.task(), [specification("always[3, 4] angle > 0")])
