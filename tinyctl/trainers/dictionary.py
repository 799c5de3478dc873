"""Dictionary policies: each action a sum of a few monomials of the observation.

The coefficients are trained like weights, by the analytic policy gradient, and on the way those fall away that move an
action least. Zolman et al. (SINDy-RL, 2024) fit them to a network's answers instead; a polynomial that errs least on
those need not fly, though: on the cart-pole's swing-up it did not.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace

import numpy as np
import torch

from tinyctl.errors import TinyctlError
from tinyctl.layers.base import F32
from tinyctl.layers.dense import Dense
from tinyctl.monomials import Exponents, layer_of, up_to
from tinyctl.policy import Policy
from tinyctl.sims.plant import Plant, Task
from tinyctl.trainers import apg
from tinyctl.trainers.base import Front, Tensor, cpu_time, front_layers, initial_weights, policy_of
from tinyctl.trainers.result import Progress, TrainResult
from tinyctl.trainers.threads import one_thread
from tinyctl.trainers.window import Window

EVERY = 10  # gradient steps from one removal to the next
SETTLED = 0.8  # of the removing iterations: then the last ones are gone


@dataclass(frozen=True)
class Config:
    """How many monomials, and how they are found."""

    degree: int = 3
    """The largest degree of a monomial."""
    terms: int = 32
    """Coefficients of all actions together, their constants included, at most."""
    iterations: int = 600
    """Gradient steps; in the first half monomials are removed."""
    plants: int = 128
    """Plants that fly side by side."""
    window: int = 64
    """Control periods through which a gradient reaches back."""
    learning_rate: float = 0.2
    """Adam's first step size; it falls linearly to zero in each half; the second begins with half of it."""
    validation_episodes: int = 250
    """Episodes of a validation, drawn once from a seed of their own."""
    variant: str | None = None
    """A published parameter set of the plant instead of the nominal one."""
    randomise: bool = False
    """Draw the plant's parameters from their ranges at every start (domain randomisation)."""


@one_thread()
def train(
    plant: Plant, task: str | None = None, *, config: Config = Config(), seed: int = 0, progress: Progress | None = None
) -> TrainResult:
    """Train a dictionary for `task` (the plant's first by default). The same seed gives the same coefficients on one
    machine. Raises `TinyctlError` for too few terms."""
    return _train(plant, plant.task(task), config, seed, progress)


def _train(plant: Plant, task: Task, config: Config, seed: int, progress: Progress | None) -> TrainResult:
    started, cpu_started = time.perf_counter(), cpu_time()
    front, n_act = front_layers(task), task.contract.n_act
    if config.terms <= n_act or config.degree < 1 or config.iterations < 4 * EVERY:
        raise TinyctlError(
            f"{config.terms} terms of degree {config.degree} in {config.iterations} iterations are too few",
            fix=f"at least {n_act + 1} terms, degree 1, {4 * EVERY} iterations",
        )
    width = front[-1][1].n_out
    monomials = up_to(width, config.degree)
    layer, _ = layer_of(monomials, width)
    whole: Front = front if layer is None else [*front, ("monomials", layer)]
    weights = initial_weights(task, len(monomials), (), torch.Generator().manual_seed(seed))
    removal = _Removal(weights, config.terms - n_act, round(SETTLED * (config.iterations // 2)))
    half = apg.Config(
        iterations=config.iterations // 2,
        plants=config.plants,
        window=config.window,
        learning_rate=config.learning_rate,
        validation_episodes=config.validation_episodes,
        variant=config.variant,
        randomise=config.randomise,
    )

    def told(before: int) -> Progress | None:
        return None if progress is None else lambda done, of, survived: progress(before + done, 2 * of, survived)

    first = apg.descend(plant, task, half, seed, told(0), front=whole, weights=weights, after_step=removal)
    second = replace(half, learning_rate=config.learning_rate / 2)
    result = apg.descend(plant, task, second, seed + 1, told(half.iterations),
                         front=whole, weights=weights, after_step=removal.hold)  # fmt: skip
    late = [replace(p, iteration=p.iteration + half.iterations, seconds=p.seconds + first.seconds)
            for p in result.curve]  # fmt: skip
    return replace(result, policy=compact(result.policy, monomials, front, task), curve=(*first.curve, *late),
                   env_steps=first.env_steps + result.env_steps, seconds=time.perf_counter() - started,
                   cpu_seconds=cpu_time() - cpu_started, iterations=2 * half.iterations)  # fmt: skip


def compact(policy: Policy, monomials: tuple[Exponents, ...], front: Front, task: Task) -> Policy:
    """The policy of a dictionary over these monomials, with those only whose coefficients are not zero."""
    dense, width = policy.nodes[-2].layer, front[-1][1].n_out
    assert isinstance(dense, Dense)
    used = [k for k in range(len(monomials)) if dense.weight[:, k].any()]
    layer, columns = layer_of([monomials[k] for k in used], width)
    fewer = np.zeros((dense.n_out, width if layer is None else layer.n_out), F32)
    fewer[:, [columns[monomials[k]] for k in used]] = dense.weight[:, used]
    products: Front = [] if layer is None else [("monomials", layer)]
    return policy_of(task, [*front, *products], [torch.from_numpy(fewer), torch.from_numpy(dense.bias[:, None].copy())])


class _Removal:
    """Removes coefficients until `keep` are left, after `by` iterations; each time those whose monomial, with the
    spread it has in the window, moves its action least."""

    def __init__(self, weights: list[Tensor], keep: int, by: int) -> None:
        self.weight, self.keep, self.by = weights[0], keep, by
        self.mask = torch.ones_like(self.weight)
        self.at_first = self.weight.numel()

    def __call__(self, iteration: int, window: Window) -> None:
        if iteration % EVERY == 0:
            left = max(self.keep, math.floor(self.at_first + (self.keep - self.at_first) * iteration / self.by))
            spread = np.concatenate([now.inputs for now in window.passes], axis=1).std(axis=1)
            weight = np.where(self.mask.numpy() > 0, np.abs(self.weight.numpy()) * spread, np.inf).ravel()
            surplus = int(self.mask.sum()) - left
            if surplus > 0:
                self.mask.view(-1)[torch.from_numpy(np.argsort(weight, kind="stable")[:surplus].copy())] = 0
        self.hold(iteration, window)

    def hold(self, iteration: int, window: Window) -> None:
        """What was removed stays so."""
        with torch.no_grad():
            self.weight *= self.mask
