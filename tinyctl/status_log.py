"""What a controller's status word said in flight: refused observations, and what a guard does about them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyctl.layers.base import Array
from tinyctl.network import REJECTED
from tinyctl.safety.guard import GROUP_SHIFT, MAX_GROUPS, REASONS
from tinyctl.sequences import EXHAUSTED, HELD, LATE

NAMES = {
    REJECTED: "an observation is not finite",
    LATE: "the decision is late",
    HELD: "the last action of its sequence is held",
    EXHAUSTED: "its sequence is exhausted",
    **{bit: f"guard: {name.replace('_', ' ')}" for name, bit in REASONS.items()},
    **{1 << GROUP_SHIFT + i: f"guard: sensor {i} replaced" for i in range(MAX_GROUPS)},
}
MOST_EVENTS = 100  # of an episode


@dataclass(frozen=True)
class Event:
    """The status word changed to this at this time."""

    time_s: float
    status: int
    what: str


class StatusLog:
    """A controller, and the status words of the first `kept` episodes that it serves, as far as it has any."""

    def __init__(self, controller: Any, kept: int) -> None:
        self.controller, self.room = controller, kept
        self.words: list[list[Array]] = []  # by call of `reset` and by step, (episodes,)

    def reset(self, n: int) -> None:
        self.controller.reset(n)
        self.watched = min(n, self.room)
        self.room -= self.watched
        if self.watched:
            self.words.append([])

    def step(self, observations: Array) -> Array:
        action: Array = self.controller.step(observations)
        status = getattr(self.controller, "status", None)
        if self.watched and status is not None:
            self.words[-1].append(np.array(status[: self.watched], np.uint32))
        return action

    def set_applied(self, action: Array) -> None:
        self.controller.set_applied(action)

    def events(self, step_s: float) -> list[tuple[Event, ...]]:
        """The changes of each kept episode's status word, with `step_s` seconds from one step to the next."""
        found = []
        for steps in filter(None, self.words):
            for word in np.stack(steps, axis=1):
                changed = np.flatnonzero(np.diff(word, prepend=np.uint32(0)))[:MOST_EVENTS]
                found.append(tuple(Event(round(int(k) * step_s, 6), int(word[k]), told(int(word[k]))) for k in changed))
        return found


def told(status: int) -> str:
    """A status word in words."""
    names = [NAMES.get(1 << bit, f"bit {bit}") for bit in range(32) if status >> bit & 1]
    return ", ".join(names) or "all well"
