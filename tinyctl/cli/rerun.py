"""`tinyctl rerun`: a recorded run once more, held against what came of it then."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from tinyctl import run_record
from tinyctl.cli.base import Json, as_json, people, results, table
from tinyctl.errors import TinyctlError


def command(
    record: Annotated[Path, typer.Argument(help="A run record (.run.json).")],
    as_object: Json = False,
) -> None:
    """Do a recorded run again; exit status 1 when anything but times differs, bit for bit."""
    from tinyctl.cli import app

    before = run_record.load_record(record)
    verb = before["verb"]
    click_command = typer.main.get_command(app).commands[verb]  # type: ignore[attr-defined]
    inputs = run_record.find_inputs(before, record.resolve().parent)
    with tempfile.TemporaryDirectory(prefix="tinyctl-") as scratch:
        written = run_record.destinations(before, Path(scratch))
        words = run_record.words(before, click_command, inputs, written)
        people.print(f"tinyctl {' '.join(words)}", markup=False, highlight=False, soft_wrap=True)
        with contextlib.redirect_stdout(sys.stderr):
            app(words, standalone_mode=False)
        again = Path(f"{written['out']}{run_record.SUFFIX}")
        if not again.is_file():
            raise TinyctlError(f"{verb} wrote no record", where=record)
        after = run_record.load_record(again)
    differs = run_record.differences(before, after)
    changed = run_record.other_versions(before, after)
    if as_object:
        told = {"schema": run_record.SCHEMA, "verb": verb, "identical": not differs, "differs": differs}
        print(as_json({**told, "changed": changed}))
    else:
        shown = differs[: run_record.MOST_DIFFERENCES]
        rows = [("identical", "no" if differs else "yes, bit for bit"), *(("differs", line) for line in shown)]
        if len(differs) > len(shown):
            rows.append(("", f"and {len(differs) - len(shown)} more"))
        results.print(table(f"Ran {verb} again", [*rows, *(("changed", line) for line in changed)]))
    raise typer.Exit(1 if differs else 0)
