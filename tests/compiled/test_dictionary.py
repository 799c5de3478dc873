"""Dictionary policies: trained within their budget, the same from the same seed, and flown in integers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import tinyctl
from tinyctl.errors import TinyctlError
from tinyctl.layers.dense import Dense
from tinyctl.policy import Policy
from tinyctl.trainers.dictionary import Config

PLANT = Path(__file__).parent.parent / "toy_plant.py"
SHORT = Config(terms=6, iterations=120, plants=32, window=20, validation_episodes=20)


def trained(config: Config = SHORT, seed: int = 0) -> Policy:
    return tinyctl.train(PLANT, algo="dictionary", config=config, seed=seed).policy


def test_few_terms_hold_the_toy() -> None:
    result = tinyctl.train(PLANT, algo="dictionary", config=SHORT)
    head = result.policy.nodes[-2].layer
    assert isinstance(head, Dense)
    assert np.count_nonzero(head.weight) + head.bias.size == 6
    assert result.survived.value == 1.0
    assert result.iterations == 120
    assert [point.iteration for point in result.curve] == sorted({point.iteration for point in result.curve})
    assert result.policy.hash == trained().hash != trained(seed=1).hash


def test_a_line_needs_no_products() -> None:
    kinds = [node.layer.kind for node in trained(replace(SHORT, degree=1, terms=4)).nodes]
    assert "products" not in kinds


def test_it_flies_in_integers() -> None:
    graph, report = tinyctl.quantize(trained(), "w16a16", plant_name=PLANT)
    assert "products" in [node.layer.kind for node in graph.nodes]
    assert report.closed_loop_cost_ratio is not None
    assert report.closed_loop_cost_ratio < 1.02


def test_too_few_terms_are_refused() -> None:
    with pytest.raises(TinyctlError, match="too few"):
        trained(replace(SHORT, terms=1))
