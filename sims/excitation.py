"""Set-points that make a flight say much about the plant: a sine on each channel, chosen for the least expected errors.

The flights stay inside the task's box, with the controller as safety net. What is minimised is the trace of the inverse
Fisher information of the parameters, delay and disturbances eliminated (Memmel et al., ASID: Active Exploration for
System Identification, 2024), by the cross-entropy method over three numbers a channel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tinyctl.errors import FileError, TinyctlError
from tinyctl.files import write_atomically
from tinyctl.recording import Episode
from tinyctl.sims.functions import step_vjp_full
from tinyctl.sims.identification import MOST_DELAY, WINDOW_S, Progress, unknowns_of
from tinyctl.sims.kernel import Kernel, compile_plant
from tinyctl.sims.loop import Controller, Draws, close_loop
from tinyctl.sims.plant import Array, Plant, Task
from tinyctl.sims.sensitivity import Windows, information

SLOWEST_HZ, FASTEST_HZ = 0.2, 2.5
RAMP_S = 1.0
MAX_BYTES = 16 << 20
POPULATION, ELITE, GENERATIONS = 32, 6, 8


@dataclass(frozen=True)
class Excitation:
    """`numbers` (channels, 3) in [0, 1] of the sines of the task's channels; `errors` (parameter -> expected standard
    error, relative for those that are positive, of the range for others); `margin` the least along the flight."""

    numbers: Array
    errors: dict[str, float]
    margin: float

    @property
    def error(self) -> float:
        """The root of the mean squared expected error."""
        return float(np.sqrt(np.mean(np.square([*self.errors.values()]))))


class Excited:
    """A controller whose observations are moved by `offsets` (steps, n_obs) or (steps, n, n_obs), and the log of what
    it was shown before that, and did."""

    def __init__(self, controller: Controller, offsets: Array | None = None) -> None:
        self.controller, self.offsets = controller, offsets
        self.observed: list[Array] = []
        self.done: list[Array] = []

    def reset(self, n: int) -> None:
        if self.done:
            raise TinyctlError("more episodes than are flown at once", fix="fly fewer: a log is kept in memory")
        self.controller.reset(n)

    def step(self, observations: Array) -> Array:
        t = len(self.done)
        self.observed.append(observations.copy())
        moved = observations if self.offsets is None else observations + self.offsets[min(t, len(self.offsets) - 1)]
        self.done.append(np.array(self.controller.step(moved.astype(np.float32)), np.float32))
        return self.done[-1]

    def episodes(self, lost_s: Array, rate_hz: float) -> list[Episode]:
        """The log, each episode up to its loss. A controller slower than the rate has no log of every period."""
        obs, act = np.stack(self.observed), np.stack(self.done)
        ends = [len(obs) if np.isnan(s) else max(1, round(float(s) * rate_hz)) for s in lost_s]
        words = np.zeros(len(obs), np.uint32)
        return [Episode(obs[:e, i], act[:e, i], words[:e], words[:e]) for i, e in enumerate(ends)]


def channels(task: Task) -> Array:
    """(channels, n_obs): what a unit of each set-point of the task adds to the observations."""
    if not task.setpoints:
        raise TinyctlError("the task names no set-points", fix="give it `setpoints`")
    index = {s.name: i for i, s in enumerate(task.contract.inputs[: task.contract.n_obs])}
    made = np.zeros((len(task.setpoints), task.contract.n_obs))
    for row, columns in zip(made, task.setpoints.values(), strict=True):
        for name, gain in columns.items():
            row[index[name]] = gain
    return made


def sines(task: Task, numbers: Array, steps: int) -> Array:
    """Set-points (..., steps, channels) of `numbers` (..., channels, 3) in [0, 1]: amplitude, in the typical magnitude
    of the channel's observation; frequency, on a logarithmic scale; phase. They grow within the first second."""
    size = np.array([max(task.typical[i] for i in np.flatnonzero(row)) for row in channels(task)])
    t = np.arange(steps)[:, None] * task.period_s
    amplitude, share, phase = np.moveaxis(np.asarray(numbers)[..., None, :, :], -1, 0)
    frequency = SLOWEST_HZ * (FASTEST_HZ / SLOWEST_HZ) ** share
    return np.minimum(t / RAMP_S, 1) * amplitude * size * np.sin(2 * np.pi * (frequency * t + phase))


