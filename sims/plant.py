"""How a plant is declared: symbols, units and ranges once, for simulator, gradients, training and flight alike.

A plant file (`sims/plants/NAME.py`, or any file given by path) holds one `PLANT = Plant(...)`. Expressions are CasADi
SX, built by functions of column vectors `x` (states), `u` (inputs), `d` (disturbances) and a mapping `p` from parameter
names to scalars. They must be smooth where the plant goes: `norm_2` at zero has a NaN gradient.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tinyctl.contract import Contract, check_identifier
from tinyctl.errors import TinyctlError
from tinyctl.sims.curriculum import Curriculum

SX: TypeAlias = Any  # casadi.SX, which has no type stubs; a column vector unless said otherwise
Array: TypeAlias = NDArray[Any]


@dataclass(frozen=True)
class Variable:
    """A state, an input or a disturbance: one scalar with its unit."""

    name: str
    unit: str


@dataclass(frozen=True)
class Parameter:
    """A constant of the plant: nominal value, and the range from which domain randomisation draws."""

    name: str
    unit: str
    nominal: float
    low: float
    high: float


@dataclass(frozen=True)
class Score:
    """A figure of merit of one episode: the mean of `expression(x)` (a scalar, in `unit`) over its last `last_s`, or
    with `rms` the root of the mean square."""

    name: str
    unit: str
    expression: Callable[[SX], SX]
    last_s: float
    rms: bool = False


@dataclass(frozen=True)
class Loop:
    """A PID loop of a task's baseline: the output called `output` is its initial value plus `kp e + ki ∫e dt +
    kd de/dt` of the scalar `error(x)`, which asks for more of the output where it is positive."""

    output: str
    error: Callable[[SX], SX]
    kp: float
    ki: float = 0.0
    kd: float = 0.0


@dataclass(frozen=True)
class Spread:
    """Parameters that are drawn together: each is its nominal value times one factor between `low` and `high`, uniform
    or, with `log`, uniform in its logarithm."""

    names: tuple[str, ...]
    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.low <= self.high < math.inf:
            raise TinyctlError(f"factors from {self.low} to {self.high}", where=f"spread of {', '.join(self.names)}",
                               fix="0 < low <= high")  # fmt: skip

    def draw(self, rng: np.random.Generator, n: int) -> Array:
        """(n,) factors."""
        if self.log:
            return np.exp(rng.uniform(math.log(self.low), math.log(self.high), n))
        return rng.uniform(self.low, self.high, n)


@dataclass(frozen=True)
class Randomisation:
    """What domain randomisation draws for an episode: factors of parameters, and a delay uniform in `late_s` (s) that
    joins the task's own. Parameters that no spread names stay nominal."""

    spreads: tuple[Spread, ...]
    late_s: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        if not 0 <= self.late_s[0] <= self.late_s[1] < math.inf:
            raise TinyctlError(f"a delay from {self.late_s[0]} s to {self.late_s[1]} s", where="randomisation")


@dataclass(frozen=True)
class Task:
    """What a controller is asked to do with a plant.

    `observe(x)` gives the observation columns of the contract in their order, to which normal noise of standard
    deviation `noise` (n_obs,) is added; the applied-action columns are the controller's own. `initial(rng, n, p)` and
    `disturb(rng, n, p)` draw (n, states) and (n, disturbances), with `p` from parameter names to numbers.
    `cost(x, u, u_last)` is what training minimises, a scalar a control period. `margin(x)` is positive until the
    episode is lost. `episode_steps` control periods make an episode.

    What the controller is asked to follow are `goals`: further states behind the plant's own, which no input moves. In
    all functions of the task `x` holds both, and `initial` draws both. `drift(x, p)` is the goals' derivative; without
    it they stay as drawn: a set-point is a goal at rest, the place on a curve one that drifts.

    For a guard: `crash(x)` is positive until the plant is destroyed (the margin where there is none). `predict(e, s,
    a)` is what each observation column should be, made of sums and products only: from the estimate `e` (n_obs) of one
    control period ago, of groups of columns before its own already of this one; from how far `s` (n_obs) those groups
    are from their predictions, 0 where they were not trusted; and from the applied actions `a` (n_act), lagged where
    there is a `lag_s`. Without it a guard expects what it saw last. `slack` names the first column of groups whose
    prediction is of a model that may be wrong by that share, `judged` of groups whose last so many columns tell all.

    `gust(x, d)` is what acts, of the disturbances `d` of an episode, in state `x`; without it all of them all the time.

    Sensors and actuators are `late_s` seconds late, beside the time a controller computes: what it says at one moment
    moves the plant so much later, which may be more than a control period. `randomisation` says what domain
    randomisation draws; without it every parameter is uniform in its own range.

    Hints for training: `typical` is the magnitude of each observation column, by which a policy divides it. With
    `lag_s` a policy also sees its applied actions through a first-order lag of that time constant, as the actuators
    do; `integral_limits` names observation columns whose integral it keeps, and its limit in the column's unit times s.
    `setpoints` names what can be asked for beside the task itself, and how a unit of it moves observation columns: by
    it a controller is led along a trajectory that shows the plant (`sims.excitation`). `curriculum` is what training
    begins with.

    For baselines: `loops` are the PID loops of a task that has them; `horizon` is how many control periods a predictive
    controller looks ahead.
    """

    contract: Contract
    observe: Callable[[SX], SX]
    noise: tuple[float, ...]
    initial: Callable[[np.random.Generator, int, Mapping[str, float]], Array]
    disturb: Callable[[np.random.Generator, int, Mapping[str, float]], Array]
    cost: Callable[[SX, SX, SX], SX]
    margin: Callable[[SX], SX]
    episode_steps: int
    scores: tuple[Score, ...]
    typical: tuple[float, ...]
    lag_s: float | None = None
    integral_limits: Mapping[str, float] = field(default_factory=dict)
    goals: tuple[Variable, ...] = ()
    drift: Callable[[SX, Mapping[str, SX]], SX] | None = None
    gust: Callable[[SX, SX], SX] | None = None
    setpoints: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    loops: tuple[Loop, ...] = ()
    horizon: int = 40
    late_s: float = 0.0
    randomisation: Randomisation | None = None
    crash: Callable[[SX], SX] | None = None
    predict: Callable[[SX, SX, SX], SX] | None = None
    slack: Mapping[str, float] = field(default_factory=dict)
    judged: Mapping[str, int] = field(default_factory=dict)
    curriculum: Curriculum | None = None

    def __post_init__(self) -> None:
        if len(self.noise) != self.contract.n_obs or not all(math.isfinite(s) and s >= 0 for s in self.noise):
            raise TinyctlError(f"noise is not {self.contract.n_obs} non-negative numbers", where="task")
        if len(self.typical) != self.contract.n_obs or not all(math.isfinite(s) and s > 0 for s in self.typical):
            raise TinyctlError(f"typical is not {self.contract.n_obs} positive numbers", where="task")
        if unknown := set(self.integral_limits) - {s.name for s in self.contract.inputs[: self.contract.n_obs]}:
            raise TinyctlError(f"integral of {min(unknown)!r}, which is not an observation", where="task")
        moved = {column for columns in self.setpoints.values() for column in columns}
        if unknown := moved - {s.name for s in self.contract.inputs[: self.contract.n_obs]}:
            raise TinyctlError(f"set-point of {min(unknown)!r}, which is not an observation", where="task")
        if unknown := {*self.slack, *self.judged} - {s.name for s in self.contract.inputs[: self.contract.n_obs]}:
            raise TinyctlError(f"slack or judged of {min(unknown)!r}, which is not an observation", where="task")
        if unknown := {loop.output for loop in self.loops} - {s.name for s in self.contract.outputs}:
            raise TinyctlError(f"a loop for {min(unknown)!r}, which is not an output", where="task")
        if not 0 <= self.late_s < math.inf:
            raise TinyctlError(f"a delay of {self.late_s} s", where="task")
        if self.horizon < 1:
            raise TinyctlError(f"a horizon of {self.horizon} periods", where="task", fix="at least one")
        for score in self.scores:
            check_identifier(score.name, "score")
            if not 0 < score.last_s <= self.episode_steps / self.contract.rate_hz:
                raise TinyctlError(f"last_s {score.last_s} is not within the episode", where=f"score {score.name}")

    @property
    def period_s(self) -> float:
        """The control period, s."""
        return 1.0 / self.contract.rate_hz


@dataclass(frozen=True)
class Plant:
    """`derivative(x, u, p, d)` is dx/dt; `project(x, p)` is applied after every integration step (renormalisation,
    clamps). `variants` names published parameter sets as changes of the nominal values. The first task is the default.
    `measured` names the parameters that a ruler or a data sheet tells: identification does not fit them.

    `integrator` is `rk4`, or `euler` for a plant that is a difference equation at its control period T: with
    `derivative` the change in one period over T, a step of T is that equation to the letter.
    """

    name: str
    states: tuple[Variable, ...]
    inputs: tuple[Variable, ...]
    parameters: tuple[Parameter, ...]
    disturbances: tuple[Variable, ...]
    derivative: Callable[[SX, SX, Mapping[str, SX], SX], SX]
    tasks: Mapping[str, Task]
    project: Callable[[SX, Mapping[str, SX]], SX] = lambda x, p: x
    variants: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    measured: tuple[str, ...] = ()
    integrator: Literal["rk4", "euler"] = "rk4"

    def __post_init__(self) -> None:
        check_identifier(self.name, "plant")
        if self.integrator not in ("rk4", "euler"):
            raise TinyctlError(f"no integrator {self.integrator!r:.20}", where=f"plant {self.name}", fix="rk4 or euler")
        for kind in ("states", "inputs", "parameters", "disturbances"):
            names = [check_identifier(v.name, kind) for v in getattr(self, kind)]
            if len(set(names)) != len(names):
                raise TinyctlError(f"a name stands twice among the {kind}", where=f"plant {self.name}")
        if not self.states or not self.inputs or not self.tasks:
            raise TinyctlError("a plant needs states, inputs and at least one task", where=f"plant {self.name}")
        for q in self.parameters:
            if not -math.inf < q.low <= q.nominal <= q.high < math.inf:
                raise TinyctlError(f"nominal {q.nominal} is not in [{q.low}, {q.high}]", where=f"parameter {q.name}")
        known = {q.name for q in self.parameters}
        if unknown := set(self.measured) - known:
            raise TinyctlError(f"unknown parameter {min(unknown)!r}", where="measured")
        for name, changes in self.variants.items():
            if unknown := set(changes) - known:
                raise TinyctlError(f"unknown parameter {min(unknown)!r}", where=f"variant {name}")
        for name, task in self.tasks.items():
            if task.contract.n_act != len(self.inputs):
                raise TinyctlError(f"{task.contract.n_act} outputs for {len(self.inputs)} inputs", where=f"task {name}")
            spread = {q for s in task.randomisation.spreads for q in s.names} if task.randomisation else set()
            if unknown := spread - known:
                raise TinyctlError(f"randomises the unknown parameter {min(unknown)!r}", where=f"task {name}")
            names = [check_identifier(v.name, "state or goal") for v in self.state_columns(task)]
            if len(set(names)) != len(names):
                raise TinyctlError("a name stands twice among states and goals", where=f"task {name}")
            if unknown := set(task.curriculum.easiest if task.curriculum else ()) - set(names):
                raise TinyctlError(f"eases the unknown state {min(unknown)!r}", where=f"task {name}")

    def task(self, name: str | None = None) -> Task:
        """The task called `name`, or the first one; raises `TinyctlError` for an unknown name."""
        if name is None:
            return next(iter(self.tasks.values()))
        if name not in self.tasks:
            raise TinyctlError(f"no task {name!r}", where=f"plant {self.name}", fix=f"one of {', '.join(self.tasks)}")
        return self.tasks[name]

    def state_columns(self, task: Task) -> tuple[Variable, ...]:
        """The columns of `x` at a task: the plant's states, then the task's goals."""
        return self.states + task.goals

    def nominal(self, variant: str | None = None) -> dict[str, float]:
        """Parameter values of the plant, or of one of its `variants`, by name."""
        if variant is not None and variant not in self.variants:
            raise TinyctlError(
                f"no variant {variant!r}", where=f"plant {self.name}", fix=f"one of {', '.join(self.variants)}"
            )
        changes = self.variants[variant] if variant is not None else {}
        return {q.name: float(changes.get(q.name, q.nominal)) for q in self.parameters}

    def randomise(
        self, task: Task, rng: np.random.Generator, n: int, nominal: Mapping[str, float]
    ) -> tuple[Array, Array]:
        """What domain randomisation draws at a task: parameters (n, parameters) float32 around the `nominal` ones, and
        delays (n,) in s, the task's own included."""
        asked = task.randomisation
        if asked is None:
            low, high = (np.array([getattr(q, side) for q in self.parameters]) for side in ("low", "high"))
            drawn = rng.uniform(low, high, (n, len(self.parameters)))
            return drawn.astype(np.float32), np.full(n, task.late_s)
        drawn = np.tile(np.array([*nominal.values()]), (n, 1))
        for spread in asked.spreads:
            factor = spread.draw(rng, n)
            for name in spread.names:
                drawn[:, [*nominal].index(name)] *= factor
        return drawn.astype(np.float32), task.late_s + rng.uniform(*asked.late_s, n)
