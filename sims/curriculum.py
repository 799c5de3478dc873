"""The course of a training as data of its task: easier starts, weaker disturbances, a changed cost, for a while.

A trainer reads it, and an evaluation does not: what counts is the task itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tinyctl.errors import TinyctlError


@dataclass(frozen=True)
class Stage:
    """The `share` of a training in which starts lie `starts` (0 to 1) of the way from the easiest to where they were
    drawn, disturbances are `disturbances` times what was drawn, and terms of the cost weigh `weights` times as much."""

    name: str
    share: float
    starts: float = 1.0
    disturbances: float = 1.0
    weights: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1 or not 0 <= self.starts <= 1:
            raise TinyctlError(f"share {self.share}, starts {self.starts}", where=f"stage {self.name}", fix="0 to 1")
        if not all(0 <= scale < math.inf for scale in (self.disturbances, *self.weights.values())):
            raise TinyctlError("a scale is negative or not finite", where=f"stage {self.name}")


WHOLE = Stage("the task itself", 1.0)


@dataclass(frozen=True)
class Curriculum:
    """`stages` in their order; what they leave of the training is for the task itself. `easiest` is, by name, the value
    of a state or goal from which starts are drawn away; what it does not name is as drawn. `terms` are the parts of the
    task's cost, of the same arguments, that stages weigh."""

    stages: tuple[Stage, ...]
    easiest: Mapping[str, float] = field(default_factory=dict)
    terms: Mapping[str, Callable[[Any, Any, Any], Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if math.fsum(stage.share for stage in self.stages) > 1 + 1e-9:
            raise TinyctlError("the shares of the stages are more than the whole", where="curriculum")
        if unknown := {name for stage in self.stages for name in stage.weights} - set(self.terms):
            raise TinyctlError(f"a weight of {min(unknown)!r}, which is not among the terms", where="curriculum")

    def stage(self, done: float) -> Stage:
        """The stage when the fraction `done` of a training is over."""
        end = 0.0
        for stage in self.stages:
            end += stage.share
            if done < end:
                return stage
        return WHOLE
