"""The record of a failure rate."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tinyctl.flight import FlightReport
from tinyctl.layers.base import Array
from tinyctl.sims.control_variate import FailureRate

SCHEMA = 1


@dataclass(frozen=True)
class FailureReport:
    """Failures of a controller in `episodes` flights, and of its twin in these and `twin_episodes` more."""

    on: str
    plant: str
    task: str
    episodes: int
    twin_episodes: int
    seed: int
    delay_s: float
    rate: FailureRate
    contract_hash: str
    graph_hash: str
    twin_hash: str

    @classmethod
    def of(cls, own: FlightReport, twin: FlightReport, rate: FailureRate) -> FailureReport:
        return cls(
            own.on, own.plant, own.task, own.episodes, twin.episodes - own.episodes, own.seed, own.delay_s, rate,
            own.contract_hash, own.graph_hash, twin.graph_hash,
        )  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        return {"schema": SCHEMA, **asdict(self)}


def failed(report: FlightReport) -> Array:
    """(episodes,) bool: which were lost."""
    lost = np.zeros(report.episodes, bool)
    lost[[episode for episode, _ in report.failures]] = True
    return lost
