"""What the quadrotor is asked to do. All tasks but the preview have one contract, so one policy flies them all: its
position and velocity are errors against a reference, which the contract's ranges clip to 0.6 m and 2 m/s.

Hover and its starts, and the figure-eight: Eschmann et al., *Learning to Fly in Seconds*.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import casadi
import numpy as np

from tinyctl.contract import Contract, Input, Output
from tinyctl.sims.plant import SX, Array, Randomisation, Score, Spread, Task, Variable

N_STATES = 17  # position, quaternion, velocity, angular velocity, rotor speeds
BOX_M = 0.6  # an episode is lost when a coordinate of the position's error leaves [-BOX_M, BOX_M]
RATE_HZ = 100.0
LATENCY_S = 0.001  # room for the policy, which takes 0.1 to 0.3 ms on the Crazyflie's processor
STEP_M = 1.0  # of a set-point, by axis
THROW_BOX_M = 5.0  # who is thrown upside down falls about two metres before there is thrust to stop with
GROUND_M = 1.0  # below the place to hover at
FAR_M = 5.0  # who is so far away is lost for good
FOLLOW_V, FOLLOW_W = 10.0, 10.0  # 1/s: how a prediction of velocity follows the position, of rates the attitude
RAMP_S = 2.0  # a figure-eight gathers pace over so long
GUST_S = 1.0  # a gust swells and fades within so long
GUST_WEIGHTS = 0.22  # its force on average, of the drone's weight
PREVIEW_S = (0.1, 0.2, 0.3, 0.4, 0.5)

RANDOMISATION = Randomisation(
    (
        Spread(("mass",), 0.8, 1.2),
        Spread(("inertia_x", "inertia_y", "inertia_z"), 0.7, 4.0, log=True),
        Spread(("thrust",), 0.9, 1.1),
        Spread(("motor_lag",), 1 / 3, 4 / 3),  # 0.05 to 0.2 s
    ),
    late_s=(0.0, 0.02),
)

Reference = Callable[[SX], tuple[SX, SX]]  # from the goals to a position and a velocity


def rotation(x: SX) -> SX:
    """The rotation matrix (3, 3), body to world, of the state's unit quaternion."""
    w, i, j, k = (x[n] for n in range(3, 7))
    return casadi.vertcat(
        casadi.horzcat(1 - 2 * (j * j + k * k), 2 * (i * j - w * k), 2 * (i * k + w * j)),
        casadi.horzcat(2 * (i * j + w * k), 1 - 2 * (i * i + k * k), 2 * (j * k - w * i)),
        casadi.horzcat(2 * (i * k - w * j), 2 * (j * k + w * i), 1 - 2 * (i * i + j * j)),
    )


def hover_action(p: Mapping[str, float]) -> float:
    """The command at which four rotors carry the weight: 0.334 with the nominal parameters."""
    rpm = (p["mass"] * p["gravity"] / (4 * p["thrust"])) ** 0.5
    return float(2 * rpm / p["rpm_max"] - 1)


def observe(x: SX) -> SX:
    """Position, rotation matrix by rows, velocity, angular velocity."""
    return casadi.vertcat(x[0:3], casadi.reshape(rotation(x).T, 9, 1), x[7:10], x[10:13])


def initial(rng: np.random.Generator, n: int, p: Mapping[str, float], *, tilt: float = np.pi / 2) -> Array:
    """Position within 0.2 m, any attitude within `tilt` (rad), velocity within 1 m/s and 1 rad/s by axis; with
    probability 0.1 at rest at the origin. The rotors turn at hover speed.

    A uniformly random rotation has an axis uniform on the sphere and an angle of density (1 - cos a) / pi; the angle
    comes from the inverse of its distribution, which takes a fixed number of draws where rejection would not.
    """
    grid = np.linspace(0.0, tilt, 1025)
    spread = grid - np.sin(grid)
    angle = np.interp(rng.uniform(0.0, spread[-1], n), spread, grid)
    axis = rng.standard_normal((n, 3))
    axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    x = np.empty((n, N_STATES))
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
    over = casadi.fmax(casadi.fabs(x[0:3]) - BOX_M / 2, 0)
    wall = casadi.sum1(casadi.sqrt(over**2 + 0.01) - 0.1)  # linear soon: what is far out must not drown the rest
    return effort(x, u, u_last) + 120 * wall


def effort(x: SX, u: SX, u_last: SX) -> SX:
    """The cost without the wall."""
    p, q, v, w = x[0:3], x[3:7], x[7:10], x[10:13]
    return (
        4 * casadi.sqrt(casadi.sumsqr(p) + 0.0025)
        + 0.05 * casadi.sumsqr(v)
        + 0.002 * casadi.sumsqr(w)
        + casadi.sumsqr(q[1:4])
        + casadi.sumsqr(u - u_last)  # at a tenth of this weight policies hover in a limit cycle of the thrust
    )


