"""The frequency-averaged score: how a controller does when it decides less and less often.

The definition and the constants of environments are those of Sequence Reinforcement Learning (Patel and Siegelmann, its
public code): returns with a decision every s = 1, 2, 4, 6, ... 30 ticks, their integral over s by the trapezoid rule,
divided by 30 times the best return. The integral spans 1 to 30: whoever is perfect at every interval scores 29/30.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from tinyctl.contract import Contract
from tinyctl.errors import TinyctlError
from tinyctl.layers.base import Array
from tinyctl.plots import INK, LINES, figure_of, label, svg_of
from tinyctl.sequences import Player, rates_of

if TYPE_CHECKING:  # these need the `sim` extra
    from tinyctl.sims.environments import Environment
    from tinyctl.sims.loop import Flights
    from tinyctl.sims.plant import Plant, Task

SCHEMA = 1
INTERVALS = (1, *range(2, 31, 2))
REPEAT = "action repeat"
# Best return of an environment, and what is added to its returns first.
BEST = {
    "Pendulum": (1350.0, 1550.0), "LunarLander": (300.0, 0.0), "Hopper": (3600.0, 0.0), "Walker2d": (5000.0, 0.0),
    "Ant": (6500.0, 0.0), "HalfCheetah": (17000.0, 0.0), "Humanoid": (10500.0, 0.0), "InvertedPendulum": (1000.0, 0.0),
    "InvertedDoublePendulum": (9400.0, 0.0), "Reacher": (60.0, 65.0), "Swimmer": (350.0, 0.0),
}  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One way of acting between decisions: the mean return at each interval, and its score."""

    name: str
    returns: tuple[float, ...]
    score: float


@dataclass(frozen=True)
class FrequencyReport:
    """`returns` of `rows` are at `INTERVALS`; `best` is the return that counts as one."""

    subject: str
    episodes: int
    seed: int
    delay_s: float
    best: float
    rows: tuple[Row, ...]
    contract_hash: str
    graph_hash: str

    def to_json(self) -> dict[str, Any]:
        return {"schema": SCHEMA, **asdict(self), "intervals": INTERVALS}


@dataclass(frozen=True)
class Way:
    """A controller with its contract, and how many actions of a sequence it plays before it holds the last."""

    controller: Any
    contract: Contract
    length: int


def frequency_averaged_score(returns: Sequence[float], best: float) -> float:
    """Of the returns at `INTERVALS`."""
    widths = [after - before for before, after in pairwise(INTERVALS)]
    means = [(before + after) / 2 for before, after in pairwise(returns)]
    return sum(width * mean for width, mean in zip(widths, means, strict=True)) / (best * INTERVALS[-1])


def flight_returns(flights: Flights, task: Task) -> Array:
    """(episodes,) in [0, 1]: the share of its control periods that an episode lived, over one plus their mean cost. So
    a plant's best return is one: no cost at all, to the end."""
    steps = task.episode_steps
    flown = np.where(flights.survived, steps, np.round(np.nan_to_num(flights.lost_s) * task.contract.rate_hz))
    returns: Array = flown / steps / (1 + flights.cost)
    return returns


def of_plant(plant: Plant, task: Task, ways: Mapping[str, Way], *, episodes: int, seed: int, delay_s: float,
             tell: Callable[[int, int], None]) -> tuple[Row, ...]:  # fmt: skip
    """A row for each way of acting, from flights of a task whose cost is not negative; `delay_s` as in `fly`."""
    from tinyctl.sims.loop import fly, split_delay

    late, rest = split_delay(delay_s, task.period_s)

    def flown(way: Way, every: int) -> float:
        player = Player(way.controller, way.contract, every=every, late=late, length=way.length)
        flights = fly(plant, task, player, episodes=episodes, seed=seed, delay_s=rest, keep=0)
        if np.any(flights.cost < 0):
            raise TinyctlError("its cost can be negative: no best return is known", where=f"plant {plant.name}")
        return float(flight_returns(flights, task).mean())

    return _rows(ways, flown, 1.0, tell)


def of_environment(env: Environment, ways: Mapping[str, Way], *, episodes: int, seed: int,
                   tell: Callable[[int, int], None]) -> tuple[Row, ...]:  # fmt: skip
    """The same in a Gymnasium environment, whose best return must be known."""
    from tinyctl.sims.environments import fly

    best, offset = best_of(env.name)

    def flown(way: Way, every: int) -> float:
        player = Player(way.controller, way.contract, every=every, length=way.length)
        return float(fly(env, player, episodes=episodes, seed=seed).returns.mean()) + offset

    return _rows(ways, flown, best, tell)


def best_of(environment: str) -> tuple[float, float]:
    """The best return of an environment and what is added to its returns."""
    name = environment.removeprefix("gym:").partition("-v")[0].removesuffix("Continuous")
    if name not in BEST:
        raise TinyctlError(f"the best return is known of {', '.join(BEST)} only", where=environment)
    return BEST[name]


def _rows(
    ways: Mapping[str, Way], flown: Callable[[Way, int], float], best: float, tell: Callable[[int, int], None]
) -> tuple[Row, ...]:
    rows: list[Row] = []
    for name, way in ways.items():
        returns: list[float] = []
        for every in INTERVALS:
            returns.append(flown(way, every))
            tell(len(rows) * len(INTERVALS) + len(returns), len(ways) * len(INTERVALS))
        rows.append(Row(name, tuple(returns), frequency_averaged_score(returns, best)))
    return tuple(rows)


def ways_of(name: str, controller: Any, contract: Contract) -> dict[str, Way]:
    """How a policy can act between decisions: by its sequences, if it has them, and by repeating."""
    length = rates_of(contract).length
    sequence = {f"{name}sequence": Way(controller, contract, length)} if length > 1 else {}
    return {**sequence, f"{name}{REPEAT}": Way(controller, contract, 1)}


def plot(found: FrequencyReport) -> str:
    """SVG: returns over the interval of decisions, a line for each way of acting."""
    figure, (axes,) = figure_of(5.6, 3.2)
    for row, colour in zip(found.rows, LINES, strict=False):
        axes.plot(INTERVALS, row.returns, "o-", color=colour, markersize=3, label=f"{row.name}: {row.score:.3f}")
    label(axes, "ticks from one decision to the next", f"return, best {found.best:g}")
    axes.legend(fontsize=7, labelcolor=INK, frameon=False)
    return svg_of(figure)
