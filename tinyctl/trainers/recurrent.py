"""Recurrent policies by imitation: a teacher that knows more answers, the pupil learns to know it by remembering.

A window of what is measured and of its errors goes through one recurrent cell (the controllers of arXiv 2306.07510).
The teacher flies first, some of its episodes pushed; in further rounds the pupil does (DAgger, see `imitate`), from
episodes whose noise is up to many times the task's. Whole episodes are fitted, from the cell's start on.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch

from tinyctl.cells import restart
from tinyctl.errors import TinyctlError
from tinyctl.layers.base import F32, Array
from tinyctl.layers.clip import Clip
from tinyctl.layers.concat import Concat
from tinyctl.layers.dense import Dense
from tinyctl.layers.history import History
from tinyctl.layers.lag import Lag
from tinyctl.layers.scale import Scale
from tinyctl.network import Node, chain
from tinyctl.policy import Policy
from tinyctl.sims.experts import EXPERTS, expert
from tinyctl.sims.experts.clairvoyant import Clairvoyant
from tinyctl.sims.kernel import Kernel, compile_plant
from tinyctl.sims.loop import Draws, Expert, close_loop, draw
from tinyctl.sims.plant import Plant, Task
from tinyctl.trainers.base import Front, front_layers
from tinyctl.trainers.imitate import Lesson, Pushes
from tinyctl.trainers.memories import memory
from tinyctl.trainers.result import CurvePoint, Progress, TrainResult
from tinyctl.trainers.s5 import scan
from tinyctl.trainers.threads import one_thread
from tinyctl.trainers.validation import validate

LEAST_CHANGE = 1e-3  # of a set-point, in its typical magnitude
RIDGE = 1e-7  # of the head's columns, over their mean square
GRADIENT_NORM = 1.0  # no gradient is longer
Tensor = Any  # torch.Tensor


@dataclass(frozen=True)
class Config:
    """Whom to imitate, with what memory, and how."""

    teacher: str = "clairvoyant"
    """The regulator that knows the disturbance, or an expert: lqr, pid, mpc."""
    calm: float = 0.0
    """How much a change of its action costs the clairvoyant, beside what the task says."""
    cell: Literal["lstm", "gru", "s5", "shplrnn", "convex", "reservoir"] = "lstm"
    """What remembers."""
    width: int = 24
    """Columns of its memory."""
    window: int = 4
    """Past observations that the cell sees beside the newest ones, and so their differences."""
    every: int = 1
    """Control periods of which each of them is the mean."""
    actions: bool = False
    """Whether the pupil sees the actions last applied: an observer wants them, but one can also just copy them."""
    lags: tuple[float, ...] = ()
    """Time constants, in control periods, with which the observations are filtered beside that."""
    reset: str | None = None
    """The observation (a set-point) at whose change the memory starts anew."""
    louder: tuple[float, float] = (1.0, 1.0)
    """The noise of training, in that of the task: drawn for each episode, in the logarithm."""
    loud: tuple[str, ...] = ()
    """The observations whose noise that is; all by default."""
    length: int | None = None
    """Control periods of a training episode; those of the task by default."""
    episodes: int = 64
    """Episodes of each round."""
    rounds: int = 3
    """In the first one the teacher flies, in each further one the pupil."""
    perturbed: float = 0.8
    """Share of the teacher's episodes in which it is pushed."""
    push: float = 0.1
    """Standard deviation of what a push adds to the action, as a share of its range."""
    push_length: float = 60.0
    """Control periods of a push, and from one to the next, on average: as long as an unknown disturbance takes to
    show, for the teacher's own paths tell nothing of what it knows."""
    smooth: float = 0.0
    """Time constant, in control periods, with which errors are filtered before they are squared: a plant that follows
    slowly forgives what soon changes sign, not what stays."""
    early: float = 1.0
    """Weight of an episode's first answer; it moves linearly to 1, that of the last."""
    steps: int = 300
    """Gradient steps of each round."""
    batch: int = 32
    """Episodes of a gradient step."""
    learning_rate: float = 5e-3
    """Adam's first step size; it falls linearly to zero over all rounds."""
    validation_episodes: int = 100
    """Episodes of a validation, after each round, drawn from a seed of their own, with the noise of the task."""
    variant: str | None = None
    """A published parameter set of the plant instead of the nominal one."""


