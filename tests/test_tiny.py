"""The whole pipeline on a network of 3 inputs, 4 hidden units and 1 output: the API on one screen.

    policy ──save, load──▶ quantize ──▶ Graph ──emit──▶ C ──build──▶ image ──check──▶ report
                                          └────────── fly: graph, C, emulator ─────────┘

Each stage is a fixture that the next one takes. The plant is a pendulum in a file of its own, `toy_plant.py`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import tinyctl
from tinyctl.checker import TimingReport
from tinyctl.cli.show import command as show
from tinyctl.hostlib import HostController
from tinyctl.layers.clip import Clip
from tinyctl.layers.dense import Dense
from tinyctl.layers.scale import Scale
from tinyctl.layers.screen import Screen
from tinyctl.layers.tanh import Tanh
from tinyctl.network import chain
from tinyctl.sims.mcu.emulator import Emulator

PLANT = Path(__file__).with_name("toy_plant.py")
OBS = np.array([[0.5, 0.0]], np.float32)  # the pendulum leans to one side


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tiny")


@pytest.fixture(scope="module")
def policy(folder: Path) -> Path:
    """The contract says what the numbers mean, the nodes what is computed. Tuned by hand: u = -3 a - s."""
    contract = tinyctl.plant(PLANT).task().contract
    weight = np.array([[-1.5, -0.5, -0.2], [-0.75, -0.25, 0.0], [0.3, 0.1, 0.1], [-0.3, -0.1, -0.1]], np.float32)
    made = tinyctl.Policy(
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
    tinyctl.save(made, folder / "policy.tctl")
    return folder / "policy.tctl"


@pytest.fixture(scope="module")
def graph(policy: Path, folder: Path) -> tinyctl.Graph:
    """16-bit integers, calibrated in closed loop with the plant."""
    made, report = tinyctl.quantize(tinyctl.load(policy), "w16a16", plant_name=PLANT)
    assert report.output_rms_error < 1e-3
    assert report.closed_loop_cost_ratio == pytest.approx(1, abs=0.01)
    tinyctl.save(made, folder / "graph.tctl")
    return made


@pytest.fixture(scope="module")
def unit(graph: tinyctl.Graph, folder: Path) -> Path:
    """One .c and one .h, and a self-test."""
    tinyctl.emit(graph, folder / "c", "tiny")
    return folder / "c"


@pytest.fixture(scope="module")
def image(unit: Path, folder: Path) -> Path:
    """Firmware for the Crazyflie, by the compiler that came with the package."""
    return tinyctl.build(unit, "crazyflie21", toolchain="zig", out=folder / "image.elf").path


@pytest.fixture(scope="module")
def timing(image: Path) -> TimingReport:
    """The cycles the image will take on the board."""
    return tinyctl.check(image, "crazyflie21")


def test_the_graph_is_the_definition(graph: tinyctl.Graph) -> None:
    act, state = graph.run(np.array([[0.5, 0.0], [np.nan, 0.0]], np.float32), graph.init(2))
    assert act[0, 0] == pytest.approx(-1, abs=0.25)
    assert state.status.tolist() == [0, 1]  # the second row was screened
    assert (state.applied == act).all()  # what the third input will be in the next step


def test_the_files_hold_all_of_it(policy: Path, graph: tinyctl.Graph, folder: Path) -> None:
    again = tinyctl.load(folder / "graph.tctl")
    assert again.hash == graph.hash
    assert again.contract == tinyctl.load(policy).contract


def test_the_c_gives_the_same_bits(graph: tinyctl.Graph, unit: Path) -> None:
    controller = HostController(unit)
    controller.reset(1)
    assert controller.step(OBS).tobytes() == graph.run(OBS, graph.init(1))[0].tobytes()
    assert controller.selftest() == 0


def test_the_arm_code_gives_the_same_bits(graph: tinyctl.Graph, image: Path) -> None:
    emulator = Emulator(image)
    act, status = emulator.step(OBS[0])
    assert act.tobytes() == graph.run(OBS, graph.init(1))[0].tobytes()
    assert status == 0
    assert emulator.selftest() == 0


def test_it_meets_its_deadline(timing: TimingReport, graph: tinyctl.Graph) -> None:
    assert timing.verdict == "pass"
    assert timing.graph_hash == graph.hash
    assert timing.single_path
    assert 100 < timing.cycles_typical <= timing.cycles_worst < 5000


def test_it_flies(graph: tinyctl.Graph, unit: Path, image: Path, timing: TimingReport) -> None:
    """The same episodes with the same delay on all three, and so the same flights."""
    delay_s = timing.time_us_worst * 1e-6
    flights = [
        tinyctl.fly(source, PLANT, on=on, episodes=3, seed=1, delay_s=delay_s)
        for source, on in ((graph, "graph"), (unit, "c"), (image, "emulator"))
    ]
    for flight in flights:
        assert flight.survived == 1
        assert flight.scores["angle_error"].value < 0.1
        assert flight.trajectories == flights[0].trajectories


def test_everything_can_be_shown(
    policy: Path, graph: tinyctl.Graph, unit: Path, image: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (policy, folder / "graph.tctl", unit, image):
        show(path)
        assert graph.contract.hash[:16] in capsys.readouterr().out
