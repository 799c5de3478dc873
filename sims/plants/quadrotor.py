"""The Crazyflie 2.x nano quadrotor with direct motor commands.

Equations and the default parameters: Eschmann et al., *Learning to Fly in Seconds*, as in its public simulator. The
other variant is the CF2X of gym-pybullet-drones, whose inertia is 3.6 times and yaw torque 4.2 times as large.
"""

from __future__ import annotations

from collections.abc import Mapping

import casadi
import numpy as np

from tinyctl.contract import Contract, Input, Output
from tinyctl.sims.plant import SX, Array, Parameter, Plant, Score, Task, Variable

ROTORS = ((1, -1, -1), (-1, -1, 1), (-1, 1, -1), (1, 1, 1))  # sign of x, of y, of the yaw torque; seen from above
BOX_M = 0.6  # an episode is lost when a coordinate of the position leaves [-BOX_M, BOX_M]
RATE_HZ = 100.0
LATENCY_S = 0.001  # room for the policy, which takes 0.1 to 0.3 ms on the Crazyflie's processor

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


def rotation(x: SX) -> SX:
    """The rotation matrix (3, 3), body to world, of the state's unit quaternion."""
    w, i, j, k = (x[n] for n in range(3, 7))
    return casadi.vertcat(
        casadi.horzcat(1 - 2 * (j * j + k * k), 2 * (i * j - w * k), 2 * (i * k + w * j)),
        casadi.horzcat(2 * (i * j + w * k), 1 - 2 * (i * i + k * k), 2 * (j * k - w * i)),
        casadi.horzcat(2 * (i * k - w * j), 2 * (j * k + w * i), 1 - 2 * (i * i + j * j)),
    )


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


def hover_action(p: Mapping[str, float]) -> float:
    """The command at which four rotors carry the weight: 0.334 with the nominal parameters."""
    rpm = (p["mass"] * p["gravity"] / (4 * p["thrust"])) ** 0.5
    return float(2 * rpm / p["rpm_max"] - 1)


def observe(x: SX) -> SX:
    """Position, rotation matrix by rows, velocity, angular velocity."""
    return casadi.vertcat(x[0:3], casadi.reshape(rotation(x).T, 9, 1), x[7:10], x[10:13])


def initial(rng: np.random.Generator, n: int, p: Mapping[str, float]) -> Array:
    """Position within 0.2 m, any attitude within 90 degrees, velocity within 1 m/s and 1 rad/s by axis; with
    probability 0.1 at rest at the origin. The rotors turn at hover speed.

    A uniformly random rotation has an axis uniform on the sphere and an angle of density (1 - cos a) / pi; the angle
    comes from the inverse of its distribution, which takes a fixed number of draws where rejection would not.
    """
    grid = np.linspace(0.0, np.pi / 2, 1025)
    spread = grid - np.sin(grid)
    angle = np.interp(rng.uniform(0.0, spread[-1], n), spread, grid)
    axis = rng.standard_normal((n, 3))
    axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    x = np.empty((n, len(STATES)))
    x[:, 0:3] = rng.uniform(-0.2, 0.2, (n, 3))
    x[:, 3] = np.cos(angle / 2)
    x[:, 4:7] = np.sin(angle / 2)[:, None] * axis
    x[:, 7:13] = rng.uniform(-1.0, 1.0, (n, 6))
    at_rest = rng.uniform(size=n) < 0.1
    x[at_rest, 0:13] = (0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    x[:, 13:17] = (hover_action(p) + 1) / 2 * p["rpm_max"]
    return x.astype(np.float32)


def disturb(rng: np.random.Generator, n: int, p: Mapping[str, float]) -> Array:
    """A constant force and torque, unknown to the controller."""
    weight = p["mass"] * p["gravity"]
    return (rng.standard_normal((n, 6)) * (3 * (weight / 20,) + 3 * (weight / 10000,))).astype(np.float32)


def cost(x: SX, u: SX, u_last: SX) -> SX:
    """Distance, softened at zero; a wall that rises long before the box does; damping; smooth commands."""
    p, q, v, w = x[0:3], x[3:7], x[7:10], x[10:13]
    over = casadi.fmax(casadi.fabs(p) - BOX_M / 2, 0)
    wall = casadi.sum1(casadi.sqrt(over**2 + 0.01) - 0.1)  # linear soon: what is far out must not drown the rest
    return (
        4 * casadi.sqrt(casadi.sumsqr(p) + 0.0025)
        + 120 * wall
        + 0.05 * casadi.sumsqr(v)
        + 0.002 * casadi.sumsqr(w)
        + casadi.sumsqr(q[1:4])
        + casadi.sumsqr(u - u_last)  # at a tenth of this weight policies hover in a limit cycle of the thrust
    )


def margin(x: SX) -> SX:
    """The distance to the nearest wall of the box, m."""
    return BOX_M - casadi.fmax(casadi.fmax(casadi.fabs(x[0]), casadi.fabs(x[1])), casadi.fabs(x[2]))


def distance(x: SX) -> SX:
    """From the origin, m."""
    return casadi.sqrt(casadi.sumsqr(x[0:3]))


def _contract() -> Contract:
    hover = hover_action({q.name: q.nominal for q in PARAMETERS})
    # Beyond anything a surviving flight reaches; the gyroscope of the Crazyflie ends at 2000 deg/s = 34.9 rad/s.
    observations = (
        *(Input(f"p_{a}", "m", "world", -1.0, 1.0) for a in "xyz"),
        *(Input(f"r_{a}{b}", "1", "body to world", -1.05, 1.05, on_nan=float(a == b)) for a in "xyz" for b in "xyz"),
        *(Input(f"v_{a}", "m/s", "world", -6.0, 6.0) for a in "xyz"),
        *(Input(f"w_{a}", "rad/s", "body", -35.0, 35.0) for a in "xyz"),
    )
    motors = tuple(f"motor_{i}" for i in range(1, 5))
    return Contract(
        inputs=(*observations, *(Input(m, "1", "", -1.0, 1.0, hover, "applied_action") for m in motors)),
        outputs=tuple(Output(m, "1", "", -1.0, 1.0, safe=-1.0) for m in motors),
        rate_hz=RATE_HZ,
        latency_s=LATENCY_S,
    )


HOVER = Task(
    contract=_contract(),
    observe=observe,
    noise=3 * (0.001,) + 9 * (0.001,) + 3 * (0.002,) + 3 * (0.002,),
    initial=initial,
    disturb=disturb,
    cost=cost,
    margin=margin,
    episode_steps=500,
    scores=(Score("position_error", "m", distance, last_s=3.0),),
    typical=3 * (0.2,) + 9 * (1.0,) + 3 * (1.0,) + 3 * (5.0,),
    lag_s=0.15,
    integral_limits={"p_x": 0.5, "p_y": 0.5, "p_z": 0.5},
)

PLANT = Plant(
    name="quadrotor",
    states=STATES,
    inputs=tuple(Variable(f"motor_{i}", "1") for i in range(1, 5)),
    parameters=PARAMETERS,
    disturbances=(*(Variable(f"force_{a}", "N") for a in "xyz"), *(Variable(f"torque_{a}", "N m") for a in "xyz")),
    derivative=derivative,
    project=project,
    tasks={"hover": HOVER},
    variants={"learning_to_fly": {}, "gym_pybullet_drones": GYM_PYBULLET_DRONES},
)
