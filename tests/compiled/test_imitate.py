"""Imitation with tiny settings: it learns, its Lipschitz bound survives quantization, and the seed decides."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinyctl
from tinyctl.errors import TinyctlError
from tinyctl.graph import Graph
from tinyctl.layers.base import F32, Array
from tinyctl.sims.experts import expert
from tinyctl.sims.experts.mpc import Predictive
from tinyctl.sims.experts.recalled import Recalled
from tinyctl.trainers.imitate import Config, teacher_of, train

PLANT = tinyctl.plant("pendulum")
TINY = Config(teacher="lqr", episodes=6, rounds=3, hidden=(12,), steps=120, batch=128, validation_episodes=5)


def test_the_loss_falls_and_the_seed_decides(tmp_path: Path) -> None:
    results = [train(PLANT, config=TINY, seed=seed) for seed in (1, 1, 2)]
    assert results[0].policy.hash == results[1].policy.hash != results[2].policy.hash
    assert results[0].curve[-1].cost < results[0].curve[0].cost
    tinyctl.save(results[0].policy, tmp_path / "teacher.tctl")
    pupil = train(PLANT, config=replace(TINY, teacher=str(tmp_path / "teacher.tctl"), activation="relu"), seed=1)
    assert pupil.curve[-1].cost < pupil.curve[0].cost
    with pytest.raises(TinyctlError, match="no teacher 'nobody'"):
        train(PLANT, config=replace(TINY, teacher="nobody"))


def test_answers_of_mpc_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    computed = []
    act = Predictive.act
    monkeypatch.setattr(Predictive, "act", lambda self, x: computed.append(x) or act(self, x))

    def flight(pilot: Any, states: Array) -> Array:
        pilot.reset(2)
        answers = []
        for x in states:
            answers.append(pilot.act(x))
            pilot.set_applied(F32(0.5) * answers[-1])
        return np.stack(answers)

    once = np.random.default_rng(0).uniform(-1, 1, (4, 2, 2)).astype(F32)
    other = np.concatenate([once[:2], -once[2:]])
    wanted = [flight(expert("mpc", PLANT, steps=10), states) for states in (once, other)]
    for states, answers, solved in ((once, wanted[0], 4), (once, wanted[0], 0), (other, wanted[1], 4)):
        computed.clear()
        pilot = Recalled(expert("mpc", PLANT, steps=10))
        assert (flight(pilot, states) == answers).all()
        pilot.save()
        assert len(computed) == solved
    assert isinstance(teacher_of(PLANT, PLANT.task(), replace(TINY, teacher="mpc")), Recalled)


def test_the_lipschitz_bound_holds_in_integers() -> None:
    bound = 2.0
    free = train(PLANT, config=TINY, seed=1).policy
    bounded = train(PLANT, config=replace(TINY, lipschitz=bound), seed=1).policy
    assert tinyctl.certify(Graph(bounded.contract, bounded.nodes)).lipschitz <= bound
    cases = [(bounded, "w16a16"), (bounded, "w8a8"), (free, "w16a16")]
    graphs = [tinyctl.quantize(policy, name, plant_name=PLANT, tune=False)[0] for policy, name in cases]
    fine, coarse, unbounded = (tinyctl.certify(graph).lipschitz for graph in graphs)
    assert 0.9 * bound < max(fine, coarse) <= bound < unbounded
