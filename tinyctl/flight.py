"""Closed loop of a plant and a controller in any of its forms, and what it shows: the flight report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tinyctl.boards import Board
from tinyctl.contract import Contract
from tinyctl.errors import TinyctlError
from tinyctl.graph import Graph
from tinyctl.layers.base import Array
from tinyctl.sequences import rates_of, sequenced
from tinyctl.status_log import Event

if TYPE_CHECKING:  # these need the `sim` extra
    from tinyctl.sims.environments import Episodes
    from tinyctl.sims.loop import Estimate, Flights
    from tinyctl.sims.plant import Plant, Task
    from tinyctl.specifications.flights import Kept

SCHEMA = 1
KEPT = 8  # episodes whose trajectories are kept
STRIDE_S = 0.05  # of the trajectories in the report


@dataclass(frozen=True)
class Identity:
    """Which controller it was, whatever its form: both hashes, and the number formats in use. An expert has no graph:
    its hash is empty."""

    contract_hash: str
    graph_hash: str
    formats: tuple[str, ...]


@dataclass(frozen=True)
class Score:
    """A mean over the surviving episodes with its 95 % confidence interval; None where no episode survived."""

    value: float | None
    unit: str
    ci95: tuple[float, float] | None


@dataclass(frozen=True)
class Trajectory:
    """One episode: `states` (times, n_states) and `actions` (times, n_act) every `STRIDE_S` seconds, the
    `disturbances` that it drew, and the changes of the status word until its end."""

    states: list[list[float]]
    actions: list[list[float]]
    disturbances: list[float]
    events: tuple[Event, ...]


@dataclass(frozen=True)
class SpecificationReport:
    """How flights keep to a specification: the fraction of them that does, with its interval, and the `robustness` of
    each episode, which is above zero where it does and lowest, `worst`, in `worst_episode`. None is minus infinity."""

    name: str
    formula: str
    satisfied: float
    satisfied_ci95: tuple[float, float]
    worst: float | None
    worst_episode: int
    robustness: tuple[float | None, ...]


@dataclass(frozen=True)
class FlightReport:
    """`survived` is a fraction with its interval; `failures` are (episode, second of the loss) pairs; `fault` is what
    one sensor of every episode suffered."""

    on: str
    formats: tuple[str, ...]
    plant: str
    task: str
    episodes: int
    seed: int
    delay_s: float
    survived: float
    survived_ci95: tuple[float, float]
    scores: dict[str, Score]
    failures: tuple[tuple[int, float], ...]
    state_names: tuple[str, ...]
    times_s: tuple[float, ...]
    trajectories: tuple[Trajectory, ...]
    contract_hash: str
    graph_hash: str
    specifications: tuple[SpecificationReport, ...] = ()
    disturbance_names: tuple[str, ...] = ()
    fault: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {"schema": SCHEMA, **asdict(self)}


@dataclass(frozen=True)
class EnvironmentReport:
    """Episodes of a Gymnasium environment: scores `return` (the sum of rewards) and `steps`, over all episodes;
    `terminated`: the fraction that the environment ended before its time was up, which may be success or failure."""

    on: str
    formats: tuple[str, ...]
    environment: str
    episodes: int
    seed: int
    terminated: float
    terminated_ci95: tuple[float, float]
    scores: dict[str, Score]
    returns: tuple[float, ...]
    contract_hash: str
    graph_hash: str

    def to_json(self) -> dict[str, Any]:
        return {"schema": SCHEMA, **asdict(self)}


class GraphController:
    """`Graph.run`, one row an episode."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.state = graph.init(0)

    def reset(self, n: int) -> None:
        self.state = self.graph.init(n)

    def step(self, observations: Array) -> Array:
        action, self.state = self.graph.run(observations, self.state)
        return action

    @property
    def status(self) -> Array:
        """The status words (n,) of the last step."""
        return self.state.status

    def set_applied(self, action: Array) -> None:
        """Tell it that something other than its last action was applied, (n, n_act)."""
        self.state = self.state.with_applied(action)


class EmulatedController:
    """The code of an ARM image in the emulator, one struct an episode."""

    def __init__(self, image: Path, board: Board) -> None:
        from tinyctl.sims.mcu.emulator import Emulator

        self.emulator = Emulator(image, board)
        self.structs = self.emulator.initial(0)
        self.status = np.zeros(0, np.uint32)

    def reset(self, n: int) -> None:
        self.structs = self.emulator.initial(n)

    def step(self, observations: Array) -> Array:
        action, self.status = self.emulator.step_batch(self.structs, observations)
        return action

    def set_applied(self, action: Array) -> None:
        """Tell it that something other than its last action was applied, (n, n_act)."""
        self.emulator.set_applied_batch(self.structs, action)