def margin(x: SX) -> SX:
    """The distance to the nearest wall of the box, m."""
    return BOX_M - farthest(x)


def crash(x: SX) -> SX:
    """Positive until it has tumbled (tilted beyond 120 degrees), hit the ground or gone too far."""
    upright = 1 - 2 * (x[4] ** 2 + x[5] ** 2)
    return casadi.fmin(casadi.fmin(upright + 0.5, x[2] + GROUND_M), FAR_M - distance(x))


def predict(p: Mapping[str, float], e: SX, s: SX, a: SX) -> SX:
    """What a guard expects to observe: position from velocity, attitude from the gyroscope; velocity from thrust and
    angular velocity from torque, and these follow what position and attitude say."""
    period = 1 / RATE_HZ
    r, v, w = casadi.reshape(e[3:12], 3, 3).T, e[12:15], e[15:18] * period
    apart = casadi.reshape(s[3:12], 3, 3).T
    pairs = ((0, 1, 2), (1, 2, 0), (2, 0, 1))
    turned = [r[:, i] + (r[:, j] * w[k] - r[:, k] * w[j]) for i, j, k in pairs]
    # The turn between two attitudes, from their rows y and z: the products that tell it where the drone is level.
    behind = casadi.vertcat(*(s * casadi.dot(r[1:, k], apart[1:, j]) for s, k, j in ((1, 2, 1), (-1, 2, 0), (1, 1, 0))))
    t = (a + 1) ** 2
    lift = p["thrust"] * (0.5 * p["rpm_max"]) ** 2 * period
    one, other = t[2] - t[0], t[1] - t[3]
    lever = (p["arm"] / p["inertia_x"], p["arm"] / p["inertia_y"], p["yaw_arm"] / p["inertia_z"])
    moment = casadi.vertcat(one - other, one + other, t[1] + t[3] - t[0] - t[2])
    push = (t[0] + t[1] + t[2] + t[3]) * (lift / p["mass"])
    return casadi.vertcat(
        e[0:3] + period * v,
        casadi.reshape(casadi.horzcat(*turned).T, 9, 1),
        v + (r[:, 2] * push - casadi.vertcat(0, 0, p["gravity"] * period)) + FOLLOW_V * s[0:3],
        e[15:18] + moment * (casadi.vertcat(*lever) * lift) + FOLLOW_W * behind,
    )


def farthest(x: SX) -> SX:
    """The largest coordinate of the position, m."""
    return casadi.fmax(casadi.fmax(casadi.fabs(x[0]), casadi.fabs(x[1])), casadi.fabs(x[2]))


def distance(x: SX) -> SX:
    """From the origin, m."""
    return casadi.sqrt(casadi.sumsqr(x[0:3]))


def set_point(goals: SX) -> tuple[SX, SX]:
    """At rest."""
    return goals, casadi.SX.zeros(3)


def lissajous(goals: SX) -> tuple[SX, SX]:
    """The figure-eight x = cos a, y = sin(2 a) / 2 in the plane z = 0, of goals cos a, sin a, the time flown and the
    pace da/dt in the end. So the phase is a rotating vector, and no sine is computed on the way. At rest at a = pi/2 it
    is the origin: hovering is the figure-eight without pace."""
    c, s, pace = goals[0], goals[1], _pace(goals)
    return casadi.vertcat(c, s * c, 0), pace * casadi.vertcat(-s, c * c - s * s, 0)


def _pace(goals: SX) -> SX:
    return goals[3] * casadi.fmin(goals[2] / RAMP_S, 1)


def lissajous_drift(x: SX, p: Mapping[str, SX]) -> SX:
    """The goals' derivative."""
    goals = x[N_STATES:]
    return casadi.vertcat(-goals[1] * _pace(goals), goals[0] * _pace(goals), 1, 0)


def preview(goals: SX) -> SX:
    """How far along x and y the reference will have moved after each of `PREVIEW_S`, at its present pace."""
    now, _ = lissajous(goals)
    turn = _pace(goals) * PREVIEW_S[0]
    c, s = casadi.cos(turn), casadi.sin(turn)
    columns, ahead = [], goals
    for _ in PREVIEW_S:  # equally far apart
        ahead = casadi.vertcat(c * ahead[0] - s * ahead[1], s * ahead[0] + c * ahead[1], goals[2:4])
        columns.append((lissajous(ahead)[0] - now)[0:2])
    return casadi.vertcat(*columns)


