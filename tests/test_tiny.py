"""The whole pipeline on a network of 3 inputs, 4 hidden units and 1 output: the API on one screen.

    policy ──save, load──▶ quantize ──▶ Graph ──emit──▶ C ──build──▶ image ──check──▶ report
                                          └────────── fly: graph, C, emulator ─────────┘

Each test takes what the stage before it made. The plant is a pendulum in a file of its own, `toy_plant.py`.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import tinyctl
from tinyctl.hostlib import HostController
from tinyctl.layers.clip import Clip
from tinyctl.layers.dense import Dense
from tinyctl.layers.scale import Scale
from tinyctl.layers.screen import Screen
from tinyctl.layers.tanh import Tanh
from tinyctl.network import chain

pytestmark = pytest.mark.xdist_group("tiny")  # the stages share their files
PLANT = Path(__file__).with_name("toy_plant.py")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tiny")


def test_1_policy(folder: Path) -> None:
    """A contract says what the numbers mean; nodes say what is computed. This one was tuned by hand: u = -3 a - s."""
    contract = tinyctl.plant(PLANT).task().contract
    weight = np.array([[-1.5, -0.5, -0.2], [-0.75, -0.25, 0.0], [0.3, 0.1, 0.1], [-0.3, -0.1, -0.1]], np.float32)
    policy = tinyctl.Policy(
        contract,
        chain(
            [
                ("screen", Screen.of(contract)),
                ("scale", Scale(np.array([2.0, 1.0, 1.0], np.float32), np.zeros(3, np.float32))),
                ("hidden", Dense(weight, np.zeros(4, np.float32))),
                ("tanh", Tanh(4)),
                ("out", Dense(np.array([[0.9, 0.5, -0.1, 0.1]], np.float32), np.zeros(1, np.float32))),
                ("clip", Clip.of(contract)),
            ]
        ),
    )
    tinyctl.save(policy, folder / "policy.tctl")
    assert tinyctl.load(folder / "policy.tctl").hash == policy.hash


def test_2_quantize(folder: Path) -> None:
    policy = tinyctl.load(folder / "policy.tctl")
    graph, report = tinyctl.quantize(policy, "w16a16", plant_name=PLANT)  # calibrates in closed loop
    tinyctl.save(graph, folder / "graph.tctl")
    assert report.output_rms_error < 1e-3
    assert report.closed_loop_cost_ratio == pytest.approx(1, abs=0.01)
    assert report.weight_bytes == 2 * 16 + 4 * 5


def test_3_run(folder: Path) -> None:
    """`Graph.run` is the meaning of everything that follows. The state holds the action last applied."""
    graph = tinyctl.load(folder / "graph.tctl")
    state = graph.init(2)
    act, state = graph.run(np.array([[0.5, 0.0], [np.nan, 0.0]], np.float32), state)
    assert act[0, 0] == pytest.approx(-1, abs=0.25)
    assert state.status.tolist() == [0, 1]  # the second row was screened
    assert (state.applied == act).all()


def test_4_emit_and_run_on_the_host(folder: Path) -> None:
    graph = tinyctl.load(folder / "graph.tctl")
    unit = tinyctl.emit(graph, folder / "c", "tiny")
    assert (folder / "c" / "tiny.c").read_text().startswith("/* tiny: see tiny.h.")
    controller = HostController(folder / "c")
    assert controller.selftest() == 0
    obs = np.array([[0.5, 0.0]], np.float32)
    controller.reset(1)
    assert controller.step(obs).tobytes() == graph.run(obs, graph.init(1))[0].tobytes()
    assert unit.graph_hash == graph.hash


def test_5_build_and_run_the_arm_code(folder: Path) -> None:
    from tinyctl.sims.mcu.emulator import Emulator

    graph = tinyctl.load(folder / "graph.tctl")
    image = tinyctl.build(folder / "c", "crazyflie21", toolchain="zig", out=folder / "image.elf")
    assert image.graph_hash == graph.hash
    emulator = Emulator(folder / "image.elf")
    assert emulator.selftest() == 0
    act, status = emulator.step(np.array([0.5, 0.0], np.float32))
    assert act.tobytes() == graph.run(np.array([[0.5, 0.0]], np.float32), graph.init(1))[0].tobytes()
    assert status == 0


def test_6_check(folder: Path) -> None:
    report = tinyctl.check(folder / "image.elf", "crazyflie21")
    assert report.verdict == "pass"
    assert report.single_path
    assert 100 < report.cycles_typical <= report.cycles_worst < 5000
    (folder / "check.json").write_text(json.dumps(report.to_json()))


def test_7_fly(folder: Path) -> None:
    """The same episodes with the same delay on all three, and so the same flights."""
    delay_s = json.loads((folder / "check.json").read_text())["time_us_worst"] * 1e-6
    flights = [
        tinyctl.fly(source, PLANT, on=on, episodes=3, seed=1, delay_s=delay_s)
        for source, on in ((folder / "graph.tctl", "graph"), (folder / "c", "c"), (folder / "image.elf", "emulator"))
    ]
    assert [f.on for f in flights] == ["graph", "c", "emulator"]
    for flight in flights:
        assert flight.survived == 1
        assert flight.scores["angle_error"].value < 0.1
        assert flight.trajectories == flights[0].trajectories


def test_8_show(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from tinyctl.cli.show import command as show

    for name in ("policy.tctl", "graph.tctl", "c", "image.elf"):
        show(folder / name)
        assert tinyctl.load(folder / "graph.tctl").contract.hash[:16] in capsys.readouterr().out
