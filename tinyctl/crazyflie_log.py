"""A CSV log of the Crazyflie client as episodes of a contract: column names, units and gaps."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from tinyctl.contract import Contract
from tinyctl.crazyflie import FULL_FORCE_N, MOTORS, ROTOR_FORCE_N
from tinyctl.errors import FileError
from tinyctl.layers.base import F32, Array
from tinyctl.recording import Episode

MAX_BYTES = 256 << 20
G = 9.81  # m/s^2
FULL_PWM = 65535
# By unit and frame, as in `crazyflie.SIGNALS`: the log's variable, and what a unit of it is in ours.
COLUMNS: dict[tuple[str, str], dict[str, tuple[str, float]]] = {
    ("m", "world"): {f"p_{a}": (f"stateEstimate.{a}", 1.0) for a in "xyz"},
    ("m/s", "world"): {f"v_{a}": (f"stateEstimate.v{a}", 1.0) for a in "xyz"},
    ("rad/s", "body"): {f"w_{a}": (f"gyro.{a}", np.pi / 180) for a in "xyz"},
    ("m/s^2", "body"): {f"a_{a}": (f"acc.{a}", G) for a in "xyz"},
    ("1", "body to world"): {f"q_{a}": (f"stateEstimate.q{a}", 1.0) for a in "wxyz"},
}


def is_crazyflie_log(path: Path) -> bool:
    """Whether the first line is one of the client's."""
    try:
        with path.open("rb") as file:
            return file.readline(1 << 16).startswith(b"Timestamp,")
    except OSError as error:
        raise FileError(f"cannot be read ({error.strerror})", where=path) from None


def read_crazyflie_log(path: Path, contract: Contract) -> tuple[Episode, ...]:
    """The log's rows, which are a control period apart; where they are not, another episode begins. `motor.m1` to
    `motor.m4` are shares of the most force, from which the rotor's speed follows. Raises `FileError`."""
    table = _read(path)

    def column(name: str) -> Array:
        if name not in table:
            raise FileError(f"has no column {name}", where=path, fix="log it too")
        return table[name]

    def observed(name: str, unit: str, frame: str) -> Array:
        if (unit, frame) == ("1", "body to world") and name.startswith("r_"):
            return _rotation(*(column(f"stateEstimate.q{a}") for a in "wxyz"))[name]
        if name not in COLUMNS.get((unit, frame), {}):
            raise FileError(f"a Crazyflie's log has no {name} in {unit}, frame {frame}", where=path)
        variable, gain = COLUMNS[unit, frame][name]
        return gain * column(variable)

    inputs = contract.inputs[: contract.n_obs]
    obs = np.stack([observed(s.name, s.unit, s.frame) for s in inputs], axis=1)
    if any(s.name not in MOTORS or (s.unit, s.low, s.high) != ("1", -1.0, 1.0) for s in contract.outputs):
        raise FileError("only motors in 1 from -1 to 1 can be read from a Crazyflie's log", where=path)
    share = np.stack([column(f"motor.m{s.name[-1]}") for s in contract.outputs], axis=1) / FULL_PWM
    act = np.clip(2 * np.sqrt(np.maximum(share, 0) * FULL_FORCE_N / ROTOR_FORCE_N) - 1, -1, 1)
    steps = np.diff(column("Timestamp")) * contract.rate_hz / 1000
    cuts = np.flatnonzero(np.abs(steps - 1) > 0.2) + 1
    parts = zip(np.split(obs.astype(F32), cuts), np.split(act.astype(F32), cuts), strict=True)
    found = tuple(Episode(o, a, np.zeros(len(o), np.uint32), np.zeros(len(o), np.uint32)) for o, a in parts)
    if max(len(e.obs) for e in found) < 2:
        raise FileError("its rows are not a control period apart", where=path, fix=f"log at {contract.rate_hz:g} Hz")
    return found


def _read(path: Path) -> dict[str, Array]:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise FileError(f"larger than {MAX_BYTES >> 20} MiB", where=path)
        with path.open(encoding="utf-8", newline="") as file:
            head, *lines = csv.reader(file)
        values = np.array([[float(cell) for cell in line] for line in lines])
    except OSError as error:
        raise FileError(f"cannot be read ({error.strerror})", where=path) from None
    except (ValueError, csv.Error) as error:
        raise FileError(f"not a log of the Crazyflie client ({error})", where=path) from None
    if values.ndim != 2 or values.shape[1] != len(head):
        raise FileError("not a log of the Crazyflie client", where=path)
    return dict(zip(head, values.T, strict=True))


def _rotation(w: Array, x: Array, y: Array, z: Array) -> dict[str, Array]:
    return {
        "r_xx": 1 - 2 * (y * y + z * z), "r_xy": 2 * (x * y - w * z), "r_xz": 2 * (x * z + w * y),
        "r_yx": 2 * (x * y + w * z), "r_yy": 1 - 2 * (x * x + z * z), "r_yz": 2 * (y * z - w * x),
        "r_zx": 2 * (x * z - w * y), "r_zy": 2 * (y * z + w * x), "r_zz": 1 - 2 * (x * x + y * y),
    }  # fmt: skip
