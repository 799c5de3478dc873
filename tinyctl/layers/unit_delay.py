"""The value of another node one step ago: what closes a loop inside a network, and makes it recurrent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tinyctl.errors import TinyctlError
from tinyctl.formats.base import Format
from tinyctl.layers.base import FLT_MAX, Array, StatefulLayer, StateSlot, Twin, array_field, check_integer


class DelayLayer(StatefulLayer):
    """Returns its state, then keeps its input, which a later node may compute: `y = s; s = x`.

    So its value exists before its input does. A rejected step keeps the state.
    """

    in_place: ClassVar[bool] = False

    def keep(self, x: Array) -> Array:
        """What becomes the state when `x` (batch, n_in) comes in, in the type of the state."""
        raise NotImplementedError

    def step(
        self, x: Array, state: tuple[Array, ...], rejected: Array, rate_hz: float
    ) -> tuple[Array, tuple[Array, ...]]:
        (s,) = state
        return self.recall(state), (np.where(rejected[:, None], s, self.keep(x)),)

    def recall(self, state: tuple[Array, ...]) -> Array:
        """The value of this step (batch, n_out)."""
        return state[0].copy()

    def lipschitz(self) -> float:
        return 1.0  # from its input to the value of the next step

    def affine(self, rate_hz: float) -> tuple[Array, Array]:
        return np.zeros((self.n_out, self.n_in)), np.zeros(self.n_out)  # nothing reaches the value of the same step

    def exact_step(self, x: Array, state: tuple[Array, ...], rate_hz: float) -> Array:
        return state[0].astype(np.float64)

    def error(self, low: Array, high: Array) -> Array:
        return np.zeros(self.n_out)


@dataclass(frozen=True, eq=False)
class UnitDelay(DelayLayer):
    """A delay of float32 columns: `s = clamp(x, -limit, limit)`.

    `initial` (columns,) is the state after a reset. `limit` (columns,) is what makes the loop's bounds finite: at least
    the largest magnitude that the cell can reach, or that its user wants to let it.
    """

    kind: ClassVar[str] = "unit_delay"

    initial: Array = array_field("float32", 1)
    limit: Array = array_field("float32", 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.limit.shape != self.initial.shape or not ((self.limit > 0) & (self.limit < FLT_MAX)).all():
            raise TinyctlError(f"limit is not {len(self.initial)} positive numbers", where=self.kind)
        if (np.abs(self.initial) > self.limit).any():
            raise TinyctlError("an initial value is beyond its limit", where=self.kind)

    @property
    def n_in(self) -> int:
        return len(self.initial)

    def state(self) -> tuple[StateSlot, ...]:
        return (StateSlot("s", self.initial),)

    def keep(self, x: Array) -> Array:
        return np.where(x < -self.limit, -self.limit, np.where(x > self.limit, self.limit, x))

    def bound(self, low: Array, high: Array) -> tuple[Array, Array]:
        limit = self.limit.astype(np.float64)
        return -limit, limit

    def twin(self, chosen: Format, scales: tuple[Array, ...], out: Array, rate_hz: float) -> Twin:
        most = np.iinfo(chosen.activation).max
        initial = np.clip(np.floor(self.initial / out + 0.5), -most, most).astype(np.int32)
        return Twin(IntegerUnitDelay(chosen.activation, initial), out)


@dataclass(frozen=True, eq=False)
class IntegerUnitDelay(DelayLayer):
    """A delay of integer columns, whose state has 32 bits: `s = x`. `initial` (columns,) int32 is within the type."""

    kind: ClassVar[str] = "integer_unit_delay"

    activation: str
    initial: Array = array_field("int32", 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer(self.activation, self.kind)
        limits = np.iinfo(self.activation)
        if (self.initial < limits.min).any() or (self.initial > limits.max).any():
            raise TinyctlError(f"an initial value is not an {self.activation}", where=self.kind)

    def fits(self, activation: str) -> bool:
        return activation == self.activation

    @property
    def n_in(self) -> int:
        return len(self.initial)

    def state(self) -> tuple[StateSlot, ...]:
        return (StateSlot("s", self.initial),)

    def keep(self, x: Array) -> Array:
        return x.astype(np.int32)

    def recall(self, state: tuple[Array, ...]) -> Array:
        return state[0].astype(self.activation)

    def bound(self, low: Array, high: Array) -> tuple[Array, Array]:
        limits = np.iinfo(self.activation)
        return np.full(self.n_out, float(limits.min)), np.full(self.n_out, float(limits.max))
