"""Analytic policy gradient: the cost of short flights is differentiated through plant and policy.

Many plants fly side by side in windows of a few control periods (`trainers.window`); each window is a gradient step.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, astuple, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tinyctl.errors import TinyctlError
from tinyctl.layers.base import Array
from tinyctl.sequences import played, start_of
from tinyctl.sims.declaration import declaration_hash
from tinyctl.sims.functions import staged_cost
from tinyctl.sims.kernel import compile_plant
from tinyctl.sims.loop import Estimate, draw
from tinyctl.sims.plant import Plant, Task
from tinyctl.sims.starts import read_starts
from tinyctl.trainers.base import (
    Front,
    Pilot,
    Tensor,
    adam_state,
    cpu_time,
    front_layers,
    initial_weights,
    policy_functions,
    policy_of,
)
from tinyctl.trainers.checkpoint import Checkpoint, exact, load, save
from tinyctl.trainers.critic import Critic
from tinyctl.trainers.event_log import EventLog
from tinyctl.trainers.result import CurvePoint, Progress, TrainResult
from tinyctl.trainers.sequence import planned
from tinyctl.trainers.threads import one_thread
from tinyctl.trainers.validation import Estimates, validate
from tinyctl.trainers.window import Window

SPOILT = 10  # gradients in a row that are not finite: more than a plant that tumbled


@dataclass(frozen=True)
class Config:
    """How long and how finely to train. The defaults train the quadrotor's hover in a few seconds."""

    iterations: int = 200
    """Gradient steps. The learning rate falls linearly to zero over them."""
    plants: int = 128
    """Plants that fly side by side; their mean cost is one sample of the objective."""
    window: int = 64
    """Control periods through which a gradient reaches back."""
    hidden: tuple[int, ...] = (64, 64)
    """Widths of the tanh layers."""
    critic: tuple[int, ...] = ()
    """Widths of the tanh layers of a critic (`trainers.critic`), which tells what comes after a window: for windows too
    short to see what matters. None by default: a window that is long enough learns faster without."""
    discount: float = 0.95
    """With a critic, what a cost one control period later counts for. A cost further off than 1 / (1 - discount)
    periods is hardly seen; near one, the critic's errors drown what the window knows exactly."""
    learning_rate: float = 2e-2
    """Adam's first step size."""
    gradient_norm: float = 0.5
    """A longer gradient is shortened to this Euclidean norm."""
    lifetime: tuple[int, int] = (100, 500)
    """Control periods, drawn uniformly, after which a plant starts afresh although it was not lost."""
    validate_every: int = 25
    """Iterations from one validation to the next. The last weights are kept that survive as the best did, within a
    standard error: steps become smaller and smaller, so of what validation cannot tell apart the later is better."""
    validation_episodes: int = 250
    """Episodes of a validation, drawn once from a seed of their own."""
    stop_survived: float = 1.0
    """Training ends early when the 95 % interval of a validation's survival lies at or above this fraction, and ..."""
    stop_score: float = 0.0
    """... that of its first score at or below this. The default, zero, never ends it."""
    cpu_seconds: float = math.inf
    """Training ends after this CPU time, of all threads. Where that is, the machine's load decides; `stop_after` with
    the iterations it came to gives the same policy again."""
    stop_after: int | None = None
    """Training ends after this many iterations, with the learning rate still falling as for all of them."""
    variant: str | None = None
    """A published parameter set of the plant instead of the nominal one."""
    decide_every: int = 1
    """Control periods from one inference to the next: the policy gives a sequence of actions for them."""
    sequence: int | None = None
    """Actions of a sequence, `decide_every` by default. More are spare: played when a decision does not come."""
    intervals: tuple[int, ...] = ()
    """Control periods from one inference to the next while it trains, in turn, at most `sequence`; by default
    `decide_every`, and where there are spare actions `sequence` after every second."""
    randomise: bool = False
    """Draw the plant's parameters from their ranges at every start (domain randomisation)."""
    retrain: str | None = None
    """A file of starts that `mine` wrote: a quarter of the flights begins with them."""
    curriculum: bool = True
    """Begin with the stages of the task's curriculum, if it has one."""
    checkpoint: str | None = None
    """A file that each good validation writes: all that the rest of the training depends on."""
    tensorboard: str | None = None
    """A folder for a TensorBoard event file: cost and gradient norm of each iteration, and each validation."""
    resume: str | None = None
    """Such a file to go on from; the result is that of the training that was not interrupted, bit for bit."""


