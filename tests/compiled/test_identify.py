"""Identification on simulated flights: what is recovered, how honest the errors are, and what is said of the rest."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tinyctl.cli import app
from tinyctl.crazyflie_log import read_crazyflie_log
from tinyctl.errors import TinyctlError
from tinyctl.flight import GraphController
from tinyctl.graph import Graph
from tinyctl.recording import Episode
from tinyctl.sims.excitation import Excited, channels, read_setpoints, sines, start_of
from tinyctl.sims.experts import expert
from tinyctl.sims.identification import identify
from tinyctl.sims.kernel import compile_plant
from tinyctl.sims.loop import Draws, close_loop
from tinyctl.sims.plant import Plant
from tinyctl.sims.plants import load_plant

LOAD_KG = 0.005
STEPS = 1000


@pytest.fixture(scope="module")
def flown() -> tuple[Plant, dict[str, float], list[Episode]]:
    """Ten seconds bare and ten with a known load, all other parameters up to 20 % off, and what they truly are."""
    plant = load_plant("quadrotor")
    task, rng, true = plant.task("hover"), np.random.default_rng(101), plant.nominal()
    for name in ("mass", "thrust", "yaw_arm", "inertia_x", "inertia_y", "inertia_z", "motor_lag"):
        true[name] *= rng.uniform(0.8, 1.2)
    p = np.tile(np.array([*true.values()], np.float32), (2, 1))
    p[1, 0] += LOAD_KG
    policy = expert("lqr", plant, task).policy()
    numbers = np.stack([rng.uniform(0.3, 0.6, 4), rng.uniform(0.3, 0.9, 4), rng.uniform(0, 1, 4)], axis=1)
    pilot = Excited(GraphController(Graph(policy.contract, policy.nodes)), sines(task, numbers, STEPS) @ channels(task))
    noise = rng.standard_normal((STEPS, 2, 18)).astype(np.float32) * np.array(task.noise, np.float32)
    start = np.tile(start_of(plant, task).astype(np.float32), (2, 1))
    drawn = Draws(start, task.disturb(rng, 2, true), p, noise)
    flights = close_loop(compile_plant(plant, task), drawn, pilot, delay_s=0.004)
    assert flights.survived.all()
    return plant, true, pilot.episodes(flights.lost_s, task.contract.rate_hz)


def test_a_known_load_shows_mass_thrust_lag_and_inertia(
    flown: tuple[Plant, dict[str, float], list[Episode]],
) -> None:
    plant, true, episodes = flown
    found = identify(plant, plant.task("hover"), episodes, added={1: {"mass": LOAD_KG}})
    bars = {"mass": 0.03, "thrust": 0.03, "motor_lag": 0.03, "inertia_x": 0.1, "inertia_y": 0.1, "inertia_z": 0.1}
    assert not found.together
    for q in found.parameters:
        if q.name in bars:
            assert q.error is not None
            assert abs(q.value / true[q.name] - 1) < bars[q.name], q
            assert abs(q.value - true[q.name]) < 5 * q.error, q
    assert abs(found.delay.value - 0.004) < 1e-4


def test_without_a_scale_only_ratios_are_seen_and_that_is_said(
    flown: tuple[Plant, dict[str, float], list[Episode]],
) -> None:
    plant, true, episodes = flown
    found = identify(plant, plant.task("hover"), episodes[:1])
    values = found.values()
    assert {"mass", "thrust", "inertia_x"} <= set(found.together[0])
    assert values["mass"] == plant.nominal()["mass"]
    assert values["thrust"] / values["mass"] == pytest.approx(true["thrust"] / true["mass"], rel=0.01)
    assert "mass was held" in found.warnings()[0]


def test_excitation_is_written_flown_logged_and_identified(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for line in (
        "excite --known mass --seconds 3 --save lqr.tctl --out setpoints.csv --json",
        "fly lqr.tctl --setpoints setpoints.csv --episodes 2 --delay-us 1000 --log flight.csv --json",
        "identify flight.csv --fix mass=0.027 --json",
    ):
        app(line.split(), standalone_mode=False)
    planned, _, found = (json.loads(text) for text in capsys.readouterr().out.splitlines())
    assert planned["margin"] >= 0.1
    values = {q["name"]: q["value"] / q["nominal"] for q in found["parameters"] if q["nominal"]}
    assert values["thrust"] == pytest.approx(1, abs=0.01)
    assert values["motor_lag"] == pytest.approx(1, abs=0.02)
    task = load_plant("quadrotor").task("hover")
    (tmp_path / "bad.csv").write_text("x,y\n1,2\n")
    with pytest.raises(TinyctlError, match="set-points"):
        read_setpoints(tmp_path / "bad.csv", task)


def test_a_crazyflie_log_is_read_in_our_units(tmp_path: Path) -> None:
    contract, path = load_plant("quadrotor").task("hover").contract, tmp_path / "log.csv"
    names = [f"stateEstimate.{n}" for n in ("x", "y", "z", "vx", "vy", "vz", "qw", "qx", "qy", "qz")]
    names += [f"gyro.{a}" for a in "xyz"] + [f"motor.m{i}" for i in range(1, 5)]
    row = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 1, 0, 0, 0, 180, 0, 90, 0, 65535, 30000, 0]
    lines = [",".join(map(str, [t, *row])) for t in (100, 110, 120, 500, 510)]
    path.write_text("\n".join([",".join(["Timestamp", *names]), *lines]) + "\n")
    first, second = read_crazyflie_log(path, contract)
    assert (len(first.obs), len(second.obs)) == (3, 2)
    expected = [0.1, 0.2, 0.3, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0.4, 0.5, 0.6, np.pi, 0, np.pi / 2]
    np.testing.assert_allclose(first.obs[0], expected, rtol=1e-6)
    assert first.act[0, 0] == -1
    assert ((first.act[0, 1] + 1) / 2) ** 2 * 3.16e-10 * 21702.0**2 == pytest.approx(0.12, rel=1e-5)
    path.write_text(path.read_text().replace("gyro.x", "gyro.q"))
    with pytest.raises(TinyctlError, match=r"no column gyro\.x"):
        read_crazyflie_log(path, contract)
