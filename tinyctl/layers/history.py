"""Past values of some columns, as the Learning-to-Fly firmware keeps its actions: a ring, stepped at two rates."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tinyctl.errors import TinyctlError
from tinyctl.layers.base import F32, MAX_WIDTH, Array, StatefulLayer, StateSlot, array_field, check_columns, rounding

MAX_EVERY = 1000


@dataclass(frozen=True, eq=False)
class History(StatefulLayer):
    """Appends to its input the last `depth` values of `columns`, oldest first, one slot for each `every` steps.

    The newest slot is the running mean of the steps it stands for: `m += (x - m) * (1 / k)` in the k-th of them, each
    operation rounded. So a policy trained at one rate can be stepped `every` times as fast. `initial` (columns,) fills
    all slots after a reset.
    """

    kind: ClassVar[str] = "history"

    width: int
    columns: tuple[int, ...]
    depth: int
    every: int
    initial: Array = array_field("float32", 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_columns(self.columns, self.width, "history")
        if self.initial.shape != (len(self.columns),):
            raise TinyctlError(f"{len(self.initial)} initial values for {len(self.columns)} columns", where="history")
        if not (self.depth >= 1 and self.n_out <= MAX_WIDTH and 1 <= self.every <= MAX_EVERY):
            raise TinyctlError(f"depth {self.depth} or every {self.every} is out of range", where="history")

    @property
    def n_in(self) -> int:
        return self.width

    @property
    def n_out(self) -> int:
        return self.width + self.depth * len(self.columns)

    def shares(self) -> Array:
        """(every,) float32: the share of the newest value in a mean of 1, 2, ... values."""
        return (1.0 / np.arange(1, self.every + 1)).astype(F32)

    def state(self) -> tuple[StateSlot, ...]:
        return (
            StateSlot("ring", np.tile(self.initial, self.depth)),
            StateSlot("newest", np.zeros(1, F32)),  # its slot
            StateSlot("steps", np.full(1, self.every, F32)),  # that are in it: full, so that the first step opens one
        )

    def step(
        self, x: Array, state: tuple[Array, ...], rejected: Array, rate_hz: float
    ) -> tuple[Array, tuple[Array, ...]]:
        ring, newest, steps = state
        opens = steps >= self.every
        slot = np.where(opens, np.where(newest >= self.depth - 1, F32(0), newest + F32(1)), newest)
        count = np.where(opens, F32(1), steps + F32(1))
        slots = ring.reshape(len(x), self.depth, -1)
        rows, at = np.arange(len(x)), slot[:, 0].astype(np.int64)
        mean, value = slots[rows, at], x[:, self.columns]
        moved = mean + (value - mean) * self.shares()[count.astype(np.int64) - 1]
        following = slots.copy()
        following[rows, at] = np.where(opens, value, moved)
        keep = rejected[:, None]
        slots = np.where(keep[:, :, None], slots, following)
        newest, steps = np.where(keep, newest, slot), np.where(keep, steps, count)
        order = (newest.astype(np.int64) + 1 + np.arange(self.depth)) % self.depth
        past = slots[rows[:, None], order].reshape(len(x), -1)
        return np.concatenate([x, past], axis=1), (slots.reshape(len(x), -1), newest, steps)

    def bound(self, low: Array, high: Array) -> tuple[Array, Array]:
        # A mean stays between the extremes; the three roundings of each step that makes it add up.
        start = self.initial.astype(np.float64)
        least = np.minimum(low[list(self.columns)], start)
        most = np.maximum(high[list(self.columns)], start)
        slack = rounding(np.maximum(np.abs(least), np.abs(most)) + (most - least), 4 * self.every)
        past = np.tile(least - slack, self.depth), np.tile(most + slack, self.depth)
        return np.concatenate([low, past[0]]), np.concatenate([high, past[1]])

    def lipschitz(self) -> float:
        return math.sqrt(2.0)  # of one step: x goes to itself and, at most whole, into one slot