@dataclass(frozen=True)
class Lessons:
    """What a teacher answered in whole episodes: `inputs` (episodes, steps, columns) are what the cell reads, `answers`
    (episodes, steps, n_act), `alive` (episodes, steps) bool is false from the loss of an episode on."""

    inputs: Array
    answers: Array
    alive: Array

    def joined(self, other: Lessons) -> Lessons:
        pairs = ((getattr(self, name), getattr(other, name)) for name in ("inputs", "answers", "alive"))
        return Lessons(*(np.concatenate(pair) for pair in pairs))


@one_thread()
def train(
    plant: Plant, task: str | None = None, *, config: Config = Config(), seed: int = 0, progress: Progress | None = None
) -> TrainResult:
    """Train a policy for `task` (the plant's first by default). The same seed gives the same weights on one machine."""
    started, cpu_started = time.perf_counter(), time.process_time()
    chosen = plant.task(task)
    longer = replace(chosen, episode_steps=config.length or chosen.episode_steps, scores=())
    kernel, validation = compile_plant(plant, longer), compile_plant(plant, chosen)
    pupil = Pupil(chosen, config, seed)
    flights = draw(plant, chosen, range(config.validation_episodes), 2**32 + seed, variant=config.variant)
    known: Lessons | None = None
    curve: list[CurvePoint] = []
    for round_ in range(config.rounds):
        tell = None if progress is None else lambda k, done=round_ * config.steps: progress(
            done + k, config.rounds * config.steps, curve[-1].survived if curve else math.nan)  # fmt: skip
        found = lessons(kernel, pupil.policy(), config, (seed, round_), pupil_flies=round_ > 0)
        known = found if known is None else known.joined(found)
        loss = pupil.fit(known, tell)
        policy = pupil.policy()
        point, estimates = validate(validation, flights, policy, round_ + 1, loss, started)
        curve.append(point)
    assert known is not None
    return TrainResult(policy, *estimates, tuple(curve), known.alive.size, time.perf_counter() - started,
                       time.process_time() - cpu_started)  # fmt: skip


def teacher_of(kernel: Kernel, drawn: Draws, config: Config) -> Expert:
    """The teacher of these episodes; raises `TinyctlError`."""
    if config.teacher == "clairvoyant":
        return Clairvoyant(kernel.plant, kernel.task, drawn.x, drawn.d, config.variant, calm=config.calm)
    if config.teacher not in EXPERTS:
        raise TinyctlError(f"no teacher {config.teacher!r:.60}", fix=f"one of clairvoyant, {', '.join(EXPERTS)}")
    return expert(config.teacher, kernel.plant, kernel.task, variant=config.variant)


def lessons(
    kernel: Kernel, pupil: Policy, config: Config, seed: tuple[int, int], *, pupil_flies: bool = False
) -> Lessons:
    """Fly `config.episodes` under the teacher, some of them pushed, or under the pupil."""
    task, rng = kernel.task, np.random.default_rng([*seed, 1])
    drawn = draw(kernel.plant, task, range(config.episodes), seed, variant=config.variant)  # type: ignore[arg-type]
    times = np.exp(rng.uniform(np.log(config.louder[0]), np.log(config.louder[1]), (config.episodes, 1)))
    louder = np.where(
        [not config.loud or name in config.loud for name in _observations(task, *config.loud)], times, 1.0
    )
    pushes = Pushes(config.perturbed, config.push, config.push_length, config.push_length)
    lesson = Lesson(kernel, teacher_of(kernel, drawn, config), pupil, pushes, rng, pupil_flies, {"scale"}, louder)
    quiet = replace(drawn, noise=0 * drawn.noise)  # the lesson makes its own: teachers see none
    flown = close_loop(kernel, quiet, lesson, delay_s=task.contract.latency_s, keep=0)
    end = np.where(np.isnan(flown.lost_s), np.inf, flown.lost_s)
    alive = np.arange(task.episode_steps) * task.period_s < end[:, None]
    inputs, answers = (np.stack(values, axis=1) for values in (lesson.inputs["scale"], lesson.answers))
    return Lessons(inputs, answers, alive)