def excite(
    plant: Plant, task: Task, controller: Controller, *, start: Array, seconds: float = 10.0, reserve: float = 0.1,
    fixed: Sequence[str] = (), seed: int = 0, progress: Progress | None = None,
) -> Excitation:  # fmt: skip
    """The most telling set-points for a flight of `seconds` from `start` (nx,) that keeps `reserve` of the margin.

    `fixed` parameters are known; of those of which only ratios are seen, one must be among them. Raises `TinyctlError`
    where no flight in `GENERATIONS` rounds keeps the margin.
    """
    judge = Judge(plant, task, controller, start, seconds, reserve, fixed, seed)
    rng = np.random.default_rng([seed, 1])
    count = len(task.setpoints)
    mean, spread = np.full((count, 3), 0.5), np.full((count, 3), 0.35)
    best: Excitation | None = None
    for generation in range(GENERATIONS):
        numbers = rng.uniform(size=(POPULATION, count, 3)) if best is None else np.clip(
            mean + spread * rng.standard_normal((POPULATION, count, 3)), 0, 1)  # fmt: skip
        found = sorted((e for e in judge(numbers) if e is not None), key=lambda e: e.error)
        if found:
            best = found[0] if best is None or found[0].error < best.error else best
            elite = np.stack([e.numbers for e in found[:ELITE]])
            mean, spread = elite.mean(axis=0), elite.std(axis=0) + 0.03
        else:
            mean, spread = mean * np.array([0.5, 1, 1]), spread  # quieter
        if progress is not None:
            progress(generation + 1, GENERATIONS, "" if best is None else f"expected error {best.error:.2%}")
    if best is None:
        raise TinyctlError(f"no flight keeps a margin of {reserve}", fix="a smaller --reserve or another controller")
    return best


def random_excitation(judge: Judge, channels_: int, rng: np.random.Generator) -> Excitation:
    """Uniformly random numbers, the first of a few draws that keep the margin."""
    for _ in range(GENERATIONS):
        found = [e for e in judge(rng.uniform(size=(POPULATION, channels_, 3))) if e is not None]
        if found:
            return found[0]
    raise TinyctlError("no random excitation keeps the margin")


