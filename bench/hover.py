"""The demo's policy against the figures of Learning to Fly in Seconds: 5 x 1000 episodes of different seeds, as emitted
C in both formats. Run by `make bench-hover`; trains afresh for every training seed given.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

import tinyctl
from tinyctl.hostlib import HostController
from tinyctl.sims.loop import fly, fraction_estimate, mean_estimate

FLIGHT_SEEDS = range(1, 6)
EPISODES = 1000
DELAY_S = 150e-6  # about the predicted inference time; a tenth of it would change nothing


def main() -> None:
    """Print one row a training seed and format."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="training seeds")
    seeds = parser.parse_args().seeds
    plant = tinyctl.plant("quadrotor")
    task = plant.task("hover")
    shown = Table(
        "training seed", "training, s", "CPU, s", "format", "survived, %", "95 % interval", "position error, m"
    )
    for seed in seeds:
        trained = tinyctl.train(plant, seed=seed)
        for name in ("f32", "w16a16"):
            graph, _ = tinyctl.quantize(trained.policy, name, plant_name=plant)
            with tempfile.TemporaryDirectory() as folder:
                tinyctl.emit(graph, Path(folder), "hover")
                controller = HostController(Path(folder))
                flights = [
                    fly(plant, task, controller, episodes=EPISODES, seed=s, delay_s=DELAY_S) for s in FLIGHT_SEEDS
                ]
            survived = np.concatenate([f.survived for f in flights])
            error = mean_estimate(np.concatenate([f.scores["position_error"][f.survived] for f in flights]))
            share = fraction_estimate(int(survived.sum()), len(survived))
            shown.add_row(
                str(seed),
                f"{trained.seconds:.1f}",
                f"{trained.cpu_seconds:.1f}",
                name,
                f"{100 * share.value:.2f}",
                f"{100 * share.low:.2f} to {100 * share.high:.2f}",
                f"{error.value:.4f} ({error.low:.4f} to {error.high:.4f})",
            )
    Console().print(shown)


if __name__ == "__main__":
    main()
