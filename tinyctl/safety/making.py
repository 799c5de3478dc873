"""A guard for a policy: limits, thresholds and fallback from flights of the compiled controller, nothing set by hand.

The limits of the sensor groups and the monitor's threshold come from split conformal calibration (Vovk et al., 2005):
of n flights that were not trained on, the k-th largest value, with k so that a further flight exceeds it with the
wanted probability at most.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import casadi
import numpy as np

from tinyctl.contract import Contract
from tinyctl.errors import TinyctlError
from tinyctl.flight import GraphController, check_contract
from tinyctl.graph import Graph
from tinyctl.layers.base import Array
from tinyctl.safety.fallback import choose_fallback
from tinyctl.safety.guard import Group, Guard, Guarded, GuardState, Rules, groups_of
from tinyctl.safety.mining import Calm, crash_kernel, heavier, mine, starts
from tinyctl.safety.monitor import fit_monitor, silent
from tinyctl.safety.program import Program, program_of
from tinyctl.sims.kernel import Kernel
from tinyctl.sims.loop import Draws, close_loop
from tinyctl.sims.plant import Plant, Task

REACH = 2.0  # times the contract's range: the screen clamps what is less far out
AGE_PERIODS = 2.5  # an observation older than this is late
UNLIMITED = 1e8
MARGIN = 1.3  # of a squared limit over what was seen
OUTSIDE = 0.02  # share of the good flights beyond the trained range that may exceed a limit
HOLD_S, BLIND_S, DWELL_S, REARM_S = 0.5, 0.3, 0.5, 1.0
TIMES = 3  # that a sensor may jump, and that the fallback takes over, before it is for good


@dataclass(frozen=True)
class Config:
    """How a guard is made."""

    flights: int = 500
    """Flights of a calibration, and of each part of the mining."""
    false_alarms: float = 0.01
    """Share of the flights inside the trained range in which the guard may interfere, all causes together."""
    false_negatives: float = 0.1
    """Share of the failing flights that the monitor may miss: the budget its threshold is tuned to."""
    randomised: bool = False
    """The policy was trained with domain randomisation, so the trained range is what that draws."""
    horizon_s: float = 1.0
    """A state fails when the flight ends within this time."""


@dataclass(frozen=True)
class Report:
    """What was found: `crashed_without` and `crashed_with` the guard are shares of flights in and outside the trained
    range, `interfered` is the share of those inside in which it did anything, `missed` that of the failing flights
    without an alarm in time, `limits` those of the sensor groups, `fallback` which regulator was taken."""

    crashed_without: dict[str, float]
    crashed_with: dict[str, float]
    interfered: float
    missed: float
    limits: dict[str, float]
    watched: tuple[str, ...]
    threshold: float
    fallback: dict[str, Any]
    contract_hash: str
    graph_hash: str

    def to_json(self) -> dict[str, Any]:
        return {"schema": 1, **asdict(self)}


def predictions(task: Task) -> list[Program]:
    """What a guard expects of each sensor group, from the task's `predict`; what it saw last where there is none."""
    contract = task.contract
    seen, s = casadi.SX.sym("seen", contract.n_obs + contract.n_act), casadi.SX.sym("s", contract.n_obs)
    e, a = seen[: contract.n_obs], seen[contract.n_obs :]
    expected = e if task.predict is None else casadi.densify(task.predict(e, s, a))
    if expected.shape != (contract.n_obs, 1):
        raise TinyctlError(f"predict has shape {expected.shape}, not ({contract.n_obs}, 1)", where="task")
    return [program_of(casadi.Function("predict", [seen, s], [casadi.cse(expected[first : first + count])]))
            for _, first, count in groups_of(contract)]  # fmt: skip


def conformal(values: Array, share: float) -> float:
    """The value that a further one exceeds with probability `share` at most; the largest and a tenth where there are
    too few for that."""
    rank = math.ceil((len(values) + 1) * (1 - share))
    ordered = np.sort(values)
    return float(ordered[rank - 1]) if rank <= len(values) else float(ordered[-1] + 0.1 * abs(ordered[-1]))


