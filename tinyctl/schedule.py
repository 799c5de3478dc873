"""Do all tasks of a firmware still meet their deadlines with this controller? Preemptive fixed priorities, one core.

Response times after M. Joseph and P. Pandya, "Finding Response Times in a Real-Time System" (The Computer Journal
29(5), 1986); blocking and release jitter after N. Audsley et al., "Applying new scheduling theory to static priority
pre-emptive scheduling" (Software Engineering Journal 8(5), 1993); deadlines beyond the period by a busy period of
several jobs, after J. Lehoczky, "Fixed Priority Scheduling of Periodic Task Sets with Arbitrary Deadlines" (RTSS 1990).
Times are whole nanoseconds, so that nothing hangs on rounding.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tinyctl.errors import FileError, TinyctlError
from tinyctl.files import read_toml
from tinyctl.jsons import record_from_json

SCHEMA = 1
MAX_TASKS = 64
MAX_FILE_BYTES = 65536
MAX_JOBS = 10_000  # of one busy period
LONGEST_US = 1e9
NS = 1000  # in a microsecond


@dataclass(frozen=True)
class Task:
    """One task. A larger `priority` runs first; equal ones are taken to delay each other.

    `rate_hz` 0: it runs on events whose rate is not known. `worst_us` 0: its longest execution is not known. The
    deadline is the period where `deadline_us` is 0. `blocking_us` is the longest time a task below can hold it up,
    `jitter_us` how late its release can be. `controller`: the emitted step is called in it, once a period, and its
    worst case is added. `assumed`: `worst_us` is somebody's estimate. `source` says where the figures come from.
    """

    name: str
    priority: int
    rate_hz: float = 0.0
    worst_us: float = 0.0
    deadline_us: float = 0.0
    blocking_us: float = 0.0
    jitter_us: float = 0.0
    controller: bool = False
    assumed: bool = False
    source: str = ""

    @property
    def period_us(self) -> float:
        return 1e6 / self.rate_hz if self.rate_hz else math.inf

    @property
    def due_us(self) -> float:
        return self.deadline_us or self.period_us

    @property
    def counted(self) -> bool:
        return bool(self.rate_hz and self.worst_us)


@dataclass(frozen=True)
class Response:
    """What one task comes to. `worst_us` holds the controller's where it is called, and is null where not known;
    `response_us` is null where not known or without bound. `room_us`: the most the task may take in one period so
    that it and all others that are counted still meet their deadlines; null where it has no rate."""

    name: str
    priority: int
    rate_hz: float
    worst_us: float | None
    response_us: float | None
    deadline_us: float | None
    room_us: float | None
    meets: bool | None
    controller: bool
    assumed: bool


@dataclass(frozen=True)
class Schedule:
    """All tasks, the most urgent first. `utilisation` and every response count only what is known: `not_counted` names
    the tasks without a rate or a worst case of their own, `assumed` those counted with an estimate."""

    utilisation: float
    tasks: tuple[Response, ...]
    not_counted: tuple[str, ...]
    assumed: tuple[str, ...]

    @property
    def missed(self) -> tuple[str, ...]:
        """A line for each task that misses its deadline."""
        return tuple(
            f"task {task.name}: response grows without bound, deadline {task.deadline_us:.1f} us"
            if task.response_us is None
            else f"task {task.name}: response {task.response_us:.1f} us exceeds its deadline of "
            f"{task.deadline_us:.1f} us"
            for task in self.tasks
            if task.meets is False
        )


def schedule(tasks: Sequence[Task], controller_us: float) -> Schedule:
    """Response times of `tasks` with a controller whose longest step takes `controller_us`."""
    ordered = sorted(tasks, key=lambda task: -task.priority)
    full = [_with_controller(task, controller_us) for task in ordered]
    counted = [task for task in full if task.counted]
    return Schedule(
        round(sum(task.worst_us / task.period_us for task in counted), 6),
        tuple(_respond(task, counted) for task in full),
        tuple(task.name for task in ordered if not task.counted),
        tuple(task.name for task in counted if task.assumed),
    )


def response_us(task: Task, others: Sequence[Task]) -> float | None:
    """The longest time from release to completion of `task` among `others`; None where it grows without bound."""
    own, period, jitter = (_ns(value) for value in (task.worst_us, task.period_us, task.jitter_us))
    above = [
        (_ns(other.worst_us), _ns(other.period_us), _ns(other.jitter_us))
        for other in others
        if other.name != task.name and other.priority >= task.priority
    ]
    if own / period + sum(cost / interval for cost, interval, _ in above) > 1:
        return None
    longest, window = 0, 0
    for job in range(MAX_JOBS):
        fixed = (job + 1) * own + _ns(task.blocking_us)
        window = max(window, fixed)
        while True:
            needed = fixed + sum(-(-(window + late) // interval) * cost for cost, interval, late in above)
            if needed == window:
                break
            window = needed
            if window > LONGEST_US * NS:
                return None
        longest = max(longest, window + jitter - job * period)
        if window + jitter <= (job + 1) * period:
            return longest / NS
    return None


def _respond(task: Task, counted: Sequence[Task]) -> Response:
    response = response_us(task, counted) if task.counted else None
    return Response(
        task.name,
        task.priority,
        task.rate_hz,
        round(task.worst_us, 3) or None,
        response,
        task.due_us if math.isfinite(task.due_us) else None,
        _room_us(task, counted) if task.rate_hz else None,
        (response is not None and response <= task.due_us) if task.counted else None,
        task.controller,
        task.assumed,
    )


def _room_us(task: Task, counted: Sequence[Task]) -> float:
    """By halving: a longer task only makes responses longer."""
    others = [other for other in counted if other.name != task.name]

    def fits(cost: int) -> bool:
        tried = [*others, replace(task, worst_us=cost / NS)]
        found = ((other, response_us(other, tried)) for other in tried if other.priority <= task.priority)
        return all(response is not None and response <= other.due_us for other, response in found)

    low, high = 0, _ns(task.due_us) + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low / NS


def _with_controller(task: Task, controller_us: float) -> Task:
    return replace(task, worst_us=task.worst_us + controller_us) if task.controller else task


def _ns(microseconds: float) -> int:
    return math.ceil(round(microseconds * NS, 3))


# --- files -----------------------------------------------------------------------------------------------------------


def load_tasks(path: Path) -> tuple[Task, ...]:
    """The tasks of a user's TOML file: `schema = 1` and a `[[task]]` for each. Raises `TinyctlError`."""
    record = read_toml(path, MAX_FILE_BYTES)
    if record.pop("schema", None) != SCHEMA:
        raise FileError(f"schema is not {SCHEMA}", where=path)
    rows = record.pop("task", None)
    if record:
        raise FileError(f"unknown key {next(iter(record))!r:.60}", where=path)
    return tasks_of(rows, str(path))


