"""The closed loop: delays to the letter, episodes that depend on nothing but seed and number, honest intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import casadi
import numpy as np
import pytest

from tinyctl.errors import TinyctlError
from tinyctl.sims.kernel import Kernel, compile_plant
from tinyctl.sims.loop import Draws, Flights, close_loop, draw, fly, fraction_estimate, mean_estimate, split_delay
from tinyctl.sims.plant import Array, Score, Variable
from tinyctl.sims.plants import load_plant

PENDULUM, QUADROTOR = load_plant("pendulum"), load_plant("quadrotor")
T = PENDULUM.task().period_s


class Numbers:
    """Returns 0.1, 0.2, 0.3, ... and records what it saw."""

    def reset(self, n: int) -> None:
        self.seen: list[Array] = []

    def step(self, observations: Array) -> Array:
        self.seen.append(observations)
        return np.full((len(observations), 1), 0.1 * len(self.seen), np.float32)


class Constant:
    def __init__(self, action: list[float]) -> None:
        self.action = np.array(action, np.float32)

    def reset(self, n: int) -> None:
        pass

    def step(self, observations: Array) -> Array:
        return np.tile(self.action, (len(observations), 1))


@pytest.fixture(scope="module")
def pendulum() -> Kernel:
    return compile_plant(PENDULUM, PENDULUM.task())


def _few_steps(steps: int) -> Draws:
    drawn = draw(PENDULUM, PENDULUM.task(), range(3), 5)
    return Draws(drawn.x, drawn.d, drawn.p, drawn.noise[:steps])


@pytest.mark.parametrize(
    ("delay", "pieces", "looks_at"),
    [
        # Per inference slot: (action in units of 0.1, periods), and the period of each look at the plant.
        (0.0, [(1, 1), (2, 1), (3, 1), (4, 1), (5, 1), (6, 1)], [0, 1, 2, 3, 4, 5]),
        (0.25, [(0, 0.25), (1, 0.75), (1, 0.25), (2, 0.75), (2, 0.25), (3, 0.75), (3, 0.25), (4, 0.75), (4, 0.25),
                (5, 0.75), (5, 0.25), (6, 0.75)], [0, 1, 2, 3, 4, 5]),
        (1.0, [(0, 1), (1, 1), (2, 1), (3, 1), (4, 1), (5, 1)], [0, 1, 2, 3, 4, 5]),
        (1.5, [(0, 1), (0, 0.5), (1, 0.5), (1, 1), (1, 0.5), (2, 0.5), (2, 1), (2, 0.5), (3, 0.5)], [0, 2, 4]),
        (2.0, [(0, 1), (0, 1), (1, 1), (1, 1), (2, 1), (2, 1)], [0, 2, 4]),
    ],
)  # fmt: skip
def test_an_action_takes_effect_after_its_delay(
    pendulum: Kernel, delay: float, pieces: list[tuple[int, float]], looks_at: list[int]
) -> None:
    drawn, numbers = _few_steps(6), Numbers()
    flown = close_loop(pendulum, drawn, numbers, delay_s=delay * T)
    x, at_boundaries, elapsed = drawn.x, {0: drawn.x}, 0.0
    for action, share in pieces:
        x = pendulum.step(x, np.full((3, 1), 0.1 * action, np.float32), drawn.p, drawn.d, share * T)
        elapsed += share
        at_boundaries[round(elapsed, 6)] = x
    np.testing.assert_allclose(flown.states, [at_boundaries[k] for k in range(7)], atol=2e-6)
    seen = [pendulum.observe(at_boundaries[k]) + drawn.noise[k] for k in looks_at]
    np.testing.assert_allclose(numbers.seen, seen, atol=1e-5)


def test_delays_of_whole_periods_survive_rounding() -> None:
    assert split_delay(0.1 + 0.2, 0.1) == (3, 0.0)
    assert split_delay(0.0, 0.01) == (0, 0.0)
    for bad in (-1e-9, math.nan, math.inf):
        with pytest.raises(TinyctlError, match="not possible"):
            split_delay(bad, 0.01)


def test_an_episode_depends_on_seed_and_number_alone() -> None:
    task = QUADROTOR.task()
    whole, part = draw(QUADROTOR, task, range(6), 3), draw(QUADROTOR, task, [4, 2], 3)
    for name in ("x", "d"):
        assert np.array_equal(getattr(whole, name)[[4, 2]], getattr(part, name))
    assert np.array_equal(whole.noise[:, [4, 2]], part.noise)
    assert not np.array_equal(whole.x, draw(QUADROTOR, task, range(6), 4).x)


def test_batches_are_flown_as_if_together() -> None:
    def flights(batch: int) -> Flights:
        controller = Constant([0.3, 0.4, 0.3, 0.4])
        return fly(QUADROTOR, QUADROTOR.task(), controller, episodes=5, seed=1, keep=3, batch=batch)

    together, apart = flights(5), flights(2)
    assert np.array_equal(together.lost_s, apart.lost_s, equal_nan=True)
    assert np.array_equal(together.scores["position_error"], apart.scores["position_error"])
    assert np.array_equal(together.states, apart.states)
    assert np.array_equal(together.actions, apart.actions)


def test_a_lost_episode_stops_inside_the_box() -> None:
    flown = fly(QUADROTOR, QUADROTOR.task(), Constant([-1.0] * 4), episodes=20)
    assert not flown.survived.any()
    assert flown.survival().value == 0
    assert flown.score("position_error") is None
    assert (flown.lost_s < 1.0).all()
    assert np.abs(flown.states[..., :3]).max() <= 0.6
    last = round(flown.lost_s[0] / 0.01) - 1
    assert (flown.states[last:, 0] == flown.states[last, 0]).all()


def test_a_nan_from_a_controller_loses_the_episode() -> None:
    flown = fly(QUADROTOR, QUADROTOR.task(), Constant([math.nan] * 4), episodes=2)
    assert np.array_equal(flown.lost_s, [0.01, 0.01])
    assert np.isfinite(flown.states).all()


def test_a_score_is_the_mean_over_the_end() -> None:
    flown = fly(PENDULUM, PENDULUM.task(), Constant([0.5]), episodes=4, keep=4)
    late = np.arccos(np.cos(flown.states[-100:, :, 0]))  # 2 s at 50 Hz
    np.testing.assert_allclose(flown.scores["angle_error"], late.mean(axis=0), rtol=1e-4)


def test_actions_of_a_wrong_shape_are_refused(pendulum: Kernel) -> None:
    with pytest.raises(TinyctlError, match="the controller returned"):
        close_loop(pendulum, _few_steps(2), Constant([0.0, 0.0]))


def test_intervals() -> None:
    wilson = fraction_estimate(81, 263)  # Newcombe 1998, Statistics in Medicine 17, table I, method 3
    assert (round(wilson.low, 4), round(wilson.high, 4)) == (0.2553, 0.3662)
    assert fraction_estimate(10, 10).high == pytest.approx(1)
    assert fraction_estimate(0, 10).low == pytest.approx(0)
    student = mean_estimate(np.arange(10.0))  # t(9) = 2.2622
    assert abs((student.high - student.value) - 2.2622 * np.std(np.arange(10), ddof=1) / math.sqrt(10)) < 2e-3
    assert mean_estimate(np.array([1.0])).high == math.inf


def test_goals_are_states_that_no_input_moves() -> None:
    swing_up = PENDULUM.task()

    def initial(rng: np.random.Generator, n: int, p: Mapping[str, float]) -> Array:
        return np.concatenate([swing_up.initial(rng, n, p), np.full((n, 2), 0.25, np.float32)], axis=1)

    task = replace(
        swing_up,
        initial=initial,
        goals=(Variable("target", "rad"), Variable("phase", "1")),
        drift=lambda x, p: casadi.vertcat(0, 0.5),
        observe=lambda x: casadi.vertcat(x[0] - x[2], x[1], x[3]),
        scores=(Score("phase", "1", lambda x: x[3], last_s=T),),
    )
    flown = fly(replace(PENDULUM, tasks={"follow": task}), task, Constant([0.0]), episodes=3)
    assert np.array_equal(flown.states[..., 2], np.full_like(flown.states[..., 2], 0.25))
    np.testing.assert_allclose(flown.scores["phase"], 0.25 + 0.5 * task.episode_steps * T, rtol=1e-4)
