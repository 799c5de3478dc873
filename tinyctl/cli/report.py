"""`tinyctl report`: the HTML page of a run."""

from __future__ import annotations

from pathlib import Path

from tinyctl.cli.base import Json, as_json, results
from tinyctl.report import write_report


def command(folder: Path, as_object: Json = False) -> None:
    """Write report.html from the JSON files in a folder."""
    path = write_report(folder)
    if as_object:
        print(as_json({"schema": 1, "report": str(path)}))
    else:
        results.print(f"wrote {path}", markup=False)
