"""Identification from simulated logs with sensor noise: what five seeds recover, and what optimal excitation gains.

The log has two episodes of ten seconds, the second with a known load of 5 g: without a known mass or load only ratios
of mass, thrust and inertia can be seen. Run by `make bench-identify`; exits 1 when a bar is missed.
"""

from __future__ import annotations

import sys

import numpy as np
from rich.console import Console
from rich.table import Table

from tinyctl.flight import GraphController
from tinyctl.graph import Graph
from tinyctl.sims.excitation import Excitation, Excited, Judge, channels, excite, random_excitation, sines, start_of
from tinyctl.sims.experts import expert
from tinyctl.sims.identification import identify
from tinyctl.sims.kernel import compile_plant
from tinyctl.sims.loop import Draws, close_loop
from tinyctl.sims.plants import load_plant

SEEDS, STEPS, LOAD_KG = range(5), 1000, 0.005
BARS = {"mass": 0.03, "thrust": 0.03, "motor_lag": 0.03, "inertia_x": 0.1, "inertia_y": 0.1, "inertia_z": 0.1}
MOST_RATIO = 0.5  # error after optimal over error after random excitation

PLANT = load_plant("quadrotor")
TASK = PLANT.task("hover")
POLICY = expert("lqr", PLANT, TASK).policy()


def controller() -> GraphController:
    """The linear-quadratic regulator as a policy: the safety net."""
    return GraphController(Graph(POLICY.contract, POLICY.nodes))


def errors(excitation: Excitation, seed: int) -> dict[str, float]:
    """Relative errors of a fit to flights of a plant whose parameters are up to 20 % off."""
    rng, true = np.random.default_rng([seed, 2]), PLANT.nominal()
    for name in (*BARS, "yaw_arm"):
        true[name] *= rng.uniform(0.8, 1.2)
    p = np.tile(np.array([*true.values()], np.float32), (2, 1))
    p[1, [*true].index("mass")] += LOAD_KG
    pilot = Excited(controller(), sines(TASK, excitation.numbers, STEPS) @ channels(TASK))
    noise = rng.standard_normal((STEPS, 2, TASK.contract.n_obs)) * np.array(TASK.noise)
    start = np.tile(start_of(PLANT, TASK).astype(np.float32), (2, 1))
    drawn = Draws(start, np.tile(TASK.disturb(rng, 1, true), (2, 1)), p, noise.astype(np.float32))
    flown = close_loop(compile_plant(PLANT, TASK), drawn, pilot, delay_s=TASK.contract.latency_s)
    log = pilot.episodes(flown.lost_s, TASK.contract.rate_hz)
    found = identify(PLANT, TASK, log, added={1: {"mass": LOAD_KG}}).values()
    return {name: abs(found[name] / true[name] - 1) for name in BARS}


def main() -> None:
    """One row for a seed and an excitation, then the ratio of the root mean square errors."""
    shown = Table("seed", "excitation", *BARS, title="Relative errors of a fit")
    squares: dict[str, list[float]] = {"random": [], "optimal": []}
    good = True
    for seed in SEEDS:
        start = start_of(PLANT, TASK)
        judge = Judge(PLANT, TASK, controller(), start, STEPS * TASK.period_s, 0.1, ("mass",), seed)
        flights = {
            "random": random_excitation(judge, len(TASK.setpoints), np.random.default_rng([seed, 3])),
            "optimal": excite(PLANT, TASK, controller(), start=start, fixed=("mass",), seed=seed),
        }
        for kind, excitation in flights.items():
            found = errors(excitation, seed)
            squares[kind] += [e * e for e in found.values()]
            shown.add_row(str(seed), kind, *(f"{e:.3%}" for e in found.values()))
            if kind == "optimal":
                good &= all(found[name] <= bar for name, bar in BARS.items())
    Console(width=120).print(shown)
    rms = {kind: float(np.sqrt(np.mean(values))) for kind, values in squares.items()}
    ratio = rms["optimal"] / rms["random"]
    print(f"within the bars: {good}")
    print(f"RMS error {rms['optimal']:.3%} optimal, {rms['random']:.3%} random, ratio {ratio:.2f}"
          f" of at most {MOST_RATIO}")  # fmt: skip
    sys.exit(0 if good and ratio <= MOST_RATIO else 1)


if __name__ == "__main__":
    main()
