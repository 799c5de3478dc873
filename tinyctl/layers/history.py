"""Past values of some columns, as the Learning-to-Fly firmware keeps its actions: a ring, stepped at two rates."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tinyctl.errors import TinyctlError
from tinyctl.formats.base import Format, high_product
from tinyctl.layers.base import (
    F32,
    MAX_WIDTH,
    AppendingLayer,
    Array,
    StateSlot,
    Twin,
    append,
    array_field,
    check_integer,
    rounding,
)

MAX_EVERY = 1000


@dataclass(frozen=True, eq=False)
class History(AppendingLayer):
    """Appends to its input the last `depth` values of `columns`, oldest first, one slot for each `every` steps.

    The newest slot is the running mean of the steps it stands for: `m += (x - m) * (1 / k)` in the k-th of them, each
    operation rounded. So a policy trained at one rate can be stepped `every` times as fast. `initial` (columns,) fills
    all slots after a reset.
    """

    kind: ClassVar[str] = "history"

    depth: int
    every: int
    initial: Array = array_field("float32", 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.initial.shape != (len(self.columns),):
            raise TinyctlError(f"{len(self.initial)} initial values for {len(self.columns)} columns", where="history")
        if not (self.depth >= 1 and self.n_out <= MAX_WIDTH and 1 <= self.every <= MAX_EVERY):
            raise TinyctlError(f"depth {self.depth} or every {self.every} is out of range", where="history")

    @property
    def kept(self) -> int:
        return self.depth

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

    def affine(self, rate_hz: float) -> tuple[Array, Array]:
        return append(self.width, self.columns, 1.0, self.depth), np.zeros(self.n_out)

    def slopes(self, low: Array, high: Array) -> tuple[Array, Array]:
        return _slopes(self)

    def exact_step(self, x: Array, state: tuple[Array, ...], rate_hz: float) -> Array:
        ring, newest, steps = state
        mean = ring.astype(np.float64).reshape(len(x), self.depth, -1)
        count = np.where(steps >= self.every, 1, steps[:, :1] + 1)
        past = [m + (x[:, self.columns] - m) / count for m in np.moveaxis(mean, 1, 0)]
        return _ordered(self, x, mean, past, newest, steps)

    def error(self, low: Array, high: Array) -> Array:
        least, most = self.bound(low, high)
        reach = np.maximum(np.abs(least), np.abs(most)) + (most - least)
        return np.concatenate([np.zeros(self.width), rounding(reach, 4)[self.width :]])

    def twin(self, chosen: Format, scales: tuple[Array, ...], out: Array, rate_hz: float) -> Twin:
        scale, limits = scales[0][list(self.columns)], np.iinfo(chosen.activation)
        initial = np.clip(np.floor(self.initial / scale + 0.5), limits.min, limits.max).astype(np.int32)
        layer = IntegerHistory(self.width, self.columns, self.depth, self.every, chosen.activation, initial)
        return Twin(layer, np.concatenate([scales[0], np.tile(scale, self.depth)]))


def _slopes(layer: History | IntegerHistory) -> tuple[Array, Array]:
    """One slot takes a share of the new value, from the whole to 1 / every; the others take nothing."""
    kept = np.zeros(layer.n_out - layer.width)
    return np.concatenate([np.ones(layer.width), kept]), np.ones(layer.n_out)


def _ordered(
    layer: History | IntegerHistory, x: Array, ring: Array, moved: list[Array], newest: Array, steps: Array
) -> Array:
    """The result of a step: x and the slots (batch, depth, columns), oldest first, the newest being what `moved` has
    for it."""
    slot = np.where(steps >= layer.every, (newest + 1) % layer.depth, newest)[:, 0].astype(np.int64)
    rows, slots = np.arange(len(x)), ring.copy()
    slots[rows, slot] = np.stack(moved, axis=1)[rows, slot]
    order = (slot[:, None] + 1 + np.arange(layer.depth)) % layer.depth
    return np.concatenate([x, slots[rows[:, None], order].reshape(len(x), -1)], axis=1)


@dataclass(frozen=True, eq=False)
class IntegerHistory(AppendingLayer):
    """The history in integers: the newest slot is the rounded mean `sum / k` of the k steps it stands for, the quotient
    a product with a fraction of 2^31. The state is int32 throughout."""

    kind: ClassVar[str] = "integer_history"

    depth: int
    every: int
    activation: str
    initial: Array = array_field("int32", 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer(self.activation, self.kind)
        History(self.width, self.columns, self.depth, self.every, np.zeros(len(self.initial), F32))  # the same rules
        limits = np.iinfo(self.activation)
        if not ((self.initial >= limits.min) & (self.initial <= limits.max)).all():
            raise TinyctlError("an initial value is beyond its input's range", where="integer_history")

    def fits(self, activation: str) -> bool:
        return activation == self.activation

    @property
    def kept(self) -> int:
        return self.depth

    def shares(self) -> Array:
        """(every,) int32: 2^31 / k for k = 1, 2, ...; the first is not used."""
        return np.minimum(np.floor(2.0**31 / np.arange(1, self.every + 1) + 0.5), 2**31 - 1).astype(np.int32)

    def state(self) -> tuple[StateSlot, ...]:
        return (
            StateSlot("ring", np.tile(self.initial, self.depth)),
            StateSlot("sum", np.zeros(len(self.columns), np.int32)),  # of the newest slot
            StateSlot("newest", np.zeros(1, np.int32)),
            StateSlot("steps", np.full(1, self.every, np.int32)),  # that are in it: full, so that the first opens one
        )

    def step(
        self, x: Array, state: tuple[Array, ...], rejected: Array, rate_hz: float
    ) -> tuple[Array, tuple[Array, ...]]:
        ring, total, newest, steps = state
        opens = steps >= self.every
        slot = np.where(opens, np.where(newest >= self.depth - 1, 0, newest + 1), newest).astype(np.int32)
        count = np.where(opens, 1, steps + 1).astype(np.int32)
        value = x[:, self.columns].astype(np.int32)
        added = np.where(opens, value, total + value).astype(np.int32)
        mean = np.where(opens, value, high_product(2 * added, self.shares()[count - 1])).astype(np.int32)
        rows, slots = np.arange(len(x)), ring.reshape(len(x), self.depth, -1)
        following = slots.copy()
        following[rows, slot[:, 0]] = mean
        keep = rejected[:, None]
        slots = np.where(keep[:, :, None], slots, following)
        total, newest, steps = (
            np.where(keep, old, new) for old, new in ((total, added), (newest, slot), (steps, count))
        )
        order = (newest + 1 + np.arange(self.depth)) % self.depth
        past = slots[rows[:, None], order].reshape(len(x), -1).astype(x.dtype)
        return np.concatenate([x, past], axis=1), (slots.reshape(len(x), -1), total, newest, steps)

    def bound(self, low: Array, high: Array) -> tuple[Array, Array]:
        start, columns = self.initial.astype(np.float64), list(self.columns)
        least, most = np.minimum(np.floor(low[columns]), start), np.maximum(np.ceil(high[columns]), start)
        return np.concatenate([low, np.tile(least, self.depth)]), np.concatenate([high, np.tile(most, self.depth)])

    def lipschitz(self) -> float:
        return math.sqrt(2.0)

    def affine(self, rate_hz: float) -> tuple[Array, Array]:
        return append(self.width, self.columns, 1.0, self.depth), np.zeros(self.n_out)

    def slopes(self, low: Array, high: Array) -> tuple[Array, Array]:
        return _slopes(self)

    def exact_step(self, x: Array, state: tuple[Array, ...], rate_hz: float) -> Array:
        ring, total, newest, steps = state
        opens, value = steps >= self.every, x[:, self.columns]
        mean = np.where(opens, value, (total + value) / np.where(opens, 1, steps + 1))
        slots = ring.astype(np.float64).reshape(len(x), self.depth, -1)
        return _ordered(self, x, slots, [mean] * self.depth, newest, steps)

    def error(self, low: Array, high: Array) -> Array:
        mean = 0.5 + self.every * 2.0 ** (np.iinfo(self.activation).bits - 1) / 2.0**32  # the share is off by 2^-32
        return np.concatenate([np.zeros(self.width), np.full(self.n_out - self.width, mean if self.every > 1 else 0.0)])
