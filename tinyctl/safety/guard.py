"""The guard around a policy: what it checks, what it puts in the place of bad sensors, and who flies.

`Guarded.run` is the definition; the C that `safety.emitting` writes equals it bit for bit. One step:

1. Sensor groups (columns of one unit and frame) are judged one after the other. `predict` says what the group should
   be, from what was seen a step ago, from how far the groups before it are from their predictions, and from the lagged
   actions.
2. A group is bad when a column is not finite, when it is late, when it repeats its last bits, or when it has jumped:
   further from the prediction than its limit. Further than its reach it is out of range, else it is distrusted for
   `hold` steps, after the `faults`-th such jump for good.
3. What is seen, by the controllers and by the next predictions, is the prediction in a bad group's place.
4. A monitor scores how near this closed loop is to failing. Above its threshold the fallback takes over for at least
   `dwell` steps; `rearm` calm steps in a row hand back, unless it was the `trips`-th time.
5. What differs at the change of controllers fades by `fade` a step. All groups bad for `blind` steps: the safe action.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from tinyctl.contract import Contract, check_identifier
from tinyctl.errors import TinyctlError
from tinyctl.graph import Graph
from tinyctl.jsons import record_from_json
from tinyctl.layers.base import F32, FLT_MAX, Array
from tinyctl.layers.lag import Lag
from tinyctl.network import REJECTED, State
from tinyctl.safety.program import Program

# Bits of the status word beside REJECTED, which says that a column was not finite. From GROUP_SHIFT on, one for each
# group that was replaced. docs/guard.md lists them; the header has them as macros.
OUT_OF_RANGE, STUCK, LATE, JUMP, ALARM, FALLBACK, SAFE = (1 << i for i in range(1, 8))
REASONS = {"out_of_range": OUT_OF_RANGE, "stuck": STUCK, "late": LATE, "jump": JUMP, "alarm": ALARM,
           "fallback": FALLBACK, "safe": SAFE}  # fmt: skip
GROUP_SHIFT, MAX_GROUPS = 8, 16
MAX_COUNT = 1 << 20
UNKNOWN, FOREVER = 0xFFFFFFFE, 0xFFFFFFFF  # in place of the steps that a group is still held
SCORE = 100.0  # the monitor's score stays within this magnitude
FADES = 32  # steps that a difference fades, after which it is dropped
U32 = np.uint32


@dataclass(frozen=True)
class Group:
    """Columns `first` to `first + count - 1` of the observation: one sensor.

    `predict` reads what was seen and the lagged actions (n_obs + n_act), and the distances (n_obs) of the groups before
    from their predictions. `limit` is the (Euclidean) distance from the prediction at which it has jumped, wider by the
    share `slack` of how far the prediction moves: of a model that may be wrong by that much. `reach` is the distance at
    which it is out of range, `age_s` how old it may be. A sensor is stuck when column `watch` repeats its bits; -1 for
    one without noise. Its last `judged` columns are compared; the others only tell the same again.
    """

    name: str
    first: int
    count: int
    predict: Program
    limit: float
    slack: float
    reach: float
    age_s: float
    watch: int
    judged: int

    @property
    def columns(self) -> slice:
        return slice(self.first, self.first + self.count)

    def limited(self, limit: float) -> Group:
        """The same with another limit."""
        return replace(self, limit=limit)


@dataclass(frozen=True)
class Monitor:
    """`score += rate (raw - score)` with `raw = bias + sum weight value`, at first that of the `on_nan` values; an
    alarm above `threshold`. A value is one of the `n_obs` columns, or with an index from n_obs on its square."""

    n_obs: int
    values: tuple[int, ...]
    weights: tuple[float, ...]
    bias: float
    rate: float
    threshold: float

    def raw(self, seen: Array) -> Array:
        """(n,) of what is seen (n, n_obs or more)."""
        total: Array = np.full(len(seen), self.bias, F32)
        for value, weight in zip(self.values, self.weights, strict=True):
            x = seen[:, value % self.n_obs]
            total = total + F32(weight) * (x if value < self.n_obs else x * x)
        return total


@dataclass(frozen=True)
class Rules:
    """Counts, in steps of the policy but for `faults` and `trips`; see the module."""

    hold: int
    faults: int
    blind: int
    dwell: int
    rearm: int
    trips: int
    fade: float = 0.7

    def __post_init__(self) -> None:
        counts = (self.hold, self.faults, self.blind, self.dwell, self.rearm, self.trips)
        if not all(0 < n <= MAX_COUNT for n in counts) or not 0 <= self.fade < 1:
            raise TinyctlError(f"a count is not from 1 to {MAX_COUNT}, or fade not below 1", where="guard rules")


@dataclass(frozen=True)
class Guard:
    """All that a guard is made of. The fallback is a graph without memory: observations in ranges of its own, then the
    lagged actions. `lag_s` is the time constant of the actuators, 0 for none."""

    groups: tuple[Group, ...]
    monitor: Monitor
    rules: Rules
    lag_s: float
    fallback: Graph

    def __post_init__(self) -> None:
        n_obs, n_all = self.n_obs, self.fallback.contract.n_obs
        columns, compared = 0, set[int]()
        for g in self.groups:
            check_identifier(g.name, "group")  # it becomes C
            sound = g.first == columns and 0 < g.judged <= g.count and 0 < g.limit < 1e9 and 0 < g.reach < 1e9
            watched = g.watch == -1 or g.first <= g.watch < g.first + g.count
            if not (sound and watched and 0 <= g.slack < 1e3 and 0 <= g.age_s < 1e9):
                raise TinyctlError("columns do not follow one another, or a number is out of range",
                                   where=f"group {g.name}")  # fmt: skip
            if g.predict.inputs != (n_all, n_obs) or len(g.predict.outputs) != g.count:
                raise TinyctlError("the prediction is not of its columns", where=f"group {g.name}")
            if not g.predict.reads(1) <= compared:
                raise TinyctlError("its prediction reads distances that are not known yet", where=f"group {g.name}")
            columns += g.count
            compared |= set(range(columns - g.judged, columns))
        if not 0 < len(self.groups) <= MAX_GROUPS or columns != n_obs or n_obs < 1 or self.fallback.stateful:
            raise TinyctlError(f"{len(self.groups)} groups of {columns} columns, or a fallback with memory",
                               where="guard")  # fmt: skip
        m = self.monitor
        if (
            m.n_obs != n_obs
            or not all(0 <= v < 2 * n_obs for v in m.values)
            or len(m.values) != len(m.weights)
            or not 0 < m.rate <= 1
        ):
            raise TinyctlError("reads what is not observed, or its rate is out of range", where="guard monitor")
        if not all(abs(v) < FLT_MAX for v in (*m.weights, m.bias, m.threshold)) or self.alpha <= 0:
            raise TinyctlError("a number is not finite", where="guard monitor")

    @property
    def n_obs(self) -> int:
        """Observation columns of the policy."""
        return self.fallback.contract.n_obs - self.fallback.contract.n_act

    @property
    def alpha(self) -> np.float32:
        """How much the lagged action follows the applied one in a step."""
        rate_hz = self.fallback.contract.rate_hz
        return Lag(1, (0,), self.lag_s, np.zeros(1, F32)).alpha(rate_hz) if self.lag_s else F32(1)

    def to_json(self) -> dict[str, Any]:
        """Everything but the fallback, which is stored as the graph that it is."""
        return {"groups": [asdict(g) for g in self.groups], "monitor": asdict(self.monitor),
                "rules": asdict(self.rules), "lag_s": self.lag_s}  # fmt: skip


@dataclass(frozen=True)
class GuardState(State):
    """`memory` holds the guard's own words in the order of the emitted struct; the policy's state is beside it. `far`
    (n, groups) is how far groups were from their predictions, squared, less what the motion of these explains."""

    policy: State | None = None
    far: Array | None = None

    def with_applied(self, action: Array) -> GuardState:
        assert self.policy is not None
        return replace(self, applied=np.array(action, F32), policy=self.policy.with_applied(action))

    def with_late(self, late: Array) -> GuardState:
        """The state after the groups (n, groups) bool were said to be late, until told otherwise."""
        bits = (late.astype(U32) << np.arange(late.shape[1], dtype=U32)).sum(axis=1, dtype=U32)
        return replace(self, memory={**self.memory, "late": (bits[:, None],)})


@dataclass(frozen=True)
class Guarded(Graph):
    """A policy's graph and the guard around it, stepped as one controller. It has no integer entry."""

    kind: ClassVar[str] = "guarded"

    guard: Guard = field(repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        ours, theirs, n = self.contract, self.guard.fallback.contract, self.guard.n_obs
        same = [(s.name, s.unit, s.frame) for s in ours.inputs[: ours.n_obs]] == [
            (s.name, s.unit, s.frame) for s in theirs.inputs[:n]
        ]
        if not same or ours.outputs != theirs.outputs or ours.rate_hz != theirs.rate_hz:
            raise TinyctlError("the guard was made for other signals", fix="make it from this policy: tinyctl guard")

    @cached_property
    def policy(self) -> Graph:
        """The graph without its guard."""
        return Graph(self.contract, self.nodes)

    @property
    def integer_entry(self) -> None:
        return None

    def start(self) -> dict[str, Array]:
        """The guard's words before the first step, by name, in the order of the emitted struct."""
        n_obs, groups = self.contract.n_obs, len(self.guard.groups)
        action = self.contract.initial_applied()
        seen = np.array([*(s.on_nan for s in self.contract.inputs[:n_obs]), *action], F32)
        single = ("late", "flies", "dwell", "calm", "trips", "fades", "blind")
        return {
            "seen": seen,
            "fading": np.zeros(len(action), F32),
            "score": self.guard.monitor.raw(seen[None]),
            "last": np.zeros(groups, U32),
            "held": np.full(groups, UNKNOWN, U32),
            "faults": np.zeros(groups, U32),
            "suspects": np.full(1, (1 << groups) - 1, U32),
            **{name: np.zeros(1, U32) for name in single},
        }

    def init(self, n: int) -> GuardState:
        applied = np.tile(np.array(self.contract.initial_applied(), F32), (n, 1))
        memory = _words({name: np.tile(value, (n, 1)) for name, value in self.start().items()})
        return GuardState(applied, memory, np.zeros(n, U32), policy=self.policy.init(n))

    def reset(self, state: State, rows: Array) -> State:
        assert isinstance(state, GuardState)
        assert state.policy is not None
        fresh, pick = self.init(len(rows)), rows[:, None]
        memory = _words({k: np.where(pick, fresh.memory[k][0], old) for k, (old,) in state.memory.items()})
        return GuardState(np.where(pick, fresh.applied, state.applied), memory, np.where(rows, 0, state.status),
                          policy=self.policy.reset(state.policy, rows))  # fmt: skip

    def run(self, obs: Array, state: State) -> tuple[Array, State]:
        assert isinstance(state, GuardState)
        obs = self._columns(obs, state)[:, : self.contract.n_obs]
        m = {name: value.copy() for name, (value,) in state.memory.items()}
        with np.errstate(invalid="ignore", over="ignore"):  # what comes in is anything
            lagged = m["seen"][:, self.contract.n_obs :]
            lagged += self.guard.alpha * (state.applied - lagged)
            far, status = _judge(self.guard, obs, m)
            alarm = _watch(self.guard.monitor, m)
        bad = status >= 1 << GROUP_SHIFT
        changed, back = _decide(self.guard.rules, alarm, bad, m)
        action, policy, word = self._act(m["seen"], state, back, m)
        action = self._fade(action, state.applied, changed, m)
        blind = status >> GROUP_SHIFT == (1 << len(self.guard.groups)) - 1
        m["blind"] = np.where(blind[:, None], _more(m["blind"]), U32(0))
        lost = m["blind"][:, 0] >= self.guard.rules.blind
        safe = np.array([s.safe for s in self.contract.outputs], F32)
        action = np.where(lost[:, None], safe, action)
        status = status | word | _bit(alarm, ALARM) | _bit(m["flies"][:, 0] > 0, FALLBACK) | _bit(lost, SAFE)
        return action.copy(), GuardState(action, _words(m), status, None, policy.with_applied(action), far)

    def _act(self, seen: Array, state: GuardState, back: Array, m: dict[str, Array]) -> tuple[Array, State, Array]:
        """The action of the one that flies; the policy's state, which rests while the fallback flies; a status word."""
        assert state.policy is not None
        before = self.policy.reset(state.policy, back).with_applied(state.applied)
        policy, after = self.policy.run(seen[:, : self.contract.n_obs], before)
        fallback, second = self.guard.fallback.run(seen, self.guard.fallback.init(len(seen)))
        mine = m["flies"][:, 0] == 0
        pick = mine[:, None]
        memory = {k: tuple(np.where(pick, new, old) for new, old in zip(news, before.memory[k], strict=True))
                  for k, news in after.memory.items()}  # fmt: skip
        word = np.where(mine, after.status, second.status)
        return np.where(pick, policy, fallback), replace(before, memory=memory), word

    def _fade(self, action: Array, applied: Array, changed: Array, m: dict[str, Array]) -> Array:
        """The action with what is left of the difference at the last change."""
        left = np.where(m["fades"] > 0, m["fades"] - U32(1), U32(0))
        m["fades"] = np.where(changed[:, None], U32(FADES), left).astype(U32)
        faded = np.where(changed[:, None], applied - action, m["fading"] * F32(self.guard.rules.fade))
        fades = m["fades"] > 0
        m["fading"] = np.where(fades, faded, m["fading"])
        sums = action + m["fading"]
        low, high = (np.array([getattr(s, side) for s in self.contract.outputs], F32) for side in ("low", "high"))
        return np.where(fades, np.where(sums < low, low, np.where(sums > high, high, sums)), action)


def _judge(guard: Guard, obs: Array, m: dict[str, Array]) -> tuple[Array, Array]:
    """How far groups are off (n, groups), and the status words so far (n,). Puts what is to be seen into `m`."""
    seen, apart, excess = m["seen"], np.zeros_like(obs), np.zeros((len(obs), len(guard.groups)), F32)
    status = np.zeros(len(obs), U32)
    for i, g in enumerate(guard.groups):
        x, p = obs[:, g.columns], g.predict.run(seen, apart)
        far = _squares((x - p)[:, -g.judged :])
        explained = F32(g.slack**2) * _squares((p - seen[:, g.columns])[:, -g.judged :]) if g.slack else F32(0)
        excess[:, i] = far - explained
        beyond = ~(far <= F32(g.limit**2) + explained)
        watched = obs.view(U32)[:, max(g.watch, 0)]
        held, faults = m["held"][:, i], m["faults"][:, i]
        lost = ~(far <= F32(FLT_MAX))  # the observation, or the prediction
        causes = {
            REJECTED: lost & ~np.isfinite(x).all(axis=1),
            OUT_OF_RANGE: ~lost & beyond & (far > F32(g.reach**2)),
            STUCK: (held != UNKNOWN) & (watched == m["last"][:, i]) & (g.watch >= 0),
            LATE: (m["late"][:, 0] >> U32(i)) & U32(1) > 0,
        }
        basic = np.logical_or.reduce([*causes.values()])
        adopt = ~basic & ((held == UNKNOWN) | lost)
        jump = ~basic & ~adopt & beyond
        faults = np.where(jump & (held == 0), np.minimum(faults + 1, guard.rules.faults), faults)
        again = np.where(faults >= guard.rules.faults, U32(FOREVER), U32(guard.rules.hold))
        waits = np.where((held > 0) & (held < UNKNOWN), held - U32(1), held)
        held = np.where(adopt, 0, np.where(jump, again, waits))
        bad = basic | (held > 0)
        for bit, found in {**causes, JUMP: jump, 1 << (GROUP_SHIFT + i): bad}.items():
            status |= _bit(found, bit)
        apart[:, g.columns] = np.where((bad | adopt)[:, None], F32(0), x - p)
        seen[:, g.columns] = np.where(bad[:, None], p, x)
        m["held"][:, i], m["faults"][:, i], m["last"][:, i] = held, faults, watched
    m["suspects"] = ((m["held"] > 0) << np.arange(len(guard.groups), dtype=U32)).sum(axis=1, keepdims=True, dtype=U32)
    return excess, status


def _watch(monitor: Monitor, m: dict[str, Array]) -> Array:
    """(n,) bool: an alarm. What is not a number any more scores as high as can be."""
    score = m["score"][:, 0] + F32(monitor.rate) * (monitor.raw(m["seen"]) - m["score"][:, 0])
    score = np.where(score <= F32(SCORE), score, F32(SCORE))
    m["score"] = np.where(score >= F32(-SCORE), score, F32(-SCORE))[:, None]
    alarm: Array = m["score"][:, 0] > F32(monitor.threshold)
    return alarm


def _decide(rules: Rules, alarm: Array, bad: Array, m: dict[str, Array]) -> tuple[Array, Array]:
    """Who flies from now on: where that has changed (n,), and where it is the policy again (n,)."""
    flies, dwell, calm, trips = (m[name][:, 0] for name in ("flies", "dwell", "calm", "trips"))
    trip = (flies == 0) & alarm
    dwell = np.where(trip, U32(rules.dwell), np.where(dwell > 0, dwell - U32(1), U32(0)))
    calm = np.where((flies == 0) | alarm | bad, U32(0), _more(calm))
    trips = np.where(trip, _more(trips), trips)
    back = (flies > 0) & (dwell == 0) & (calm >= rules.rearm) & (trips < rules.trips)
    flies = np.where(trip, U32(1), np.where(back, U32(0), flies))
    for name, value in {"flies": flies, "dwell": dwell, "calm": calm, "trips": trips}.items():
        m[name] = value[:, None].astype(U32)
    return trip | back, back


def _words(arrays: dict[str, Array]) -> dict[str, tuple[Array, ...]]:
    return {name: (value,) for name, value in arrays.items()}


def _squares(d: Array) -> Array:
    """(n,) the sum of squares of (n, columns), in order."""
    total = d[:, 0] * d[:, 0]
    for i in range(1, d.shape[1]):
        total = total + d[:, i] * d[:, i]
    return total


def _more(count: Array) -> Array:
    return np.minimum(count + U32(1), U32(MAX_COUNT))


def _bit(found: Array, bit: int) -> Array:
    return np.where(found, U32(bit), U32(0))


def group_from_json(row: Any) -> Group:
    """The group that a JSON object describes; raises `TinyctlError` for anything else."""
    if not isinstance(row, dict) or not isinstance(row.get("predict"), dict):
        raise TinyctlError("a group is not an object with a prediction", where="guard")
    program = row["predict"]
    if set(program) != {"inputs", "steps", "outputs"} or not all(isinstance(part, list) for part in program.values()):
        raise TinyctlError("a prediction is not an object of the lists inputs, steps and outputs", where="guard")
    for step in program["steps"]:
        if not (isinstance(step, list) and [type(v) for v in step] == [str, float, float]):
            raise TinyctlError("a step is not an operation and two numbers", where="guard")
    if not all(type(v) is int for v in (*program["inputs"], *program["outputs"])):
        raise TinyctlError("inputs or outputs are not integers", where="guard")
    predict = Program(*(tuple(program[key]) for key in ("inputs", "steps", "outputs")))
    return record_from_json(Group, {**row, "predict": predict}, where="guard")


def groups_of(contract: Contract) -> list[tuple[str, int, int]]:
    """(name, first column, columns) of the sensor groups: neighbouring observations of one unit and frame."""
    found: list[tuple[str, int, int]] = []
    last = None
    for i, s in enumerate(contract.inputs[: contract.n_obs]):
        if (s.unit, s.frame) == last:
            name, first, count = found[-1]
            found[-1] = (name, first, count + 1)
        else:
            found.append((s.name, i, 1))
        last = (s.unit, s.frame)
    return found
