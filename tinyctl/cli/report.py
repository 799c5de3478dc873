"""`tinyctl report`: the HTML page of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tinyctl.cli.base import Json, as_json, results
from tinyctl.report import write_report


def command(
    folder: Annotated[Path, typer.Argument(help="A folder with the JSON of a run, as `demo` and `run` leave it.")],
    out: Annotated[Path | None, typer.Option(help="The page; report.html in the folder by default.")] = None,
    previous: Annotated[
        Path | None, typer.Option(help="Folder of the run to compare with; by default the one last reported there.")
    ] = None,
    as_object: Json = False,
) -> None:
    """Write a self-contained HTML page from the JSON files in a folder."""
    path = write_report(folder, out, previous)
    if as_object:
        print(as_json({"schema": 1, "report": str(path)}))
    else:
        results.print(f"wrote {path}", markup=False)