def tasks_of(rows: Any, where: str) -> tuple[Task, ...]:
    """Tasks from the rows of a `[[task]]` array, checked."""
    if not (isinstance(rows, list) and 0 < len(rows) <= MAX_TASKS and all(isinstance(row, dict) for row in rows)):
        raise TinyctlError(f"no array [[task]] of 1 to {MAX_TASKS} tables", where=where)
    tasks = tuple(record_from_json(Task, row, where=f"{where}: task") for row in rows)
    for task in tasks:
        times = (task.worst_us, task.deadline_us, task.blocking_us, task.jitter_us)
        if not task.name or not task.name.isprintable() or len(task.name) > 40:
            raise TinyctlError(f"name {task.name!r:.60} is not 1 to 40 printable characters", where=where)
        if not (task.rate_hz == 0 or 0.01 <= task.rate_hz <= 1e6):
            raise TinyctlError(f"task {task.name}: rate_hz {task.rate_hz} is neither 0 nor 0.01 to 1e6", where=where)
        if not all(0 <= value <= LONGEST_US for value in times):
            raise TinyctlError(f"task {task.name}: a time is not between 0 and {LONGEST_US:g} us", where=where)
        if not 0 <= task.priority <= 1000:
            raise TinyctlError(f"task {task.name}: priority {task.priority} is not between 0 and 1000", where=where)
    if len({task.name for task in tasks}) != len(tasks):
        raise TinyctlError("two tasks have one name", where=where)
    callers = [task for task in tasks if task.controller]
    if len(callers) != 1 or not callers[0].rate_hz:
        raise TinyctlError("not exactly one task, with a rate, has controller = true", where=where)
    return tasks
