"""The out-of-tree controller: compiled as the firmware is, flown on the host, and every way to lose its place."""

from __future__ import annotations

import ctypes
import itertools
import math
import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinyctl
from tinyctl import crazyflie
from tinyctl.boards import load_board
from tinyctl.contract import Contract, Input, Output
from tinyctl.emitter import emit
from tinyctl.errors import TinyctlError
from tinyctl.graph import Graph
from tinyctl.layers.clip import Clip
from tinyctl.layers.dense import Dense
from tinyctl.layers.screen import Screen
from tinyctl.network import chain
from tinyctl.policy import Policy
from tinyctl.sims.kernel import compile_plant
from tinyctl.sims.loop import draw
from tinyctl.sims.plants import load_plant
from tinyctl.trainers.apg import Config, train

F32 = np.float32
API = Path(__file__).parent / "crazyflie_api"
PLANT = load_plant("quadrotor")
TASK = PLANT.task("hover")
# The flags of crazyflie-firmware's own build (August 2026).
FIRMWARE_FLAGS = (
    *("-Wall", "-Wmissing-braces", "-Wdouble-promotion", "-std=gnu11", "-fno-strict-aliasing", "-fno-math-errno"),
    *("-Os", "-Werror", "-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16", "-mfp16-format=ieee"),
)
ABSOLUTE, DISABLED = 1, 0
FORCE, LEGACY = 2, 0
STOCK, POLICY, MOTORS_OFF = range(3)
REASONS = dict(re.findall(r"TINYCTL_(\w+) = (\d)", (crazyflie.FOLDER / "handover.h").read_text()))
HOVERING = np.array([0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0], F32)
TARGET = np.array([0, 0, 1], F32)
pytestmark = pytest.mark.xdist_group("crazyflie")  # what its fixtures make is made once


@pytest.fixture(scope="module")
def graph() -> Graph:
    """A policy that hovers, as int16."""
    policy = train(PLANT, config=Config(iterations=150, validation_episodes=200)).policy
    return tinyctl.quantize(policy, "w16a16", plant_name=PLANT)[0]