class Pupil:
    """The policy in torch: the cell behind its fixed front, and a dense layer that reads both."""

    def __init__(self, task: Task, config: Config, seed: int) -> None:
        self.task, self.config, self.rng = task, config, np.random.default_rng([seed, 2])
        self.front = windowed_front(task, config)
        self.column = _column(task, config.reset)
        outputs = task.contract.outputs
        self.low, self.high = (torch.tensor([getattr(s, side) for s in outputs]) for side in ("low", "high"))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            steps = config.length or task.episode_steps
            self.memory = memory(config.cell, self.front[-1][1].n_out, config.width, steps)
            self.head = torch.nn.Linear(config.width + self.front[-1][1].n_out, len(outputs))
        with torch.no_grad():
            self.head.weight *= 0.1
            self.head.bias[:] = torch.tensor(task.contract.initial_applied())
        self.parameters = [p for p in (*self.memory.parameters(), *self.head.parameters()) if p.requires_grad]
        self.optimiser = torch.optim.Adam(self.parameters, lr=config.learning_rate)
        self.done = 0

    def forward(self, inputs: Tensor) -> Tensor:
        """(batch, steps, columns) to (batch, steps, n_act) before the clip."""
        return self.head(torch.cat([self.memory(inputs, self._begins(inputs)), inputs], dim=2))

    def _begins(self, inputs: Tensor) -> Tensor | None:
        """Where the memory starts anew, (batch, steps) bool."""
        if self.column is None:
            return None
        seen = inputs[:, :, self.column]
        begins = (seen - seen.roll(1, 1)).abs() >= LEAST_CHANGE
        begins[:, 0] = True
        return begins

    def fit(self, known: Lessons, tell: Callable[[int], None] | None = None) -> float:
        """`config.steps` gradient steps; the mean squared error of the last tenth of them, as a share of the range."""
        if not self.done:
            self.memory.prepare(known.inputs[0])
        inputs, answers, alive = (torch.from_numpy(a) for a in (known.inputs, known.answers, known.alive))
        if self.memory.free_head:
            self.solve_head(known)
        ramp = torch.linspace(self.config.early, 1, inputs.shape[1])
        total, losses, span = self.config.steps * self.config.rounds, [], self.high - self.low
        for step in range(self.config.steps):
            self.optimiser.param_groups[0]["lr"] = self.config.learning_rate * (1 - self.done / total)
            rows = torch.from_numpy(self.rng.integers(0, len(inputs), self.config.batch))
            said = self.forward(inputs[rows])
            said = said + (torch.clamp(said, self.low, self.high) - said).detach()  # beyond its limits it can learn too
            weight = alive[rows] * ramp
            error = self._smooth((said - answers[rows]) / span * alive[rows, :, None])
            loss = ((error**2).mean(dim=2) * weight).sum() / weight.sum()
            self.optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.parameters, GRADIENT_NORM)
            self.optimiser.step()
            with torch.no_grad():
                self.memory.project(self.head)
            losses.append(loss.item())
            self.done += 1
            if tell is not None:
                tell(step + 1)
        if self.memory.free_head:
            self.solve_head(known)
        return float(np.mean(losses[-max(1, self.config.steps // 10) :]))

    def _smooth(self, values: Tensor) -> Tensor:
        """(batch, steps, columns) after the filter of what is compared."""
        if not self.config.smooth:
            return values
        stays = math.exp(-1 / self.config.smooth)
        driven = torch.complex((1 - stays) * values, torch.zeros_like(values))
        return scan(torch.full(values.shape[2:], stays, dtype=torch.float64).to(driven), driven).real

    def solve_head(self, known: Lessons) -> None:
        """The head that fits all answers within the actions' ranges best, by ridge regression: the gradient steps leave
        it a little off, by which a set-point would be missed."""
        ramp, low, high = np.linspace(self.config.early, 1, known.inputs.shape[1]), self.low.numpy(), self.high.numpy()
        size = self.head.weight.shape[1] + 1
        gram, right = np.zeros((len(low), size, size)), np.zeros((len(low), size))
        for inputs, answers, alive in zip(known.inputs, known.answers, known.alive, strict=True):
            given = torch.from_numpy(inputs[None])
            with torch.no_grad():
                read = torch.cat([self.memory(given, self._begins(given)), given], dim=2)[0].numpy()
            columns = np.column_stack([read, np.ones(len(read))]).astype(np.float64)
            for k, answer in enumerate(answers.T):
                free = (alive * (answer > low[k]) * (answer < high[k]))[:, None]
                kept = self._smooth(torch.from_numpy(np.column_stack([columns, answer]) * free)[None])[0].numpy()
                weighted = kept[:, :-1] * ramp[:, None]
                gram[k] += weighted.T @ kept[:, :-1]
                right[k] += weighted.T @ kept[:, -1]
        for k in range(len(low)):
            if not gram[k].any():
                continue  # every answer was at a limit
            damping = RIDGE * np.trace(gram[k]) / size * np.eye(size)
            solved = torch.from_numpy(np.linalg.solve(gram[k] + damping, right[k]))
            with torch.no_grad():
                self.head.weight[k], self.head.bias[k] = solved[:-1], solved[-1]

    def policy(self) -> Policy:
        """The pupil as it is now."""
        contract, n, kept = self.task.contract, self.config.width, None
        nodes = [*chain(self.front)]
        if self.column is not None:
            nodes += restart("restart", "scale", self.front[-1][1].n_out, self.column, LEAST_CHANGE, n)
            kept = nodes[-1].name
        nodes += self.memory.nodes("scale", kept)
        weight, bias = (p.detach().numpy().copy() for p in self.head.parameters())
        nodes.append(Node("beside", Concat((n, weight.shape[1] - n)), (nodes[-1].name, "scale")))
        nodes += [Node("dense", Dense(weight, bias), (nodes[-1].name,)), Node("clip", Clip.of(contract), ("dense",))]
        return Policy(contract, tuple(nodes))


def windowed_front(task: Task, config: Config) -> Front:
    """The standard front layers, with lags of the observations and `window` past ones behind them.

    Without `actions` what was applied is left out (its gain is zero).
    """
    *front, (_, scale) = front_layers(task)
    assert isinstance(scale, Scale)
    seen, width = task.contract.n_obs, scale.n_in
    kept = np.full(width, config.actions)
    kept[:seen] = kept[width - len(task.integral_limits) :] = True
    seen += len(task.contract.applied_outputs) * config.actions
    columns, more, factors = tuple(range(seen)), 0, list[float]()
    for k, periods in enumerate(config.lags):
        front.append((f"lag_{k}", Lag(width + more, columns, periods * task.period_s, np.zeros(seen, F32))))
        more += seen
        factors.append(periods**0.25)  # the slower, the less noise and the smaller what matters
    if config.window:
        front.append(("window", History(width + more, columns, config.window, config.every, np.zeros(seen, F32))))
        more += config.window * seen
        factors += [1.0] * config.window
    gain = np.concatenate([scale.gain * kept, *(scale.gain[:seen] * factor for factor in factors)])
    offset = np.concatenate([scale.offset * kept, np.zeros(more)])
    return [*front, ("scale", Scale(gain.astype(F32), offset.astype(F32)))]


def _column(task: Task, name: str | None) -> int | None:
    return None if name is None else _observations(task, name).index(name)


def _observations(task: Task, *asked: str) -> list[str]:
    """The names of the observations; raises `TinyctlError` where one of those `asked` for is not among them."""
    names = [s.name for s in task.contract.inputs[: task.contract.n_obs]]
    for name in asked:
        if name not in names:
            raise TinyctlError(f"{name!r:.40} is not an observation", fix=f"one of {', '.join(names)}")
    return names
