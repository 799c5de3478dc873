"""A policy of sequences in a training window: one pass a decision, seen as the passes of its ticks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from tinyctl.contract import Contract
from tinyctl.errors import TinyctlError
from tinyctl.layers.base import Array
from tinyctl.sequences import Rates, rates_of, sequenced
from tinyctl.sims.kernel import Kernel
from tinyctl.sims.plant import Task
from tinyctl.trainers.base import Front, Pass, Tensor, columns


def planned(task: Task, every: int, length: int | None, intervals: tuple[int, ...]) -> tuple[Task, tuple[int, ...]]:
    """A task as a policy of sequences sees it, and the ticks from one of its decisions to the next, in turn. By default
    every third decision of a policy with spare actions is followed by none in time, so that the cost itself teaches
    what to do meanwhile. Raises `TinyctlError`."""
    rates = Rates(every, length or every)
    ticks = intervals or ((every,) if rates.length == every else (every, every, rates.length))
    if not all(1 <= interval <= rates.length for interval in ticks):
        raise TinyctlError(f"intervals {intervals} of sequences of {rates.length}", fix="from 1 to as many")
    seen = task if rates == Rates() else replace(task, contract=sequenced(task.contract, rates), loops=())
    return seen, ticks


class Tick:
    """What a decision says at one of its ticks, with the buffers of a `Pass`. The first computes the decision; the
    others have observations and gradients that nothing reads."""

    def __init__(self, decision: Decision, j: int) -> None:
        self.decision, self.j, self.first = decision, j, j == 0
        rows = slice(j * decision.n_act, (j + 1) * decision.n_act)
        made = decision.made
        self.action, self.g_action = made.action[rows], made.g_action[rows]
        self.obs, self.g_obs = (made.obs, made.g_obs) if self.first else (made.obs.copy(), np.zeros_like(made.g_obs))
        self.inputs, self.next_memory, self.g_next_memory = made.inputs, made.next_memory, made.g_next_memory
        self.g_memory = made.g_memory if self.first else made.g_next_memory
        self.g_last = made.g_last[decision.remembered] if self.first else np.zeros_like(self.action)

    def forward(self) -> None:
        if self.first:
            self.decision.forward()

    def backward(self) -> None:
        if self.first:
            self.decision.made.backward()


class Decision:
    """A pass that gives a sequence, played for `ticks` ticks."""

    def __init__(self, kernel: Kernel, front: Front, weights: list[Tensor], n: int, said: Array, memory: Array,
                 contract: Contract, number: int, ticks: int) -> None:  # fmt: skip
        rates = rates_of(contract)
        self.n_act, self.number, self.ticks, self.said = contract.n_act // rates.length, number, ticks, said
        self.remembered = slice((rates.every - 1) * self.n_act, rates.every * self.n_act)
        self.last = columns(contract.n_act, n)
        self.made = Pass(kernel, front, weights, n, self.last, memory, gradients=True, contract=contract)

    def forward(self) -> None:
        self.last[self.remembered] = self.said
        self.made.forward()


def tick_pass(kernel: Kernel, front: Front, weights: list[Tensor], n: int, said: Array, memory: Array,
              contract: Contract, intervals: tuple[int, ...], passes: list[Any]) -> Pass | Tick:  # fmt: skip
    """The pass of the tick behind `passes`, before which the action `said` (n_act, n) was applied; `intervals` are the
    ticks from one decision to the next."""
    if rates_of(contract) == Rates():
        return Pass(kernel, front, weights, n, said, memory, gradients=True)
    last: Tick | None = passes[-1] if passes else None
    if last is not None and last.j + 1 < last.decision.ticks:
        return Tick(last.decision, last.j + 1)
    number = 0 if last is None else last.decision.number + 1
    ticks = intervals[number % len(intervals)]
    return Tick(Decision(kernel, front, weights, n, said, memory, contract, number, ticks), 0)