def quadrotor_tasks(nominal: Mapping[str, float]) -> dict[str, Task]:
    """By name, of a quadrotor with these parameters."""
    hover = Task(
        contract=_contract(hover_action(nominal)),
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
        setpoints={**{a: {f"p_{a}": -1.0} for a in "xyz"}, "yaw": {"r_xy": 1.0, "r_yx": -1.0}},  # m, rad
        randomisation=RANDOMISATION,
        crash=crash,
        predict=partial(predict, nominal),
        judged={"r_xx": 6},
        slack={"w_x": 1.0},
    )
    return {
        "hover": hover,
        "step": _step(hover),
        "figure_eight": figure_eight(hover, 5.5),
        "figure_eight_4s5": figure_eight(hover, 4.5),
        "figure_eight_3s5": figure_eight(hover, 3.5),
        "figure_eight_preview": with_preview(figure_eight(hover, 3.5)),
        "throw": _throw(hover),
        "gusts": _gusts(hover),
        "follow": _follow(hover, (4.5, 7.0), hovering=0.5),
        "follow_preview": with_preview(_follow(hover, (3.5, 5.5), hovering=0.1)),
    }


def _against(task: Task, reference: Reference) -> Task:
    """The task on errors against a reference instead of on position and velocity."""

    def error(x: SX) -> SX:
        p, v = reference(x[N_STATES:])
        return casadi.vertcat(x[0:3] - p, x[3:7], x[7:10] - v, x[10:N_STATES])

    return replace(
        task,
        observe=lambda x: task.observe(error(x)),
        cost=lambda x, u, u_last: task.cost(error(x), u, u_last),
        margin=lambda x: task.margin(error(x)),
        crash=lambda x: crash(error(x)),
        scores=tuple(replace(s, expression=_of(s.expression, error)) for s in task.scores),
    )


def _of(outer: Callable[[SX], SX], inner: Callable[[SX], SX]) -> Callable[[SX], SX]:
    return lambda x: outer(inner(x))


def _step(hover: Task) -> Task:
    """From rest at the origin to a set-point within a metre by axis."""

    def start(rng: np.random.Generator, n: int, p: Mapping[str, float]) -> Array:
        x = np.zeros((n, N_STATES + 3))
        x[:, 3], x[:, 13:17] = 1, (hover_action(p) + 1) / 2 * p["rpm_max"]
        x[:, N_STATES:] = rng.uniform(-STEP_M, STEP_M, (n, 3))
        return x.astype(np.float32)

    wide = replace(
        hover,
        initial=start,
        cost=effort,
        margin=lambda x: 2 * STEP_M - farthest(x),
        goals=tuple(Variable(f"target_{a}", "m") for a in "xyz"),
    )
    return _against(wide, set_point)


def figure_eight(hover: Task, lap_s: float) -> Task:
    """Two laps after the ramp, from hover's starts; the error is the root mean square over both."""
    goals = np.array([0, 1, 0, 2 * np.pi / lap_s], np.float32)

    def start(rng: np.random.Generator, n: int, p: Mapping[str, float]) -> Array:
        return np.concatenate([initial(rng, n, p), np.tile(goals, (n, 1))], axis=1)

    return replace(
        _against(_tracking(hover, RAMP_S + 2 * lap_s, last_s=2 * lap_s), lissajous),
        initial=start,
        goals=LISSAJOUS_GOALS,
        drift=lissajous_drift,
    )


def _follow(hover: Task, laps_s: tuple[float, float], hovering: float) -> Task:
    """To train for hover and figure-eights at once: a part of the starts hover, the others are somewhere on their way,
    each with a lap time within `laps_s`."""

    def start(rng: np.random.Generator, n: int, p: Mapping[str, float]) -> Array:
        x = initial(rng, n, p)
        a, lap_s = rng.uniform(0, 2 * np.pi, n), rng.uniform(*laps_s, n)
        elapsed = rng.uniform(0, 2 * RAMP_S, n)
        still = rng.uniform(size=n) < hovering
        a, pace = np.where(still, np.pi / 2, a), np.where(still, 0, 2 * np.pi / lap_s)
        goals = np.stack([np.cos(a), np.sin(a), elapsed, pace])
        position, velocity = (np.array(v, np.float32) for v in REFERENCE.map(n)(goals))
        x[:, 0:3] += position.T
        x[:, 7:10] += velocity.T
        return np.concatenate([x, goals.T.astype(np.float32)], axis=1)

    return replace(
        _against(_tracking(hover, 5.0, last_s=3.0), lissajous),
        initial=start,
        goals=LISSAJOUS_GOALS,
        drift=lissajous_drift,
    )


