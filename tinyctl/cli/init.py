"""`tinyctl init`: a `tinyctl.toml` to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tinyctl import api
from tinyctl.boards import load_board
from tinyctl.cli.base import BoardName, Json, as_json, results
from tinyctl.errors import TinyctlError
from tinyctl.files import write_atomically
from tinyctl.project import FILE, project_text


def command(
    plant: Annotated[str, typer.Option(help="Name of a plant, path of a Python file, or gym:ID.")] = "quadrotor",
    board: BoardName = api.DEFAULT_BOARD,
    as_object: Json = False,
) -> None:
    """Write a commented tinyctl.toml into this folder."""
    path = Path(FILE)
    if path.exists():
        raise TinyctlError("is there already", where=path, fix="remove it, or edit it")
    load_board(board)
    if plant.startswith("gym:"):
        text = project_text(plant, "", board, choice=api.environment(plant).first is not None)
    else:
        text = project_text(plant, next(iter(api.plant(plant).tasks)), board)
    write_atomically(path, text)
    if as_object:
        print(as_json({"schema": 1, "file": str(path)}))
    else:
        results.print(f"wrote {path}: edit it, then `tinyctl run`", markup=False)
