"""A diagonal linear recurrence with complex factors: the memory of state space models (S4D, S5), in float32 only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tinyctl.errors import TinyctlError
from tinyctl.layers.base import F32, Array, StatefulLayer, StateSlot, array_field, rounding

GROWTH = 2e-6  # what the roundings of a step can add to a state, of it and its input
LONGEST = 1 - 1e-5  # modulus of a factor: a state is bounded, whatever comes in


@dataclass(frozen=True, eq=False)
class Diagonal(StatefulLayer):
    """`s = f s + x` by columns, f = re + i im; returns s. Columns are pairs, real and imaginary part:

        y_re = (re s_re - im s_im) + x_re     y_im = (re s_im + im s_re) + x_im

    each operation rounded. Factors near the unit circle are fragile in few bits, so it has no integer form: in an
    integer graph it stands between a decode and an encode. A rejected step keeps the state and returns it.
    """

    kind: ClassVar[str] = "diagonal"

    re: Array = array_field("float32", 1)
    im: Array = array_field("float32", 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.re.shape != self.im.shape:
            raise TinyctlError("real and imaginary parts differ in number", where=self.kind)
        if (self._modulus() > LONGEST).any():
            raise TinyctlError(f"a factor is longer than {LONGEST}", where=self.kind, fix="a slower or a stabler pole")

    @property
    def n_in(self) -> int:
        return 2 * len(self.re)

    def state(self) -> tuple[StateSlot, ...]:
        return (StateSlot("s", np.zeros(self.n_in, F32)),)

    def step(
        self, x: Array, state: tuple[Array, ...], rejected: Array, rate_hz: float
    ) -> tuple[Array, tuple[Array, ...]]:
        s = np.where(rejected[:, None], state[0], self._turned(state[0], x, self.re, self.im))
        return s, (s,)

    def bound(self, low: Array, high: Array) -> tuple[Array, Array]:
        reach = self._reach(low, high)
        return -reach, reach

    def lipschitz(self) -> float:
        return 1.0  # the step map; `1 / (1 - |f|)` over time

    def affine(self, rate_hz: float) -> tuple[Array, Array]:
        return np.eye(self.n_in), np.zeros(self.n_in)

    def exact_step(self, x: Array, state: tuple[Array, ...], rate_hz: float) -> Array:
        re, im = self.re.astype(np.float64), self.im.astype(np.float64)
        return self._turned(state[0].astype(np.float64), x, re, im)

    def error(self, low: Array, high: Array) -> Array:
        reach = self._reach(low, high)
        return rounding(2 * reach + np.maximum(np.abs(low), np.abs(high)), 3)

    def _turned(self, s: Array, x: Array, re: Array, im: Array) -> Array:
        real, imaginary = s[:, ::2], s[:, 1::2]
        turned = np.stack([re * real - im * imaginary, re * imaginary + im * real], axis=2)
        return np.asarray(turned.reshape(s.shape) + x)

    def _modulus(self) -> Array:
        return np.hypot(self.re.astype(np.float64), self.im.astype(np.float64))

    def _reach(self, low: Array, high: Array) -> Array:
        """(n_in,): how far from zero a state can ever be, by the geometric series of its modulus."""
        most = np.maximum(np.abs(low), np.abs(high))
        with np.errstate(over="ignore"):
            reach = np.hypot(most[::2], most[1::2]) * (1 + GROWTH) / (1 - self._modulus() - GROWTH) + 2.0**-120
        return np.repeat(reach, 2)