def with_preview(task: Task) -> Task:
    """The task with what the reference is about to do among its observations."""
    names = [f"ahead_{a}_{round(1000 * s)}ms" for s in PREVIEW_S for a in "xy"]
    inputs, n_obs, expected = task.contract.inputs, task.contract.n_obs, task.predict
    assert expected is not None
    more = tuple(Input(name, "m", "world", -2.0, 2.0) for name in names)
    return replace(
        task,
        contract=replace(task.contract, inputs=(*inputs[:n_obs], *more, *inputs[n_obs:])),
        observe=lambda x: casadi.vertcat(task.observe(x), preview(x[N_STATES:])),
        noise=(*task.noise, *(0.0 for _ in more)),
        typical=(*task.typical, *(0.5 for _ in more)),
        predict=lambda e, s, a: casadi.vertcat(expected(e, s, a), e[n_obs:]),
    )


def _throw(hover: Task) -> Task:
    """Recovery from any attitude, thrown at up to 2 m/s and 5 rad/s by axis, motors idle."""

    def start(rng: np.random.Generator, n: int, p: Mapping[str, float]) -> Array:
        x = initial(rng, n, p, tilt=np.pi)
        x[:, 7:10] *= 2
        x[:, 10:13] *= 5
        x[:, 13:17] = 0
        return x

    return replace(hover, initial=start, cost=effort, margin=lambda x: THROW_BOX_M - farthest(x))


def _gusts(hover: Task) -> Task:
    """Hovering at rest until a gust comes, of the discrete shape (1 - cos) / 2 (MIL-F-8785C, 3.7.3), from anywhere and
    of exponentially distributed force: most are weathered, a few carry any controller out of its box."""

    def start(rng: np.random.Generator, n: int, p: Mapping[str, float]) -> Array:
        x = np.zeros((n, N_STATES + 1))
        x[:, 0:3] = rng.uniform(-0.02, 0.02, (n, 3))
        x[:, 3], x[:, 13:17] = 1, (hover_action(p) + 1) / 2 * p["rpm_max"]
        x[:, N_STATES] = rng.uniform(-1.0, -0.5, n)
        return x.astype(np.float32)

    def force(rng: np.random.Generator, n: int, p: Mapping[str, float]) -> Array:
        way = rng.standard_normal((n, 3))
        way *= rng.exponential(GUST_WEIGHTS * p["mass"] * p["gravity"], (n, 1)) / np.linalg.norm(way, axis=1)[:, None]
        return np.hstack([way, np.zeros((n, 3))]).astype(np.float32)

    def gust(x: SX, d: SX) -> SX:
        phase = casadi.fmin(casadi.fmax(x[N_STATES] / GUST_S, 0), 1)
        return d * (1 - casadi.cos(2 * casadi.pi * phase)) / 2

    return replace(
        hover,
        initial=start,
        disturb=force,
        gust=gust,
        episode_steps=300,
        goals=(Variable("since_gust", "s"),),
        drift=lambda x, p: casadi.SX.ones(1),
        scores=(Score("position_error", "m", distance, last_s=2.5),),
    )


def _tracking(task: Task, episode_s: float, last_s: float) -> Task:
    score = Score("rms_error", "m", distance, last_s=last_s, rms=True)
    return replace(task, episode_steps=round(episode_s * RATE_HZ), scores=(score,))


def _contract(hover: float) -> Contract:
    # Errors further out than the box say no more than their sign; the gyroscope of the Crazyflie ends at 34.9 rad/s.
    observations = (
        *(Input(f"p_{a}", "m", "world", -BOX_M, BOX_M) for a in "xyz"),
        *(Input(f"r_{a}{b}", "1", "body to world", -1.05, 1.05, on_nan=float(a == b)) for a in "xyz" for b in "xyz"),
        *(Input(f"v_{a}", "m/s", "world", -2.0, 2.0) for a in "xyz"),
        *(Input(f"w_{a}", "rad/s", "body", -35.0, 35.0) for a in "xyz"),
    )
    motors = tuple(f"motor_{i}" for i in range(1, 5))
    return Contract(
        inputs=(*observations, *(Input(m, "1", "", -1.0, 1.0, hover, "applied_action") for m in motors)),
        outputs=tuple(Output(m, "1", "", -1.0, 1.0, safe=-1.0) for m in motors),
        rate_hz=RATE_HZ,
        latency_s=LATENCY_S,
    )


LISSAJOUS_GOALS = (
    Variable("phase_cos", "1"), Variable("phase_sin", "1"), Variable("elapsed", "s"), Variable("pace", "rad/s")
)  # fmt: skip
_GOALS = casadi.SX.sym("goals", 4)
REFERENCE = casadi.Function("reference", [_GOALS], list(lissajous(_GOALS)))