@one_thread()
def train(
    plant: Plant, task: str | None = None, *, config: Config = Config(), seed: int = 0,
    progress: Progress | None = None,
) -> TrainResult:  # fmt: skip
    """Train a policy for `task` (the plant's first by default). The same seed gives the same weights on one machine."""
    return descend(plant, plant.task(task), config, seed, progress)


def descend(
    plant: Plant, task: Task, config: Config, seed: int, progress: Progress | None, *, front: Front | None = None,
    weights: list[Tensor] | None = None, after_step: Callable[[int, Window], None] | None = None,
) -> TrainResult:  # fmt: skip
    """`train`, with other front layers than the task's, from other weights than random ones, which it changes in place.
    `after_step(iterations, window)` is called after every gradient step and may change the weights too."""
    if task.contract.latency_s > task.period_s:  # `fly` would skip inferences; `late_s` does not
        raise TinyctlError("a controller that computes for longer than a control period cannot be trained",
                           where=f"plant {plant.name}", fix="lower rate_hz or latency_s of the contract")  # fmt: skip
    started, cpu_started = time.perf_counter(), cpu_time()
    decides, intervals = planned(task, config.decide_every, config.sequence, config.intervals)
    contract = decides.contract
    front = front_layers(decides) if front is None else front
    curriculum = task.curriculum if config.curriculum else None
    staged = staged_cost(plant, task) if curriculum is not None else []
    kernel = compile_plant(plant, task, [*policy_functions(decides, front), *staged])
    if weights is None:
        weights = initial_weights(decides, front[-1][1].n_out, config.hidden, torch.Generator().manual_seed(seed))
        weights[-1][:] = torch.tensor(start_of(contract))[:, None]
    window = Window(kernel, front, weights, config.plants, config.window, np.random.default_rng([seed, 1]),
                    life=config.lifetime, variant=config.variant, randomise=config.randomise,
                    discount=config.discount if config.critic else 1.0, staged=config.curriculum,
                    contract=contract, intervals=intervals,
                    again=None if config.retrain is None else read_starts(config.retrain, kernel))  # fmt: skip
    guessing = torch.Generator().manual_seed(2**32 + seed)
    critic = Critic(window, config.critic, config.discount, guessing) if config.critic else None
    pilot = played(Pilot(kernel, front, weights, contract), contract)
    flights = draw(plant, task, range(config.validation_episodes), _validation_seed(seed), variant=config.variant,
                   randomise=config.randomise)  # fmt: skip
    optimiser = torch.optim.Adam(weights, lr=config.learning_rate)
    course = Course([w.clone() for w in weights])
    costs: list[float] = []
    arrays = partial(_arrays, course, weights, optimiser, window, critic)
    made_by = _made_by(plant, task, config, seed) if config.resume or config.checkpoint else {}
    if config.resume is not None:
        _restore(load(Path(config.resume), made_by, arrays()), course, window.rng, arrays())
    log = EventLog(Path(config.tensorboard)) if config.tensorboard is not None else None
    survived = course.curve[-1].survived if course.curve else math.nan
    iteration, spoilt = course.iteration, 0
    last = min(config.iterations, config.stop_after or config.iterations)
    while iteration < last and cpu_time() - cpu_started < config.cpu_seconds:
        if curriculum is not None:
            window.enter(curriculum.stage(iteration / config.iterations))
        window.restart()
        costs.append(window.forward())
        window.backward(critic.look() if critic else None)
        if critic:
            critic.learn()
        norm = torch.nn.utils.get_total_norm([w.grad for w in weights])
        for group in optimiser.param_groups:
            group["lr"] = config.learning_rate * (1 - iteration / config.iterations)
        if math.isfinite(norm):
            course.clipped += norm.item() > config.gradient_norm
            torch.nn.utils.clip_grads_with_norm_(weights, config.gradient_norm, norm)
            optimiser.step()
            spoilt = 0
        else:  # a plant that tumbles beyond what float32 holds spoils this step only
            spoilt += 1
            course.skipped += 1
            _stop_if_lasting(spoilt, weights, iteration, course, plant, config)
        iteration += 1
        if after_step is not None:
            after_step(iteration, window)
        if log is not None:
            log.add(iteration, {"train/cost": costs[-1], "train/gradient_norm": norm.item()})
        if iteration % config.validate_every == 0 or iteration == config.iterations:
            point, estimates = validate(kernel, flights, pilot, iteration, float(np.mean(costs)), started)
            survived, costs = point.survived, []
            if log is not None:
                named = {name or "survived": estimate for name, estimate in _named(estimates).items()}
                log.add(iteration, {f"validation/{name}": e.value for name, e in named.items() if e is not None})
            course.add(point, estimates, weights, config)
            if config.checkpoint is not None and course.iteration == course.kept_at:
                save(Path(config.checkpoint), Checkpoint(arrays(), course.facts(window.rng), made_by))
            if _reached(estimates, config):
                break
        if progress is not None:
            progress(iteration, config.iterations, survived)
    if course.figures is None:
        raise TinyctlError(f"training ended before its first validation, after {iteration} iterations",
                           where=f"plant {plant.name}", fix="give it more CPU seconds or iterations")  # fmt: skip
    policy = policy_of(decides, front, course.kept)
    steps = iteration * config.plants * config.window
    return TrainResult(policy, *course.figures, tuple(course.curve), steps, time.perf_counter() - started,
                       cpu_time() - cpu_started, iteration, course.clipped, course.skipped)  # fmt: skip


