"""Dynamics with fewer ReLUs: the gates of `sparsify` on a model that `dynamics` has learned.

The gates learn with the weights, through predictions in a row and at a price, first open, then one-hot within a budget
of ReLUs; then they are frozen and folded, and the weights are fitted again. Where an error is given in place of a
budget, the budget falls until the folded model is less exact than that, and the one before stays (Liu et al.,
Model-Based Control with Sparse Neural Dynamics, 2023, sparsify gradually too; the schedule is ours).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import accumulate, repeat

import numpy as np

from tinyctl.errors import TinyctlError
from tinyctl.gates import RELU, gated, relu_layers
from tinyctl.policy import Policy
from tinyctl.pruner import Progress
from tinyctl.sims.plant import Plant, Task
from tinyctl.trainers import dynamics
from tinyctl.trainers.distill import told_after
from tinyctl.trainers.sparsify import SHARP, Relaxation, Relaxed, Sparsified, kept
from tinyctl.trainers.threads import one_thread


@dataclass(frozen=True)
class Config:
    """How long."""

    open_steps: int = 600
    """Gradient steps with open gates."""
    sharp_steps: int = 300
    """With one-hot gates, for each budget."""
    tuning_steps: int = 500
    """With frozen gates, for each budget."""
    fall: float = 0.8
    """From one budget to the next, where an error is given."""
    gates: Relaxation = field(default_factory=Relaxation)
    fit: dynamics.Config = field(default_factory=dynamics.Config)
    """The data and the fit; its period and its layers are those of the model."""


@one_thread()
def sparsify(
    model: Policy, plant: Plant, task: Task, *, keep: float = 0.25, most: float | None = None,
    config: Config = Config(), seed: int = 0, progress: Progress | None = None,
) -> Sparsified:  # fmt: skip
    """A model with the share `keep` of the ReLUs, rounded; with `most`, with as few as keep its `dynamics.rmse` at most
    that. Raises `TinyctlError` for a model without hidden ReLUs, or less exact than `most` from the beginning."""
    names = {hidden.dense.name: hidden.dense.layer.n_out for hidden in relu_layers(model)}
    count = sum(names.values())
    if count == 0:
        raise TinyctlError("the model has no hidden layer with ReLUs")
    best = Sparsified(model, {name: np.full(width, RELU) for name, width in names.items()})
    if most is not None and (error := dynamics.rmse(model, plant, task)) > most:
        raise TinyctlError(
            f"the model's own error is {error:.3g}, above {most:g}", fix="train it longer, or allow more"
        )
    fit = replace(config.fit, period_s=1 / model.contract.rate_hz)
    data = dynamics.trajectories(plant, task, fit, [seed, 1])
    soft, gates = dynamics.Fit(model, task, data, fit, seed), Relaxed(model, count, config.gates, seed)
    soft.tensors.bend = gates.bend
    budgets = _falling(count, config.fall) if most is not None else [kept(keep, count)]
    stages = [config.open_steps, *[config.sharp_steps, config.tuning_steps] * len(budgets)]
    tells = _tells(progress, stages)
    soft.run(config.open_steps, beside=gates.learning, price=lambda done: gates.draw(done * SHARP), tell=next(tells))
    for budget in budgets:
        gates.keep = budget
        soft.run(config.sharp_steps, beside=gates.learning, price=lambda done: gates.draw(1.0), tell=next(tells))
        chosen = gates.chosen()
        tuned = dynamics.Fit(gated(soft.policy(), chosen), task, data, fit, seed)
        tuned.run(config.tuning_steps, tell=next(tells))
        made = Sparsified(tuned.policy(), chosen)
        if most is not None and dynamics.rmse(made.policy, plant, task) > most:
            break
        best = made
    return best


def _falling(count: int, fall: float) -> list[int]:
    """Budgets below `count`, down to none."""
    budgets = []
    while count:
        count = int(count * fall)
        budgets.append(count)
    return budgets


def _tells(progress: Progress | None, stages: list[int]) -> Iterator[Progress | None]:
    """For each stage of so many steps a function that tells what is done of all."""
    for before, total in zip([0, *accumulate(stages)], repeat(sum(stages)), strict=False):
        yield None if progress is None else partial(told_after, progress, before, total)