class Judge:
    """Flies candidates with the nominal plant, all at once, and tells what each would say about the parameters."""

    def __init__(
        self, plant: Plant, task: Task, controller: Controller, start: Array, seconds: float, reserve: float,
        fixed: Sequence[str], seed: int,
    ) -> None:  # fmt: skip
        self.kernel: Kernel = compile_plant(plant, task, [step_vjp_full(plant, task)])
        self.task, self.controller, self.reserve = task, controller, reserve
        self.steps = round(seconds / task.period_s)
        self.free = [q.name for q in plant.parameters
                     if q.name not in fixed and q.name not in plant.measured and q.high > q.low]  # fmt: skip
        self.unknowns = unknowns_of(plant, task, self.free, 1, {}, {})
        rng, p = np.random.default_rng(seed), plant.nominal()
        self.start, self.p = start.astype(np.float32), np.array([*p.values()] or [0.0], np.float32)
        self.d = task.disturb(rng, 1, p)[0] if plant.disturbances else np.zeros(1, np.float32)
        self.noise = rng.standard_normal((self.steps, 1, task.contract.n_obs)).astype(np.float32) * np.array(
            task.noise, np.float32)  # fmt: skip

    def __call__(self, numbers: Array) -> list[Excitation | None]:
        """What each of `numbers` (n, channels, 3) promises; None for a flight that does not keep the margin."""
        n, task = len(numbers), self.task
        offsets = np.swapaxes(sines(task, numbers, self.steps) @ channels(task), 0, 1)
        pilot = Excited(self.controller, offsets)
        drawn = Draws(np.tile(self.start, (n, 1)), np.tile(self.d, (n, 1)), self.p, np.tile(self.noise, (1, n, 1)))
        flown = close_loop(self.kernel, drawn, pilot, delay_s=task.contract.latency_s, keep=n)
        margins = self.kernel.margin(flown.states.reshape(-1, flown.states.shape[2])).reshape(-1, n).min(axis=0)
        safe = np.flatnonzero(flown.survived & (margins >= self.reserve))
        told: list[Excitation | None] = [None] * n
        if len(safe):
            for i, errors in zip(safe, self._errors(flown.states[:, safe], np.stack(pilot.done)[:, safe]), strict=True):
                told[i] = Excitation(numbers[i], errors, float(margins[i]))
        return told

    def _errors(self, states: Array, actions: Array) -> list[dict[str, float]]:
        task, length = self.task, round(WINDOW_S / self.task.period_s)
        first = np.array(task.contract.initial_applied(), np.float32)
        actions = np.concatenate([np.tile(first, (MOST_DELAY + 1, actions.shape[1], 1)), actions])
        cuts, n = range(0, self.steps - length + 1, length), states.shape[1]
        held = np.concatenate([np.swapaxes(actions[k : k + MOST_DELAY + length], 0, 1) for k in cuts])
        x = np.concatenate([states[k] for k in cuts])
        z = self.unknowns.start(task.contract.latency_s)
        forces = len(self.unknowns.forces)
        z[len(z) - forces :] = self.d[:forces] / self.unknowns.forces
        nothing = np.zeros((len(x), length, task.contract.n_obs))
        windows = Windows(nothing, held, np.zeros(len(x), int))
        sigma = np.maximum(np.array(task.noise), 1e-6)
        told = information(self.kernel, self.unknowns, windows, x, z, sigma)
        summed = told.reshape(len(cuts), n, *told.shape[1:]).sum(axis=0) + 1e-6 * np.eye(len(z))
        errors = np.sqrt(np.diagonal(np.linalg.inv(summed), axis1=1, axis2=2))
        return [dict(zip(self.free, map(float, row), strict=False)) for row in errors]


def start_of(plant: Plant, task: Task) -> Array:
    """The state at which the plant rests at its task, (nx + goals,)."""
    from tinyctl.sims.experts.model import find_rest, model_of

    return find_rest(model_of(plant, task)).x


def led(plant: Plant, name: str, steps: int) -> Plant:
    """The plant whose task `name` starts at rest and lasts `steps`: what set-points were made for. It has no scores,
    which would judge the distance from the task's own target."""
    task = plant.task(name)
    rest = start_of(plant, task).astype(np.float32)
    flown = replace(task, episode_steps=steps, scores=(), initial=lambda rng, n, p: np.tile(rest, (n, 1)))
    return replace(plant, tasks={**plant.tasks, name: flown})


def write_setpoints(path: Path, task: Task, setpoints: Array) -> None:
    """(steps, channels), one row a control period, under the names of the task's channels."""
    rows = [",".join(f"{v:.9g}" for v in row) for row in setpoints]
    write_atomically(path, "\n".join([",".join(task.setpoints), *rows]) + "\n")


def read_setpoints(path: Path, task: Task) -> Array:
    """Offsets of the observations (steps, n_obs) from a file as `write_setpoints` makes it."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise FileError(f"larger than {MAX_BYTES >> 20} MiB", where=path)
        head, *lines = path.read_text(encoding="utf-8").splitlines()
        rows = np.array([[float(cell) for cell in line.split(",")] for line in lines])
    except OSError as error:
        raise FileError(f"cannot be read ({error.strerror})", where=path) from None
    except ValueError as error:
        raise FileError(f"not a table of set-points ({error})", where=path) from None
    if head.split(",") != [*task.setpoints]:
        raise FileError("its columns are not the task's set-points", where=path, fix=",".join(task.setpoints))
    if rows.ndim != 2 or rows.shape[1] != len(task.setpoints) or not np.isfinite(rows).all():
        raise FileError("not a table of finite numbers, one row a control period", where=path)
    return np.asarray(rows @ channels(task))
