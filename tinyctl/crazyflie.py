"""A contract as the Crazyflie knows its signals: the generated part of the out-of-tree controller.

Units and frames are those of crazyflie-firmware's `stabilizer_types.h` (August 2026): `state` in m, m/s (world) and
degrees with inverted pitch, its quaternion body to world; the gyroscope in degrees a second, the accelerometer in G.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tinyctl.boards import load_board
from tinyctl.contract import Contract, Input, Output
from tinyctl.errors import TinyctlError

BOARD = "crazyflie21"  # whose flags the unit's object gets
SOURCES = ("handover.h", "handover.c")  # hand-written, below `firmware/crazyflie`
FOLDER = Path(__file__).parent / "firmware" / "crazyflie"
LOOP_HZ = 500  # RATE_500_HZ: the firmware's inner controllers
MAX_STEP_US = 500  # a step may take half of the 1 kHz loop that calls it
ENTRY = 0.5  # the policy takes over inside this share of a signal's range
NAME_LIMIT = 12  # characters of a log variable, so that group and name fit a packet of the radio link

# A policy's motor command is a rotor speed, -1 to 1; the firmware wants a force as a share of the most it can.
FULL_FORCE_N = 0.12  # THRUST_MAX of the 2.x in crazyflie-firmware's platform defaults
ROTOR_FORCE_N = 3.16e-10 * 21702.0**2  # of the simulated rotor at full speed: `sims/plants/quadrotor.py`

_POSITION = {f"p_{a}": f"state->position.{a} - setpoint->position.{a}" for a in "xyz"}
_VELOCITY = {f"v_{a}": f"state->velocity.{a} - setpoint->velocity.{a}" for a in "xyz"}
_GYRO = {f"w_{a}": f"sensors->gyro.{a} * RADIANS" for a in "xyz"}
_FORCE = {f"a_{a}": f"sensors->acc.{a} * GRAVITY" for a in "xyz"}
_QUATERNION = {f"q_{a}": a for a in "wxyz"}
_MATRIX = {
    "r_xx": "1.0f - 2.0f * (y * y + z * z)", "r_xy": "2.0f * (x * y - w * z)", "r_xz": "2.0f * (x * z + w * y)",
    "r_yx": "2.0f * (x * y + w * z)", "r_yy": "1.0f - 2.0f * (x * x + z * z)", "r_yz": "2.0f * (y * z - w * x)",
    "r_zx": "2.0f * (x * z - w * y)", "r_zy": "2.0f * (y * z + w * x)", "r_zz": "upright",
}  # fmt: skip
_EULER = {
    "roll": "state->attitude.roll * RADIANS",
    "pitch": "-state->attitude.pitch * RADIANS",
    "yaw": "state->attitude.yaw * RADIANS",
}
# By unit and frame: what the firmware can observe, and the C that makes it.
SIGNALS: dict[tuple[str, str], dict[str, str]] = {
    ("m", "world"): _POSITION,
    ("m/s", "world"): _VELOCITY,
    ("rad/s", "body"): _GYRO,
    ("m/s^2", "body"): _FORCE,
    ("1", "body to world"): {**_QUATERNION, **_MATRIX},
    ("rad", "world"): _EULER,
}
ATTITUDE = frozenset({*_QUATERNION, *_MATRIX, *_EULER})  # held by the tilt at a hand-over, not by its range
MOTORS = tuple(f"motor_{i}" for i in range(1, 5))
WRENCH = {("thrust", "N"): "thrustSi", **{(f"torque_{a}", "N m"): f"torque{a.upper()}" for a in "xyz"}}


def adapter(contract: Contract) -> dict[str, Any]:
    """What the templates of the layout `crazyflie` need of a contract.

    Raises `TinyctlError` for a signal that the firmware does not have in that unit and frame, for outputs that are
    neither four motors nor thrust and torques, and for a rate that the 500 Hz loop cannot keep.
    """
    if LOOP_HZ % contract.rate_hz:
        raise TinyctlError(
            f"{contract.rate_hz:g} Hz does not divide the firmware's {LOOP_HZ} Hz",
            where="layout crazyflie",
            fix="train at 500, 250, 125, 100, 50 or 25 Hz",
        )
    columns = [s for s in contract.inputs if s.source == "observation"]
    made = [_observation(s) for s in columns]
    mode, actuation = _actuation(contract.outputs)
    latency_us = contract.latency_s * 1e6
    return {
        "observations": [f"observation[{i}] = {c};" for i, c in enumerate(made)],
        "uses_setpoint": any("setpoint->" in c for c in made),
        "uses_sensors": any("sensors->" in c for c in made),
        "ranges": [_range(s) for s in columns],
        "mode": mode,
        "actuation": actuation,
        "ticks_per_step": round(LOOP_HZ / contract.rate_hz),
        "max_us": round(min(latency_us, MAX_STEP_US)) if latency_us else MAX_STEP_US,
        "logs": [
            *((_log_name("o", i, s.name), f"observation[{i}]") for i, s in enumerate(columns)),
            *((_log_name("a", i, s.name), f"action[{i}]") for i, s in enumerate(contract.outputs)),
        ],
        "flags": [f for f in load_board(BOARD).toolchain("gcc").flags if f != "-ffp-contract=off"],
    }


def sources() -> dict[str, str]:
    """The hand-written C of the controller, by its path in the layout."""
    return {f"src/{name}": (FOLDER / name).read_text(encoding="utf-8") for name in SOURCES}


def _observation(signal: Input) -> str:
    found = SIGNALS.get((signal.unit, signal.frame), {}).get(signal.name)
    if found is None:
        known = ", ".join(name for names in SIGNALS.values() for name in names)
        raise TinyctlError(
            f"the Crazyflie has no signal {signal.name!r} in {signal.unit!r}, frame {signal.frame!r}",
            where="layout crazyflie",
            fix=f"name the contract's inputs as the firmware has them: {known}",
        )
    return found


def _range(signal: Input) -> tuple[str, ...]:
    """Low, high, the range for a hand-over, and the signal's name."""
    middle, half = (signal.low + signal.high) / 2, (signal.high - signal.low) / 2
    share = 1.0 if signal.name in ATTITUDE else ENTRY
    numbers = (signal.low, signal.high, middle - share * half, middle + share * half)
    return (*map(_c, numbers), signal.name)