@dataclass
class Course:
    """How far a training has come: its validations, and the weights that are kept, with their figures."""

    kept: list[Tensor]
    figures: Estimates | None = None
    curve: list[CurvePoint] = field(default_factory=list)
    highest: float = 0.0
    kept_at: int = 0
    clipped: int = 0
    skipped: int = 0

    @property
    def iteration(self) -> int:
        """Of the last validation."""
        return self.curve[-1].iteration if self.curve else 0

    def add(self, point: CurvePoint, estimates: Estimates, weights: list[Tensor],
            config: Config) -> None:  # fmt: skip
        """A validation; its weights are kept if it survives as the best did, within a standard error."""
        self.curve.append(point)
        self.highest = max(self.highest, point.survived)
        if point.survived >= self.highest - _standard_error(self.highest, config.validation_episodes):
            self.kept, self.figures, self.kept_at = [w.detach().clone() for w in weights], estimates, point.iteration

    def facts(self, rng: np.random.Generator) -> dict[str, Any]:
        assert self.figures is not None
        estimates = _named(self.figures)
        return {
            "curve": [[exact(v) for v in astuple(point)] for point in self.curve],
            "figures": {n: None if e is None else [exact(v) for v in astuple(e)] for n, e in estimates.items()},
            "rng": rng.bit_generator.state,
            "clipped": self.clipped,
            "skipped": self.skipped,
        }


def _named(figures: Estimates) -> dict[str, Estimate | None]:
    """Scores by their names, and survival by none."""
    return {"": figures[0], **figures[1]}


