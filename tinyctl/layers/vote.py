"""Values corrected by a vote over bins: a regression head and a classification head, joined.

After Delavari and Khoshgoftar's confidence-aware imitation learning, whose one systematic correction is this: where the
vote is sure and the value is in another bin, the bin's centre is taken. Here both conditions set in gradually, so that
the result moves continuously with what is measured, and being sure is a lead of the first logit over the second, which
takes no exponential: a lead of log(9 (bins - 1)) is a probability of at least 0.9.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tinyctl.errors import TinyctlError
from tinyctl.layers.base import F32, MAX_WIDTH, Array, JoinLayer, rounding

Range = tuple[Array, Array]
ROUNDINGS = 8  # of a correction, at most


@dataclass(frozen=True, eq=False)
class Vote(JoinLayer):
    """`y = u - sure apart (u - c)` for `width` values u in [-1, 1] and `bins` logits each, one value's after another's.

    c is the centre of the value's bin of [-1, 1] with the highest logit; `sure` rises from 0 to 1 while that logit's
    lead over the next goes from `lead` to `lead + rise`, `apart` while u goes from one to two bins away from c.
    """

    kind: ClassVar[str] = "vote"

    width: int
    bins: int
    lead: float
    rise: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.width >= 1 and self.bins >= 2 and self.width * self.bins <= MAX_WIDTH):
            raise TinyctlError(f"{self.width} values with {self.bins} bins are not possible", where=self.kind)
        if not (0 <= self.lead <= 1e6 and 1e-6 <= self.rise <= 1e6):
            raise TinyctlError(f"lead {self.lead:g} or rise {self.rise:g} is out of range", where=self.kind)

    @property
    def widths(self) -> tuple[int, ...]:
        return (self.width, self.width * self.bins)

    @property
    def n_out(self) -> int:
        return self.width

    @property
    def centres(self) -> Array:
        """(bins,) float32."""
        return ((2 * np.arange(self.bins) + 1) / self.bins - 1).astype(F32)

    def join(self, *xs: Array) -> Array:
        u, logits = xs
        return self._corrected(u, logits.reshape(len(u), self.width, self.bins), F32)

    def exact_join(self, *xs: Array) -> Array:
        u, logits = xs
        return self._corrected(u, logits.reshape(len(u), self.width, self.bins), np.float64)

    def _corrected(self, u: Array, logits: Array, real: type) -> Array:
        ordered = np.sort(logits, axis=2)
        ahead = ordered[:, :, -1] - ordered[:, :, -2]
        away = u - self.centres.astype(real)[logits.argmax(axis=2)]  # of equal ones the first; `sure` is zero there
        sure = np.clip((ahead - real(F32(self.lead))) * real(F32(1 / self.rise)), real(0), real(1))
        apart = np.clip(np.abs(away) * real(F32(self.bins / 2)) - real(1), real(0), real(1))
        return np.asarray(u - sure * apart * away)

    def join_bound(self, *ranges: Range) -> Range:
        low, high = ranges[0]
        slack = self._rounding(low, high, *ranges[1])
        return np.minimum(low, -1.0) - slack, np.maximum(high, 1.0) + slack

    def lipschitz(self) -> float:
        return float("inf")  # it grows with how far a value is from a bin; `jacobian` bounds it over a range

    def jacobian(self, low: Array, high: Array) -> Range:
        """By a value within [-2, 1]: `apart` changes only up to two bins away. By a logit no more than the farthest
        correction over `rise`."""
        farthest = self._farthest(low[: self.width], high[: self.width]) / float(F32(self.rise))
        by_logit = np.kron(np.diag(farthest), np.ones(self.bins))
        return np.hstack([-2 * np.eye(self.width), -by_logit]), np.hstack([np.eye(self.width), by_logit])

    def error(self, low: Array, high: Array) -> Array:
        n = self.width
        return self._rounding(low[:n], high[:n], low[n:], high[n:])

    def _farthest(self, low: Array, high: Array) -> Array:
        """How far a value can be from a centre."""
        return np.maximum(np.abs(low), np.abs(high)) + 1.0

    def _rounding(self, low: Array, high: Array, logit_low: Array, logit_high: Array) -> Array:
        reach = np.maximum(np.abs(logit_low), np.abs(logit_high)).reshape(self.width, self.bins).max(axis=1)
        farthest = self._farthest(low, high)
        sure = rounding(2 * reach + self.lead, 2) / float(F32(self.rise)) + 2.0**-22
        apart = rounding(farthest * self.bins, 2)
        return np.asarray(farthest * (sure + apart) + rounding(farthest * 2, ROUNDINGS))