def _actuation(outputs: tuple[Output, ...]) -> tuple[str, list[str]]:
    """The firmware's control mode, and the statements that fill `control` from `action`."""
    names = tuple(s.name for s in outputs)
    if sorted(names) == list(MOTORS):
        return "controlModeForce", [_motor(i, s) for i, s in enumerate(outputs)]
    fields = [WRENCH.get((s.name, s.unit)) for s in outputs]
    if len(outputs) == len(WRENCH) and None not in fields and len(set(fields)) == len(fields):
        return "controlModeForceTorque", [f"control->{f} = action[{i}];" for i, f in enumerate(fields)]
    raise TinyctlError(
        f"outputs {', '.join(names)!r:.80} are nothing the Crazyflie can do",
        where="layout crazyflie",
        fix="give motor_1 to motor_4 (in N, or 1 from -1 to 1), or thrust in N and torque_x, _y, _z in N m",
    )


def _motor(column: int, signal: Output) -> str:
    """`normalizedForces` is the force as a share of the most; a rotor's force grows with the square of its speed."""
    target = f"control->normalizedForces[{MOTORS.index(signal.name)}]"
    if signal.unit == "N":
        return f"{target} = share(action[{column}] * {_c(1 / FULL_FORCE_N)});"
    if (signal.unit, signal.low, signal.high) == ("1", -1.0, 1.0):
        speed = f"(action[{column}] + 1.0f)"
        return f"{target} = share({speed} * {speed} * {_c(ROTOR_FORCE_N / FULL_FORCE_N / 4)});"
    raise TinyctlError(
        f"{signal.name} is in {signal.unit!r} from {signal.low:g} to {signal.high:g}",
        where="layout crazyflie",
        fix="motors are in N, or a rotor speed in 1 from -1 to 1",
    )


def _log_name(letter: str, column: int, name: str) -> str:
    """A short name for the log: the signal's own where it fits."""
    own = f"{letter}_{name}"
    return own if len(own) <= NAME_LIMIT else f"{letter}_{column}"


def _c(value: float) -> str:
    """A float32 literal."""
    return f"{np.float32(value)!s}f"