def _made_by(plant: Plant, task: Task, config: Config, seed: int) -> dict[str, Any]:
    """What decides how a training goes on; the other settings only say when it ends and what it writes."""
    passing = ("cpu_seconds", "stop_after", "stop_survived", "stop_score", "checkpoint", "resume", "tensorboard")
    lasting = {name: value for name, value in asdict(config).items() if name not in passing}
    return {"plant": plant.name, "task": declaration_hash(plant, task), "seed": seed, **lasting}


def _arrays(
    course: Course, weights: list[Tensor], optimiser: Any, window: Window, critic: Critic | None
) -> dict[str, Array]:
    """Everything of a checkpoint that is an array; views of what the training goes on with."""
    found = {f"window_{name}": array for name, array in window.state().items()}
    for i, (weight, kept) in enumerate(zip(weights, course.kept, strict=True)):
        found |= {f"weight_{i}": weight.detach().numpy(), f"kept_{i}": kept.numpy()}
    if critic is not None:
        found |= {f"critic_{name}": array for name, array in critic.state().items()}
    return {**found, **adam_state(optimiser, weights)}


def _restore(saved: Checkpoint, course: Course, rng: np.random.Generator, arrays: dict[str, Array]) -> None:
    """Put a training, whose `arrays` these are, where the checkpoint was."""
    try:
        course.curve = [CurvePoint(int(p[0]), *p[1:]) for p in (_floats(row) for row in saved.facts["curve"])]
        figures = {n: None if row is None else Estimate(*_floats(row)) for n, row in saved.facts["figures"].items()}
        survival = figures.pop("")
        rng.bit_generator.state = saved.facts["rng"]
        course.clipped, course.skipped = int(saved.facts["clipped"]), int(saved.facts["skipped"])
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise TinyctlError(f"a damaged checkpoint ({type(error).__name__})") from None
    if survival is None:
        raise TinyctlError("a damaged checkpoint: no survival")
    course.figures, course.kept_at = (survival, figures), course.iteration
    course.highest = max(point.survived for point in course.curve)
    for name, array in arrays.items():
        array[...] = saved.arrays[name]


def _floats(row: list[str]) -> list[float]:
    return [float.fromhex(text) for text in row]


def _reached(estimates: Estimates, config: Config) -> bool:
    """Whether the whole intervals of survival and of the first score lie beyond the target."""
    survived, first = estimates[0], next(iter(estimates[1].values()), None)
    return survived.low >= config.stop_survived and first is not None and first.high <= config.stop_score


def _stop_if_lasting(
    spoilt: int, weights: list[Tensor], iteration: int, course: Course, plant: Plant, config: Config
) -> None:
    """Raise `TinyctlError` after `SPOILT` gradients in a row that are not finite, or at once for such a weight."""
    names = [f"{kind} of dense_{i + 1}" for i in range(len(weights) // 2) for kind in ("weight", "bias")]
    broken = next((n for n, w in zip(names, weights, strict=True) if not w.isfinite().all()), None)
    if broken is None and spoilt < SPOILT:
        return
    gradients = (f"the gradient at the {n}" for n, w in zip(names, weights, strict=True) if not w.grad.isfinite().all())
    where = broken or next(gradients, "the gradient's norm")
    good = f"the last good validation was at {course.kept_at}" if course.curve else "no validation came before"
    if course.curve and config.checkpoint is not None:
        good += f", its checkpoint is {config.checkpoint}"
    raise TinyctlError(f"training broke down at iteration {iteration}: {where} is not finite; {good}",
                       where=f"plant {plant.name}", fix="a smaller learning_rate; is the plant smooth?")  # fmt: skip


def _standard_error(fraction: float, n: int) -> float:
    """Of a fraction seen in `n` episodes, at least one episode's worth."""
    return max(math.sqrt(fraction * (1 - fraction) / n), 1 / n)


def _validation_seed(seed: int) -> int:
    return 2**32 + seed  # away from the seeds people choose for their own flights
