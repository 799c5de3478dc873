"""`tinyctl boards`: the boards."""

from __future__ import annotations

from dataclasses import asdict

from tinyctl.boards import board_names, load_board
from tinyctl.cli.base import Json, as_json, results, table


def command(as_object: Json = False) -> None:
    """List the boards."""
    boards = [load_board(name) for name in board_names()]
    if as_object:
        print(as_json({"schema": 1, "boards": {b.name: asdict(b) for b in boards}}))
        return
    results.print(
        table(
            "Boards",
            [
                (
                    b.name,
                    f"{b.title}: {b.core}, {b.clock_hz / 1e6:g} MHz, {b.code.length >> 10} KiB flash, "
                    f"{b.data.length >> 10} KiB RAM, loop {b.firmware.loop_rate_hz:g} Hz",
                )
                for b in boards
            ],
        )
    )
