"""The Crazyflie 2.x nano quadrotor with direct motor commands.

Equations and the default parameters: Eschmann et al., *Learning to Fly in Seconds*, as in its public simulator. The
other variant is the CF2X of gym-pybullet-drones, whose inertia is 3.6 times and yaw torque 4.2 times as large.
"""

from __future__ import annotations

from collections.abc import Mapping

import casadi
import numpy as np

from tinyctl.sims.plant import SX, Parameter, Plant, Variable
from tinyctl.sims.plants._quadrotor_tasks import quadrotor_tasks, rotation

ROTORS = ((1, -1, -1), (-1, -1, 1), (-1, 1, -1), (1, 1, 1))  # sign of x, of y, of the yaw torque; seen from above

STATES = (
    *(Variable(f"p_{a}", "m") for a in "xyz"),  # world
    *(Variable(f"q_{a}", "1") for a in "wxyz"),  # body to world
    *(Variable(f"v_{a}", "m/s") for a in "xyz"),  # world
    *(Variable(f"w_{a}", "rad/s") for a in "xyz"),  # body
    *(Variable(f"rotor_{i}", "rpm") for i in range(1, 5)),
)
PARAMETERS = (
    Parameter("mass", "kg", 0.027, 0.025, 0.034),
    Parameter("gravity", "m/s^2", 9.81, 9.78, 9.83),
    Parameter("arm", "m", 0.028, 0.0275, 0.0285),  # of a rotor along x and along y
    Parameter("thrust", "N/rpm^2", 3.16e-10, 2.8e-10, 3.5e-10),
    Parameter("yaw_arm", "m", 0.005964552, 0.0055, 0.0255),  # yaw torque per thrust
    Parameter("inertia_x", "kg m^2", 3.85e-6, 3.5e-6, 1.7e-5),
    Parameter("inertia_y", "kg m^2", 3.85e-6, 3.5e-6, 1.7e-5),
    Parameter("inertia_z", "kg m^2", 5.9675e-6, 5.5e-6, 2.9e-5),
    Parameter("motor_lag", "s", 0.15, 0.05, 0.2),
    Parameter("rpm_max", "rpm", 21702.0, 19500.0, 22500.0),
    Parameter("drag_xy", "N s^2/m", 0.0, 0.0, 1.2e-6),  # force per velocity and summed rotor speed (rad/s)
    Parameter("drag_z", "N s^2/m", 0.0, 0.0, 1.2e-6),
)
GYM_PYBULLET_DRONES = {
    "gravity": 9.8, "arm": 0.0397 / 2**0.5, "yaw_arm": 7.94e-12 / 3.16e-10, "inertia_x": 1.4e-5, "inertia_y": 1.4e-5,
    "inertia_z": 2.17e-5, "rpm_max": 21702.644, "drag_xy": 9.1785e-7, "drag_z": 10.311e-7,
}  # fmt: skip


def derivative(x: SX, u: SX, p: Mapping[str, SX], d: SX) -> SX:
    """`u` in [-1, 1] a motor, `d` a force (N, world) and a torque (N m, body)."""
    thrust = p["thrust"] * x[13:17] * x[13:17]
    return motion(x, u, p, d, thrust, thrust, casadi.vertcat(0, 0, casadi.sum1(thrust)))


def motion(x: SX, u: SX, p: Mapping[str, SX], d: SX, thrust: SX, lift: SX, push: SX) -> SX:
    """The derivative where the rotors, of `thrust` (4,) N in free air, lift by `lift` (4,) N at their places, and the
    air pushes the body by `push` (3,) N in its frame, drag not counted."""
    q, v, w, rpm = x[3:7], x[7:10], x[10:13], x[13:17]
    moment = casadi.vertcat(
        p["arm"] * sum(y * lift[n] for n, (_, y, _) in enumerate(ROTORS)),
        -p["arm"] * sum(s * lift[n] for n, (s, _, _) in enumerate(ROTORS)),
        p["yaw_arm"] * sum(yaw * thrust[n] for n, (_, _, yaw) in enumerate(ROTORS)),
    )
    r = rotation(x)
    rotor_speed = casadi.sum1(rpm) * (2 * np.pi / 60)
    drag = -rotor_speed * casadi.vertcat(p["drag_xy"], p["drag_xy"], p["drag_z"]) * casadi.mtimes(r.T, v)
    body_force = drag + push
    force = casadi.mtimes(r, body_force) + d[0:3] - casadi.vertcat(0, 0, p["mass"] * p["gravity"])
    inertia = casadi.vertcat(p["inertia_x"], p["inertia_y"], p["inertia_z"])
    spin = 0.5 * casadi.vertcat(
        -q[1] * w[0] - q[2] * w[1] - q[3] * w[2],
        q[0] * w[0] + q[2] * w[2] - q[3] * w[1],
        q[0] * w[1] - q[1] * w[2] + q[3] * w[0],
        q[0] * w[2] + q[1] * w[1] - q[2] * w[0],
    )
    command = (u + 1) * (0.5 * p["rpm_max"])
    return casadi.vertcat(
        v,
        spin,
        force / p["mass"],
        (moment + d[3:6] - casadi.cross(w, inertia * w)) / inertia,
        (command - rpm) / p["motor_lag"],
    )


def project(x: SX, p: Mapping[str, SX]) -> SX:
    """The quaternion has length one, a rotor turns forward and no faster than it can."""
    q = x[3:7]
    rotors = casadi.fmin(casadi.fmax(x[13:17], 0), p["rpm_max"])
    return casadi.vertcat(x[0:3], q / casadi.sqrt(casadi.dot(q, q)), x[7:13], rotors)


PLANT = Plant(
    name="quadrotor",
    states=STATES,
    inputs=tuple(Variable(f"motor_{i}", "1") for i in range(1, 5)),
    parameters=PARAMETERS,
    disturbances=(*(Variable(f"force_{a}", "N") for a in "xyz"), *(Variable(f"torque_{a}", "N m") for a in "xyz")),
    derivative=derivative,
    project=project,
    tasks=quadrotor_tasks({q.name: q.nominal for q in PARAMETERS}),
    variants={"learning_to_fly": {}, "gym_pybullet_drones": GYM_PYBULLET_DRONES},
    measured=("gravity", "arm", "rpm_max"),
)
