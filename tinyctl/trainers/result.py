"""What every training algorithm returns, and what it tells on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tinyctl.policy import Policy
from tinyctl.sims.loop import Estimate

Progress = Callable[[int, int, float], None]  # iteration, of how many, last validated survival (NaN before the first)


@dataclass(frozen=True)
class CurvePoint:
    """One validation: the iteration, the mean training cost since the one before, the surviving fraction, the first
    score (NaN when nothing survived or the task has none), and seconds since the start."""

    iteration: int
    cost: float
    survived: float
    score: float
    seconds: float


@dataclass(frozen=True)
class TrainResult:
    """The validated policy that was kept, with its figures on the validation episodes, and how it came about.

    `env_steps` counts training steps of single plants; `seconds` and `cpu_seconds` include compilation, not imports.
    `iterations` is after how many of the algorithm's iterations it ended. Of their gradients `clipped` were shortened
    and `skipped` were not finite.
    """

    policy: Policy
    survived: Estimate
    scores: dict[str, Estimate | None]
    curve: tuple[CurvePoint, ...]
    env_steps: int
    seconds: float
    cpu_seconds: float
    iterations: int = 0
    clipped: int = 0
    skipped: int = 0
