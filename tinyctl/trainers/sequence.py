"""A policy of sequences in a training window: one pass a decision, seen as the passes of its ticks."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyctl.contract import Contract
from tinyctl.layers.base import Array
from tinyctl.sequences import Rates, rates_of
from tinyctl.sims.kernel import Kernel
from tinyctl.trainers.base import Front, Pass, Tensor, columns

MISSED = 3  # of so many decisions one does not come in time, where there are spare actions


class Tick:
    """What a decision says at one of its ticks, with the buffers of a `Pass`. The first computes the decision; the
    others have observations and gradients that nothing reads."""

    def __init__(self, decision: Decision, j: int) -> None:
        self.decision, self.j, self.first = decision, j, j == 0
        rows = slice(j * decision.n_act, (j + 1) * decision.n_act)
        made = decision.made
        self.action, self.g_action = made.action[rows], made.g_action[rows]
        self.obs, self.g_obs = (made.obs, made.g_obs) if self.first else (made.obs.copy(), np.zeros_like(made.g_obs))
        self.next_memory, self.g_next_memory = made.next_memory, made.g_next_memory
        self.g_memory = made.g_memory if self.first else made.g_next_memory
        self.g_last = made.g_last[decision.remembered] if self.first else np.zeros_like(self.action)

    def forward(self) -> None:
        if self.first:
            self.decision.forward()

    def backward(self) -> None:
        if self.first:
            self.decision.made.backward()


class Decision:
    """A pass that gives a sequence, played for `ticks` ticks. Of a policy with spare actions every so many-th decision
    is followed by none in time, so that it learns what to do meanwhile."""

    def __init__(self, kernel: Kernel, front: Front, weights: list[Tensor], n: int, said: Array, memory: Array,
                 contract: Contract, number: int) -> None:  # fmt: skip
        rates = rates_of(contract)
        self.n_act, self.number, self.said = contract.n_act // rates.length, number, said
        self.ticks = rates.length if number % MISSED == MISSED - 1 else rates.every
        self.remembered = slice((rates.every - 1) * self.n_act, rates.every * self.n_act)
        self.last = columns(contract.n_act, n)
        self.made = Pass(kernel, front, weights, n, self.last, memory, gradients=True, contract=contract)

    def forward(self) -> None:
        self.last[self.remembered] = self.said
        self.made.forward()


def tick_pass(kernel: Kernel, front: Front, weights: list[Tensor], n: int, said: Array, memory: Array,
              contract: Contract, passes: list[Any]) -> Pass | Tick:  # fmt: skip
    """The pass of the tick behind `passes`, before which the action `said` (n_act, n) was applied."""
    if rates_of(contract) == Rates():
        return Pass(kernel, front, weights, n, said, memory, gradients=True)
    last: Tick | None = passes[-1] if passes else None
    if last is not None and last.j + 1 < last.decision.ticks:
        return Tick(last.decision, last.j + 1)
    number = 0 if last is None else last.decision.number + 1
    return Tick(Decision(kernel, front, weights, n, said, memory, contract, number), 0)
