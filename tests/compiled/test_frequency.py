"""The frequency-averaged score: its definition on numbers made by hand, and what the command says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import sequence_policy
from typer.testing import CliRunner

from tinyctl import api
from tinyctl.cli import app
from tinyctl.errors import TinyctlError
from tinyctl.flight import GraphController
from tinyctl.frequency import INTERVALS, best_of, flight_returns, frequency_averaged_score
from tinyctl.graph import Graph
from tinyctl.sequences import Player, Rates
from tinyctl.sims.environments import environment, fly
from tinyctl.sims.loop import Flights
from tinyctl.sims.plants import load_plant

PENDULUM = load_plant("pendulum")


def test_the_score_is_the_definitions() -> None:
    assert len(INTERVALS) == 16
    assert (INTERVALS[:3], INTERVALS[-1]) == ((1, 2, 4), 30)
    assert frequency_averaged_score([2.0] * 16, 2.0) == pytest.approx(29 / 30)  # perfect at every interval
    falling = [30.0 - s for s in INTERVALS]  # a straight line: its integral from 1 to 30 is 29 * 29 / 2
    assert frequency_averaged_score(falling, 10.0) == pytest.approx(29 * 29 / 2 / 300)
    assert frequency_averaged_score([1.0] + [0.0] * 15, 1.0) == pytest.approx(0.5 / 30)
    assert frequency_averaged_score([0.0] * 15 + [1.0], 1.0) == pytest.approx(1 / 30)
    assert best_of("gym:Pendulum-v1") == best_of("Pendulum-v1") == (1350.0, 1550.0)
    with pytest.raises(TinyctlError, match="CartPole-v1: the best return is known of Pendulum"):
        best_of("CartPole-v1")


def test_a_plants_return_is_one_at_best() -> None:
    task = PENDULUM.task()
    lost_s = np.array([np.nan, task.episode_steps * task.period_s / 4])
    flights = Flights(np.array([True, False]), lost_s, np.array([0.0, 1.0]), {}, *(np.zeros(0),) * 3)
    assert flight_returns(flights, task).tolist() == [1.0, 0.125]


def test_the_command_prints_the_repeated_action_beside_the_sequence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    toy = Path(__file__).parents[1] / "toy_plant.py"
    policy = sequence_policy.for_contract(load_plant(str(toy)).task().contract)
    api.save(policy, tmp_path / "p.tctl")
    words = ["fly", "p.tctl", "--plant", str(toy), "--fas", "--episodes", "3", "--delay-us", "100"]
    run = CliRunner().invoke(app, [*words, "--plot", "f.svg", "--beside", "p.tctl", "--json"])
    record = json.loads(run.stdout)
    names = ["sequence", "action repeat", "beside, sequence", "beside, action repeat"]
    assert [row["name"] for row in record["rows"]] == names
    own, repeated, *beside = record["rows"]
    assert [own, repeated] == [{**row, "name": row["name"].removeprefix("beside, ")} for row in beside]
    assert (record["intervals"], len(own["returns"]), own["returns"][0]) == ([*INTERVALS], 16, repeated["returns"][0])
    assert own["returns"][2:] != repeated["returns"][2:]
    assert own["score"] == pytest.approx(frequency_averaged_score(own["returns"], 1.0))
    assert (tmp_path / "f.svg").read_text().startswith("<svg")
    assert "frequency-averaged score" in CliRunner().invoke(app, words).stdout
    assert CliRunner().invoke(app, ["fly", "p.tctl", "--plot", "f.svg"]).exit_code != 0


def test_an_environment_is_scored_as_published() -> None:
    place = environment("Pendulum-v1")
    policy = sequence_policy.for_contract(place.contract, Rates())
    found = api.frequency(policy, env="Pendulum-v1", episodes=1)
    graph = Graph(policy.contract, policy.nodes)
    held = fly(place, Player(GraphController(graph), graph.contract, every=30), episodes=1)
    assert found.rows[0].returns[-1] == float(held.returns[0]) + 1550
    assert (found.best, [row.name for row in found.rows]) == (1350.0, ["action repeat"])