def make_guard(
    policy: Graph, plant: Plant, task: Task, *, config: Config = Config(), seed: int = 0, delay_s: float = 0.0,
    progress: Callable[[int, int, str], None] | None = None,
) -> tuple[Guarded, Report]:  # fmt: skip
    """Make a guard for `policy` and say what it is worth. Raises `TinyctlError` when the policy is not of this task."""
    tell = progress or (lambda done, total, note: None)
    check_contract(policy.contract, task, f"plant {plant.name}")
    if isinstance(policy, Guarded):
        raise TinyctlError("it has a guard already", fix="make one for the graph that it was made from")
    kernel, n = crash_kernel(plant, task), config.flights
    inside = Calm(plant, task, config.randomised)

    def drawn(which: int) -> dict[str, Draws]:
        return {"inside": starts(kernel, n, seed + 2 * which, parameters=inside),
                "outside": starts(kernel, n, seed + 2 * which + 1, parameters=heavier(plant))}  # fmt: skip

    tell(0, 4, "fallback")
    fallback, how = choose_fallback(kernel, seed, delay_s)
    tell(1, 4, "limits")
    groups = unlimited(policy.contract, task)
    guard = Guard(groups, silent(policy.contract.n_obs), rules_at(policy.contract.rate_hz), task.lag_s or 0.0, fallback)
    share = config.false_alarms / (4 * len(groups))
    limits = _limits(Guarded(policy.contract, policy.nodes, guard), kernel, drawn(1), share, delay_s)
    groups = tuple(g.limited(limit) for g, limit in zip(groups, limits, strict=True))
    tell(2, 4, "mining")
    mined = {name: mine(policy, kernel, d, delay_s) for name, d in drawn(2).items()}
    monitor, missed = fit_monitor(mined, task, config.horizon_s, config.false_alarms * 0.75, config.false_negatives)
    guarded = Guarded(policy.contract, policy.nodes, replace(guard, groups=groups, monitor=monitor))
    tell(3, 4, "trial")
    without, with_, interfered = {}, {}, 0.0
    for name, d in drawn(3).items():
        without[name] = crashed(kernel, d, GraphController(policy), delay_s)
        watched = Interference(guarded)
        with_[name] = crashed(kernel, d, watched, delay_s)
        interfered = float(watched.any.mean()) if name == "inside" else interfered
    names = [s.name for s in task.contract.inputs[: task.contract.n_obs]]
    read = tuple(f"{names[v % len(names)]}{'^2' if v >= len(names) else ''}" for v in monitor.values)
    found = {g.name: g.limit for g in groups}
    return guarded, Report(without, with_, interfered, missed, found, read, monitor.threshold, how,
                           guarded.contract.hash, guarded.hash)  # fmt: skip


def crashed(kernel: Kernel, drawn: Draws, controller: Any, delay_s: float) -> float:
    """The share of flights that crash."""
    return float(1 - close_loop(kernel, drawn, controller, delay_s=delay_s, keep=0).survived.mean())


class Interference(GraphController):
    """A guarded controller that keeps in which flights the guard did `any`thing (n,)."""

    def reset(self, n: int) -> None:
        super().reset(n)
        self.any = np.zeros(n, bool)

    def step(self, observations: Array) -> Array:
        action = super().step(observations)
        self.any |= self.state.status > 0
        return action


def rules_at(rate_hz: float) -> Rules:
    """The rules for a policy that is stepped so often."""
    hold, blind, dwell, rearm = (max(1, round(s * rate_hz)) for s in (HOLD_S, BLIND_S, DWELL_S, REARM_S))
    return Rules(hold, TIMES, blind, dwell, rearm, TIMES)


def unlimited(contract: Contract, task: Task) -> tuple[Group, ...]:
    """The sensor groups, with limits that nothing reaches."""
    signals, made = contract.inputs, []
    for (name, first, count), predict in zip(groups_of(contract), predictions(task), strict=True):
        reach = REACH * max(max(abs(s.low), abs(s.high)) for s in signals[first : first + count])
        noisy = [i for i in range(first, first + count) if task.noise[i] > 0]
        # A small number has the finer bits, which noise never shows twice.
        watch = min(noisy, key=lambda i: abs(signals[i].on_nan), default=-1) if len(noisy) == count else -1
        made.append(Group(name, first, count, predict, UNLIMITED, float(task.slack.get(name, 0.0)), reach,
                          AGE_PERIODS / contract.rate_hz, watch, task.judged.get(name, count)))  # fmt: skip
    return tuple(made)


def _limits(guarded: Guarded, kernel: Kernel, drawn: dict[str, Draws], share: float, delay_s: float) -> list[float]:
    """The limit of each group: of the flights that do not crash, `share` exceed it inside the trained range, `OUTSIDE`
    beyond."""
    found = []
    for name, d in drawn.items():
        largest = _Largest(guarded)
        flown = close_loop(kernel, d, largest, delay_s=delay_s, keep=0)
        far = np.maximum(largest.far[flown.survived], 1e-12)  # a crash is no example of good sensors
        rare = share if name == "inside" else OUTSIDE
        found.append([conformal(column, rare) for column in far.T])
    return [math.sqrt(MARGIN * max(both)) for both in zip(*found, strict=True)]


class _Largest(GraphController):
    """A guarded controller that keeps the largest distance, squared, of each group from its prediction (n, groups)."""

    def reset(self, n: int) -> None:
        super().reset(n)
        self.far = np.zeros((n, 1))
        self._begun = False

    def step(self, observations: Array) -> Array:
        action = super().step(observations)
        assert isinstance(self.state, GuardState)
        assert self.state.far is not None
        if self._begun:  # the first observation is held against nothing
            self.far = np.maximum(self.far, self.state.far)
        self._begun = True
        return action