def check_contract(contract: Contract, task: Task, where: str, *, sequences: bool = False) -> None:
    """Refuse to fly a controller in a task whose signals mean something else. With `sequences` its actions may come
    in them: whoever flies it must play them (`tinyctl.sequences`)."""
    expected = sequenced(task.contract, rates_of(contract)) if sequences else task.contract
    if contract.hash == expected.hash:
        return
    ours, theirs = contract.to_json(), expected.to_json()
    part = next(key for key in ours if ours[key] != theirs[key])
    detail = ""
    if isinstance(ours[part], list):
        pairs = zip(ours[part], theirs[part], strict=False)
        first = next((a["name"] for a, b in pairs if a != b), None)
        detail = f" (first at {first})" if first else f" ({len(ours[part])} against {len(theirs[part])})"
    raise TinyctlError(
        f"the controller's {part} are not those of the task{detail}",
        where=where,
        fix="fly it in the task it was made for",
    )


def report(
    plant: Plant, task_name: str, flights: Flights, who: Identity, *, on: str, seed: int, delay_s: float,
    kept: Sequence[Kept] = (), events: Sequence[tuple[Event, ...]] = (), fault: str | None = None,
) -> FlightReport:  # fmt: skip
    """The record of what happened in the flights of the controller `who`, which `kept` to specifications; `events` are
    the changes of the status word in each of the first episodes."""
    from tinyctl.sims.loop import draw

    task = plant.task(task_name)
    survival = flights.survival()
    scores = {s.name: _score(flights.score(s.name), s.unit) for s in task.scores}
    lost = np.flatnonzero(~flights.survived)
    stride, shown = max(1, round(STRIDE_S * task.contract.rate_hz)), min(KEPT, flights.states.shape[1])
    drawn = draw(plant, task, range(shown), seed).d if plant.disturbances else np.zeros((shown, 0))
    ends = np.where(flights.survived, np.inf, flights.lost_s)
    trajectories = tuple(
        Trajectory(
            _rounded(flights.states[::stride, k]),
            _rounded(flights.actions[::stride, k]),
            _rounded(drawn[[k]])[0],
            tuple(e for e in (events[k] if k < len(events) else ()) if e.time_s < ends[k]),
        )
        for k in range(shown)
    )
    return FlightReport(
        on,
        who.formats,
        plant.name,
        task_name,
        len(flights.survived),
        seed,
        delay_s,
        survival.value,
        (survival.low, survival.high),
        scores,
        tuple((int(k), round(float(flights.lost_s[k]), 6)) for k in lost),
        tuple(v.name for v in plant.state_columns(task)),
        tuple(round(float(t), 6) for t in flights.times[::stride]),
        trajectories,
        who.contract_hash,
        who.graph_hash,
        tuple(map(_kept, kept)),
        disturbance_names=tuple(f"{v.name}, {v.unit}" for v in plant.disturbances),
        fault=fault,
    )


def environment_report(name: str, flown: Episodes, who: Identity, *, on: str, seed: int) -> EnvironmentReport:
    """The record of the episodes that the controller `who` flew."""
    from tinyctl.sims.loop import fraction_estimate, mean_estimate

    ended = fraction_estimate(int(flown.terminated.sum()), len(flown.terminated))
    scores = {
        "return": _score(mean_estimate(flown.returns), "1"),
        "steps": _score(mean_estimate(flown.steps), "1"),
    }
    return EnvironmentReport(
        on,
        who.formats,
        name,
        len(flown.returns),
        seed,
        ended.value,
        (ended.low, ended.high),
        scores,
        tuple(float(r) for r in flown.returns),
        who.contract_hash,
        who.graph_hash,
    )


def _kept(kept: Kept) -> SpecificationReport:
    from tinyctl.sims.loop import fraction_estimate

    told = [float(f"{v:.6g}") if np.isfinite(v) else None for v in kept.robustness]
    satisfied, worst = fraction_estimate(int(kept.holds.sum()), len(kept.holds)), int(np.argmin(kept.robustness))
    interval = satisfied.low, satisfied.high
    name, text = kept.specification.name, kept.specification.text
    return SpecificationReport(name, text, satisfied.value, interval, told[worst], worst, tuple(told))


def _score(estimate: Estimate | None, unit: str) -> Score:
    if estimate is None:
        return Score(None, unit, None)
    finite = np.isfinite([estimate.low, estimate.high]).all()
    return Score(estimate.value, unit, (estimate.low, estimate.high) if finite else None)


def _rounded(rows: Array) -> list[list[float]]:
    return [[float(f"{v:.6g}") for v in row] for row in rows]