@pytest.fixture(scope="module")
def app(graph: Graph, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("crazyflie")
    emit(graph, folder, "hover", "crazyflie")
    return folder


class Crazyflie:
    """The harness: one firmware with the controller in it, fresh for every test."""

    def __init__(self, library: Path) -> None:
        self._lib = ctypes.CDLL(str(library))
        self._lib.controllerOutOfTreeInit()
        assert self._lib.controllerOutOfTreeTest()
        self.step = 0

    def tick(self, x: Any = HOVERING, target: Any = TARGET, mode: int = ABSOLUTE) -> tuple[int, Any]:
        """One millisecond: the control mode and the four forces."""
        out = np.zeros(4, F32)
        arrays = [np.ascontiguousarray(a, F32) for a in (x, target)]
        kind = self._lib.tick(self.step, *(a.ctypes.data_as(ctypes.c_void_p) for a in arrays), mode, _pointer(out))
        self.step += 1
        return kind, out

    def ticks(self, n: int, *args: Any, **more: Any) -> tuple[int, Any]:
        return [self.tick(*args, **more) for _ in range(n)][-1]

    def enable(self, on: bool = True) -> None:
        self._lib.set_enable(int(on))

    def set(self, name: str, value: int) -> None:
        ctypes.c_uint32.in_dll(self._lib, name).value = value

    def get(self, name: str) -> int:
        return ctypes.c_uint32.in_dll(self._lib, name).value

    @property
    def pilot(self) -> int:
        return int(self._lib.pilot_now())

    @property
    def reason(self) -> str:
        return next(name for name, number in REASONS.items() if int(number) == self._lib.reason_now())

    def last(self) -> tuple[Any, Any]:
        """The observation and the action of the last step."""
        obs, act = np.zeros(TASK.contract.n_obs, F32), np.zeros(4, F32)
        self._lib.read_policy(_pointer(obs), _pointer(act))
        return obs, act

    def forces(self, action: Any) -> Any:
        out = np.zeros(4, F32)
        self._lib.actuate_with(_pointer(np.ascontiguousarray(action, F32)), _pointer(out))
        return out


def _pointer(array: Any) -> ctypes.c_void_p:
    return array.ctypes.data_as(ctypes.c_void_p)


@pytest.fixture(scope="module")
def library(app: Path, require_tool: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("harness") / "crazyflie.so"
    sources = [API / "harness.c", *(app / "src" / n for n in ("hover.c", "hover_selftest.c", "handover.c"))]
    flags = ("-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-ffp-contract=off", "-shared", "-fPIC")
    words = [require_tool("gcc"), *flags, "-fsanitize=undefined", "-fno-sanitize-recover=all"]
    subprocess.run([*words, f"-I{API}", f"-I{app / 'src'}", *sources, "-o", made], check=True)
    return made


@pytest.fixture
def drone(library: Path, tmp_path: Path) -> Crazyflie:
    """Loaded from a copy of its own: its variables start anew."""
    own = tmp_path / "crazyflie.so"
    own.write_bytes(library.read_bytes())
    return Crazyflie(own)


@pytest.fixture
def flying(drone: Crazyflie) -> Crazyflie:
    drone.enable()
    drone.ticks(4)
    assert (drone.pilot, drone.reason) == (POLICY, "FLIES")
    return drone


def test_it_compiles_as_the_firmware_does(app: Path, require_tool: Callable[[str], str], tmp_path: Path) -> None:
    """Without a warning, and with its whole stack, an exception frame included, far below the task's 1800 bytes."""
    compiler, stack = require_tool("arm-none-eabi-gcc"), 0
    build = (app / "src" / "Kbuild").read_text()
    assert "ccflags-y += -ffp-contract=off" in build
    objects = re.search(r"obj-y \+= (.*)", build)
    assert objects
    for name in objects[1].split():
        own = re.search(rf"CFLAGS_{name} := (.*)", build)
        flags = [*FIRMWARE_FLAGS, "-ffp-contract=off", *(own[1].split() if own else ()), "-fstack-usage"]
        source = app / "src" / f"{Path(name).stem}.c"
        words = [compiler, *flags, f"-I{API}", "-c", source, "-o", tmp_path / name]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        usage = (tmp_path / name).with_suffix(".su").read_text()
        assert "dynamic" not in usage
        stack += sum(int(line.split("\t")[1]) for line in usage.splitlines())
    assert 0 < stack + 26 * 4 < load_board(crazyflie.BOARD).firmware.stack_bytes  # even if every function were on it


def test_it_observes_as_the_plant_does(drone: Crazyflie) -> None:
    """Units, frames, signs: state and sensors in the firmware's units give the observation of the plant's state."""
    rng = np.random.default_rng(0)
    kernel = compile_plant(PLANT, TASK)
    for x in TASK.initial(rng, 50, PLANT.nominal()):
        flown = x[:13].copy()
        flown[:3] += (3, -2, 5)
        drone.step = 0
        drone.tick(flown, np.array([3, -2, 5], F32))
        np.testing.assert_allclose(drone.last()[0], kernel.observe(x[None])[0], atol=2e-6, rtol=1e-6)


def test_euler_angles_have_their_pitch_inverted() -> None:
    signals = crazyflie.SIGNALS["rad", "world"]
    assert signals["pitch"] == "-state->attitude.pitch * RADIANS"
    assert signals["roll"] == "state->attitude.roll * RADIANS"


def test_corners_of_the_action_box(drone: Crazyflie) -> None:
    """A command is a rotor speed: its force is the plant's, as a share of the firmware's most, and never above it."""
    p = PLANT.nominal()
    most = p["thrust"] * p["rpm_max"] ** 2
    assert most == pytest.approx(crazyflie.ROTOR_FORCE_N)
    for corner in itertools.product((-1.0, 0.0, 1.0, 0.25), repeat=4):
        force = drone.forces(corner)
        assert ((force >= 0) & (force <= 1)).all()
        expected = np.minimum(most * ((np.array(corner) + 1) / 2) ** 2 / crazyflie.FULL_FORCE_N, 1.0)
        np.testing.assert_allclose(force, expected, rtol=1e-5, atol=1e-7)
    assert (drone.forces([math.nan] * 4) == 0).all()


def test_it_flies_the_plant(library: Path, graph: Graph, tmp_path: Path) -> None:
    """Five seconds from flyable starts: the actions of `Graph.run`, at the policy's own rate, and it hovers."""
    kernel, period = compile_plant(PLANT, TASK), 1e-3
    drawn = draw(PLANT, TASK, range(6), seed=3)
    flights = 0
    for k in range(6):
        x, d = drawn.x[k : k + 1].copy(), drawn.d[k : k + 1]
        x[0, 3:7] = (1, 0, 0, 0)  # upright: from a steep tilt it would wait for the stock controller
        own = tmp_path / f"{k}.so"
        own.write_bytes(library.read_bytes())
        drone, state, decisions = Crazyflie(own), graph.init(1), 0
        drone.enable()
        action = np.zeros((1, 4), F32)
        for step in range(5000):
            mode, force = drone.tick(x[0, :13], np.zeros(3, F32))
            assert (mode, drone.pilot) == (FORCE, POLICY), drone.reason
            if step % 10 == 0:  # 100 Hz
                obs, _ = drone.last()
                action, state = graph.run(obs[None], state)
                decisions += 1
            np.testing.assert_array_equal(drone.last()[1].view(np.uint32), action[0].view(np.uint32))
            speed = np.sqrt(force * crazyflie.FULL_FORCE_N / crazyflie.ROTOR_FORCE_N)
            x = kernel.step(x, (2 * speed - 1)[None].astype(F32), drawn.p, d, period)
        assert decisions == 500
        flights += float(kernel.margin(x)[0]) > 0.4
    assert flights == 6


def test_off_until_enabled(drone: Crazyflie) -> None:
    mode, _ = drone.ticks(100)
    assert (mode, drone.pilot, drone.reason) == (LEGACY, STOCK, "DISABLED")
    assert drone.get("pid_calls") == 100


def test_motors_are_off_while_the_setpoint_is(flying: Crazyflie) -> None:
    mode, force = flying.ticks(4, mode=DISABLED)
    assert (mode, flying.pilot, flying.reason) == (FORCE, MOTORS_OFF, "NO_SETPOINT")
    assert not force.any()
    flying.ticks(4)
    assert flying.pilot == POLICY  # no fault: it takes over again


def test_no_absolute_target(flying: Crazyflie) -> None:
    flying.ticks(4, mode=2)
    assert (flying.pilot, flying.reason) == (STOCK, "NO_TARGET")


def test_it_takes_over_only_inside_its_range(drone: Crazyflie) -> None:
    drone.enable()
    far, tilted, fast = HOVERING.copy(), HOVERING.copy(), HOVERING.copy()
    far[0] = 0.6
    tilted[3:7] = (math.cos(0.45), math.sin(0.45), 0, 0)
    fast[12] = 20.0
    for x in (far, tilted, fast):
        drone.ticks(4, x)
        assert (drone.pilot, drone.reason) == (STOCK, "WAITS")
    drone.ticks(2)
    assert drone.pilot == POLICY
    for x in (far, tilted, fast):  # once it flies these are inside the contract's ranges
        drone.ticks(4, x)
        assert drone.pilot == POLICY


def broken(column: int, value: float) -> Any:
    x = HOVERING.copy()
    x[column] = value
    return x


@pytest.mark.parametrize(
    ("reason", "x"),
    [("NOT_FINITE", broken(k, v)) for k in (0, 3, 7, 10) for v in (math.nan, math.inf)]
    + [("OUT_OF_RANGE", broken(k, v)) for k, v in ((0, 1.5), (8, -6.5), (12, 36.0))],
)
def test_a_fault_gives_the_flight_to_the_stock_controller(flying: Crazyflie, reason: str, x: Any) -> None:
    """At once, with nothing of the policy left in `control`, and for good until the user has disabled it."""
    resets = flying.get("pid_resets")
    mode, words = flying.ticks(2, x)
    assert (mode, flying.pilot, flying.reason) == (LEGACY, STOCK, reason)
    assert flying.get("pid_resets") == resets + 1
    assert flying.get("last_pid_step") % 1000 in (0, flying.step - 1)
    assert words[0] == 0  # roll and pitch of the legacy mode, which the stand-in leaves alone
    flying.ticks(500)
    assert (flying.pilot, flying.reason) == (STOCK, reason)
    flying.enable(False)
    flying.ticks(2)
    flying.enable()
    flying.ticks(4)
    assert (flying.pilot, flying.reason) == (POLICY, "FLIES")


def test_not_finite_target(flying: Crazyflie) -> None:
    flying.ticks(2, HOVERING, np.array([0, math.nan, 1], F32))
    assert (flying.pilot, flying.reason) == (STOCK, "NOT_FINITE")


def test_stale_setpoint(flying: Crazyflie) -> None:
    flying.set("age_ms", 200)
    flying.ticks(4)
    assert flying.pilot == POLICY
    flying.set("age_ms", 201)
    flying.ticks(2)
    assert (flying.pilot, flying.reason) == (STOCK, "STALE")


def test_overruns(flying: Crazyflie) -> None:
    """Two slow steps are forgiven, the third is not; they are counted anew in the next flight."""
    flying.set("policy_us", 600)
    flying.ticks(20)
    assert flying.pilot == POLICY
    flying.ticks(15)
    assert (flying.pilot, flying.reason) == (STOCK, "OVERRUN")
    flying.set("policy_us", 120)
    flying.enable(False)
    flying.ticks(2)
    flying.enable()
    flying.ticks(400)
    assert flying.pilot == POLICY


def test_late_calls(flying: Crazyflie) -> None:
    """A loop that calls too seldom is an overrun too."""
    for _ in range(3):
        flying.step += 4
        clock = ctypes.c_uint64.in_dll(flying._lib, "clock_us")
        clock.value += 4000
        flying.ticks(2)
    assert (flying.pilot, flying.reason) == (STOCK, "OVERRUN")


def test_reactivation_starts_the_policy_anew(flying: Crazyflie, graph: Graph) -> None:
    """Its memory of the first flight is gone: the actions are those of a fresh controller."""
    flying.ticks(300, broken(0, 0.2))
    flying.enable(False)
    flying.ticks(20)
    flying.enable()
    flying.ticks(2)
    obs, act = flying.last()
    expected, _ = graph.run(obs[None], graph.init(1))
    np.testing.assert_array_equal(act.view(np.uint32), expected[0].view(np.uint32))


def contract_with(**changes: Any) -> Policy:
    contract = replace(TASK.contract, **changes)
    n_in, n_out = len(contract.inputs), contract.n_act
    dense = Dense(np.zeros((n_out, n_in), F32), np.zeros(n_out, F32))
    return Policy(contract, chain([("screen", Screen.of(contract)), ("out", dense), ("clip", Clip.of(contract))]))


WRENCH = tuple(Output(n, u, "body", -1.0, 1.0) for n, u in (("torque_y", "N m"), ("thrust", "N"), ("torque_x", "N m")))
MISFITS: dict[str, tuple[Contract | Policy, str]] = {
    "unit": (contract_with(inputs=(Input("p_x", "mm", "world", -1.0, 1.0),)), "'p_x' in 'mm'"),
    "name": (contract_with(inputs=(Input("angle", "rad", "world", -1.0, 1.0),)), "'angle'"),
    "frame": (contract_with(inputs=(Input("v_x", "m/s", "body", -1.0, 1.0),)), "frame 'body'"),
    "rate": (contract_with(rate_hz=90.0), "90 Hz does not divide"),
    "outputs": (contract_with(inputs=TASK.contract.inputs[:3], outputs=WRENCH), "outputs 'torque_y"),
    "motor": (
        contract_with(
            inputs=TASK.contract.inputs[:3], outputs=tuple(replace(o, high=0.5) for o in TASK.contract.outputs)
        ),
        "from -1 to 0.5",
    ),
}


@pytest.mark.parametrize("name", MISFITS)
def test_contracts_the_firmware_cannot_serve(name: str, tmp_path: Path) -> None:
    policy, message = MISFITS[name]
    assert isinstance(policy, Policy)
    with pytest.raises(TinyctlError, match=re.escape(message)):
        emit(Graph(policy.contract, policy.nodes), tmp_path / "out", "hover", "crazyflie")
    assert not (tmp_path / "out").exists()


def test_thrust_and_torques(require_tool: Callable[[str], str], tmp_path: Path) -> None:
    """The other form of outputs, with other inputs: Euler angles, acceleration, a force in N."""
    inputs = (
        *(Input(n, "rad", "world", -1.5, 1.5) for n in ("roll", "pitch", "yaw")),
        *(Input(f"a_{a}", "m/s^2", "body", -50.0, 50.0) for a in "xyz"),
    )
    policy = contract_with(inputs=inputs, outputs=(*WRENCH, Output("torque_z", "N m", "body", -0.1, 0.1)))
    emit(Graph(policy.contract, policy.nodes), tmp_path, "other", "crazyflie")
    text = (tmp_path / "src" / "other_controller.c").read_text()
    assert "control->torqueY = action[0];" in text
    assert "control->thrustSi = action[1];" in text
    words = [require_tool("arm-none-eabi-gcc"), *FIRMWARE_FLAGS, "-ffp-contract=off", f"-I{API}"]
    subprocess.run([*words, "-c", tmp_path / "src" / "other_controller.c", "-o", tmp_path / "o.o"], check=True)
