"""`tinyctl formats`: the number formats."""

from __future__ import annotations

from tinyctl.cli.base import Json, as_json, results, table
from tinyctl.formats import FORMATS


def command(as_object: Json = False) -> None:
    """List the number formats."""
    if as_object:
        print(as_json({"schema": 1, "formats": {f.name: f.title for f in FORMATS.values()}}))
    else:
        results.print(table("Formats", [(f.name, f.title) for f in FORMATS.values()]))
