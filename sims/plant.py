"""How a plant is declared: symbols, units and ranges once, for simulator, gradients, training and flight alike.

A plant file (`sims/plants/NAME.py`, or any file given by path) holds one `PLANT = Plant(...)`. Expressions are CasADi
SX, built by functions of column vectors `x` (states), `u` (inputs), `d` (disturbances) and a mapping `p` from parameter
names to scalars. They must be smooth where the plant goes: `norm_2` at zero has a NaN gradient.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tinyctl.contract import Contract, check_identifier
from tinyctl.errors import TinyctlError

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
    """A figure of merit of one episode: the mean of `expression(x)` (a scalar, in `unit`) over its last `last_s`."""

    name: str
    unit: str
    expression: Callable[[SX], SX]
    last_s: float


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

    Hints for training: `typical` is the magnitude of each observation column, by which a policy divides it. With
    `lag_s` a policy also sees its applied actions through a first-order lag of that time constant, as the actuators
    do; `integral_limits` names observation columns whose integral it keeps, and its limit in the column's unit times s.
    `setpoints` names what can be asked for beside the task itself, and how a unit of it moves observation columns: by
    it a controller is led along a trajectory that shows the plant (`sims.excitation`).
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
    setpoints: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

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

    def __post_init__(self) -> None:
        check_identifier(self.name, "plant")
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
            names = [check_identifier(v.name, "state or goal") for v in self.state_columns(task)]
            if len(set(names)) != len(names):
                raise TinyctlError("a name stands twice among states and goals", where=f"task {name}")

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

    def randomise(self, rng: np.random.Generator, n: int) -> Array:
        """(n, parameters) float32, each uniform in its range."""
        low, high = (np.array([getattr(q, side) for q in self.parameters]) for side in ("low", "high"))
        return rng.uniform(low, high, (n, len(self.parameters))).astype(np.float32)
