"""Hardware in the loop on the virtual board, in full: 100,000 frames, as many with 2 % of them damaged, 20 flights.

    python bench/hil.py [--frames N]

The controller is the demo's: a hover policy trained here, in 16-bit integers. Exit status 1 when a frame is lost, an
action differs from `Graph.run`, a flight from that of the graph, or an instruction count from that of another run.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from tinyctl import api
from tinyctl.boards import load_board
from tinyctl.flight import GraphController
from tinyctl.hil import VIRTUAL_BOARD, BoardController, HilReport, Line, open_link, step_on_board
from tinyctl.recording import read_recording
from tinyctl.sims.loop import fly

BOARD = load_board("crazyflie21")
EPISODES = 20
USART_FRAMES = 2000


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=100_000)
    frames = parser.parse_args().frames
    plant = api.plant("quadrotor")
    graph, _ = api.quantize(api.train(plant).policy, "w16a16", plant_name=plant)
    flown = plant, next(iter(plant.tasks))
    shown, good = Table(title="Hardware in the loop on the virtual board", title_justify="left"), True
    for heading in ("run", "frames", "lost", "rejected", "sent again", "round trips/s", "equal", "instructions", "s"):
        shown.add_column(heading, justify="right")
    with tempfile.TemporaryDirectory(prefix="tinyctl-") as scratch:
        counts = []
        for name, line, count in (
            ("closed loop", VIRTUAL_BOARD, frames),
            ("again", VIRTUAL_BOARD, frames),
            ("2 % damaged", Line(corrupt=0.02), frames),
            ("over the USART", Line(transport="usart"), USART_FRAMES),
        ):
            begin = time.perf_counter()
            path = Path(scratch, f"{len(counts)}.csv")
            report = step_on_board(graph, BOARD, line, frames=count, flown=flown, record=path)
            shown.add_row(name, *row(report), f"{time.perf_counter() - begin:.0f}")
            counts.append(np.concatenate([e.count for e in read_recording(path, graph.contract).episodes]))
            good &= report.good
        same = all(np.array_equal(c, counts[0][: len(c)]) for c in counts)
        with open_link(graph, BOARD, VIRTUAL_BOARD) as link:
            task = plant.task(flown[1])
            flights = [
                fly(plant, task, controller, episodes=EPISODES, seed=1, delay_s=2e-4, keep=EPISODES, batch=batch)
                for controller, batch in ((GraphController(graph), EPISODES), (BoardController(link), 1))
            ]
    equal = sum(np.array_equal(flights[0].states[:, k], flights[1].states[:, k]) for k in range(EPISODES))
    console = Console(width=120)
    console.print(shown)
    console.print(f"instruction counts of every step the same in all runs: {same}")
    console.print(f"flights equal to those on the graph, trajectory for trajectory: {equal} of {EPISODES}")
    sys.exit(0 if good and same and equal == EPISODES else 1)


def row(report: HilReport) -> list[str]:
    counts = report.instructions
    assert counts is not None
    return [
        f"{report.frames:,}",
        str(report.lost),
        f"{report.rejected:,}",
        f"{report.resent:,}",
        f"{report.round_trips_per_s:,.0f}",
        "all" if report.identical_actions and report.identical_status else "NO",
        f"{counts.least:,} to {counts.most:,}",
    ]


if __name__ == "__main__":
    main()
