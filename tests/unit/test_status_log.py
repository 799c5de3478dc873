"""The log of status words: the changes of the first episodes, whatever flies them and however many at once."""

from __future__ import annotations

import numpy as np
import pytest

from tinyctl.layers.base import Array
from tinyctl.status_log import Event, StatusLog, told

WORDS = np.array([[0, 1], [1, 1], [1, 0], [0, 0]], np.uint32)


class Faulty:
    """Its status words are the rows of `WORDS`, those of the later episodes zero."""

    def reset(self, n: int) -> None:
        self.n, self.k = n, 0

    def step(self, observations: Array) -> Array:
        self.status = np.zeros(self.n, np.uint32)
        self.status[:2] = WORDS[self.k, : self.n]
        self.k += 1
        return observations


@pytest.mark.parametrize("batches", [(5,), (2, 3), (1, 1)])
def test_changes_of_the_kept_episodes(batches: tuple[int, ...]) -> None:
    log = StatusLog(Faulty(), kept=2)
    for n in batches:
        log.reset(n)
        for _ in WORDS:
            log.step(np.zeros((n, 1)))
    first = (Event(0.02, 1, "an observation is not finite"), Event(0.06, 0, "all well"))
    second = (Event(0.0, 1, "an observation is not finite"), Event(0.04, 0, "all well"))
    assert log.events(0.02) == [first, first if batches == (1, 1) else second]


def test_a_controller_without_status_has_no_events() -> None:
    log = StatusLog(type("Plain", (), {"reset": lambda self, n: None, "step": lambda self, x: x})(), kept=1)
    log.reset(1)
    log.step(np.zeros((1, 1)))
    assert log.events(0.1) == []


def test_what_has_no_name_is_a_bit() -> None:
    assert told(0) == "all well"
    assert told(1 << 25 | 1) == "an observation is not finite, bit 25"
