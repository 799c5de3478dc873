"""The cascaded PID of gym-pybullet-drones for the Crazyflie, with that project's constants, for any number of drones.

Position and velocity errors become a wished force, this a thrust and an attitude, the attitude's error torques, and
these the motors' pulse widths. The project took it from the Dynamic Systems Lab (DSL) of the University of Toronto.
"""

from __future__ import annotations

import casadi
import numpy as np

from tinyctl.layers.base import F32
from tinyctl.sims.plant import Array, Plant, Task

FORCE_P, FORCE_I, FORCE_D = np.array((0.4, 0.4, 1.25)), np.array((0.05, 0.05, 0.05)), np.array((0.2, 0.2, 0.5))
FORCE_SUM = np.array((2.0, 2.0, 0.15))  # the integrals' limits, m s
TORQUE_P, TORQUE_I = np.array((70000.0, 70000.0, 60000.0)), np.array((0.0, 0.0, 500.0))
TORQUE_D, TORQUE_SUM, TORQUE_LIMIT = np.array((20000.0, 20000.0, 12000.0)), np.array((1.0, 1.0, 1500.0)), 3200.0
MIXER = np.array(((-0.5, -0.5, -1.0), (-0.5, 0.5, 1.0), (0.5, 0.5, -1.0), (0.5, -0.5, 1.0)))  # by motor
RPM_OF_PWM, RPM_AT_ZERO, PWM_LOW, PWM_HIGH = 0.2685, 4070.3, 20000.0, 65535.0
THRUST = 3.16e-10  # N/rpm^2 of a rotor, as the controller believes


class DslPid:
    """An expert. The errors are those that the task's contract calls `p_` and `v_`, without noise; yaw is held at zero.
    Angular rates are differences of the Euler angles, taken the short way round (the original jumps at half a turn),
    and zero in the first period.
    """

    def __init__(self, plant: Plant, task: Task, variant: str | None = None) -> None:
        p, names = plant.nominal(variant), [s.name for s in task.contract.inputs]
        self._weight, self._rpm_max, self._period = p["mass"] * p["gravity"], p["rpm_max"], task.period_s
        x = casadi.SX.sym("x", len(plant.state_columns(task)))
        seen = task.observe(x)
        columns = [names.index(f"{kind}_{axis}") for kind in "pv" for axis in "xyz"]
        self._errors = casadi.Function("errors", [x], [casadi.densify(casadi.vertcat(*(seen[c] for c in columns)))])

    def reset(self, n: int) -> None:
        """Empty integrals."""
        self._way, self._turn = np.zeros((n, 3)), np.zeros((n, 3))
        self._angles: Array | None = None

    def act(self, x: Array) -> Array:
        """(n, 4) motor commands from the true states (n, 17 + goals)."""
        x = np.asarray(x, np.float64)
        errors, attitude = -np.array(self._errors(x.T)).T, rotations(x[:, 3:7])
        pwm, wished = self._thrust(errors[:, 0:3], errors[:, 3:6], attitude)
        pwm = np.clip(pwm[:, None] + self._torques(wished, attitude) @ MIXER.T, PWM_LOW, PWM_HIGH)
        rpm = RPM_OF_PWM * pwm + RPM_AT_ZERO
        return np.clip(2 * rpm / self._rpm_max - 1, -1, 1).astype(F32)

    def _thrust(self, way: Array, speed: Array, attitude: Array) -> tuple[Array, Array]:
        """Pulse width (n,) of each motor and wished attitude (n, 3, 3), from position and velocity errors (n, 3)."""
        self._way = np.clip(self._way + way * self._period, -FORCE_SUM, FORCE_SUM)
        force = FORCE_P * way + FORCE_I * self._way + FORCE_D * speed + np.array((0, 0, self._weight))
        lift = np.maximum((force * attitude[:, :, 2]).sum(axis=1), 0)
        up = force / np.linalg.norm(force, axis=1, keepdims=True)
        side = np.cross(up, (1.0, 0.0, 0.0))
        side /= np.linalg.norm(side, axis=1, keepdims=True)
        return (np.sqrt(lift / (4 * THRUST)) - RPM_AT_ZERO) / RPM_OF_PWM, np.stack(
            [np.cross(side, up), side, up], axis=2
        )

    def _torques(self, wished: Array, attitude: Array) -> Array:
        """(n, 3) in units of the mixer, from wished and true attitude (n, 3, 3)."""
        product = np.swapaxes(wished, 1, 2) @ attitude
        skew = product - np.swapaxes(product, 1, 2)
        error = np.stack([skew[:, 2, 1], skew[:, 0, 2], skew[:, 1, 0]], axis=1)
        angles = euler_angles(attitude)
        change = np.zeros_like(angles) if self._angles is None else angles - self._angles
        rate = ((change + np.pi) % (2 * np.pi) - np.pi) / self._period
        self._angles = angles
        self._turn = np.clip(self._turn - error * self._period, -TORQUE_SUM, TORQUE_SUM)
        return np.clip(-TORQUE_P * error - TORQUE_D * rate + TORQUE_I * self._turn, -TORQUE_LIMIT, TORQUE_LIMIT)


def rotations(q: Array) -> Array:
    """(n, 3, 3), body to world, of unit quaternions (n, 4), the scalar first."""
    w, i, j, k = q.T
    rows = [
        [1 - 2 * (j * j + k * k), 2 * (i * j - w * k), 2 * (i * k + w * j)],
        [2 * (i * j + w * k), 1 - 2 * (i * i + k * k), 2 * (j * k - w * i)],
        [2 * (i * k - w * j), 2 * (j * k + w * i), 1 - 2 * (i * i + j * j)],
    ]
    return np.moveaxis(np.array(rows), 2, 0)


def euler_angles(r: Array) -> Array:
    """(n, 3): roll, pitch and yaw, rad, about the fixed axes x, y, z in this order, of rotation matrices (n, 3, 3)."""
    pitch = np.arcsin(np.clip(-r[:, 2, 0], -1, 1))
    return np.stack([np.arctan2(r[:, 2, 1], r[:, 2, 2]), pitch, np.arctan2(r[:, 1, 0], r[:, 0, 0])], axis=1)
