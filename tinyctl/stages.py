"""Stages that are done again only when what they depend on has changed.

A stage is a name, what it depends on, the files it makes, and the work. Beside the files stands `stages.json`: for each
stage the hash of what it depended on, and the hashes of what it made. What a stage reads enters by content, so that an
earlier stage that made the same bytes again causes no work.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinyctl.errors import FileError
from tinyctl.files import write_atomically
from tinyctl.jsons import canonical_json, parse_json
from tinyctl.version import VERSION

FILE = "stages.json"
MAX_BYTES = 1 << 20


@dataclass(frozen=True)
class Stage:
    """`settings` is JSON; `reads` are files it depends on, `makes` those it writes, a folder standing for all in it."""

    name: str
    settings: Any
    reads: tuple[Path, ...]
    makes: tuple[Path, ...]
    work: Callable[[], None]


def run_stages(out: Path, stages: Iterable[Stage], tell: Callable[[Stage, bool], None]) -> list[str]:
    """Do what is to be done, in order; `tell` hears of each stage, and whether it must work. The names of those that
    did."""
    record = _read(out / FILE)
    done = []
    for stage in stages:
        depends = _hash(canonical_json([VERSION, stage.settings, [_content(path) for path in stage.reads]]).encode())
        known = record.get(stage.name)
        made = [_content(path) for path in stage.makes]
        stale = not isinstance(known, dict) or known != {"depends": depends, "made": made} or None in made
        tell(stage, stale)
        if stale:
            stage.work()
            record[stage.name] = {"depends": depends, "made": [_content(path) for path in stage.makes]}
            write_atomically(out / FILE, canonical_json(record) + "\n")
            done.append(stage.name)
    return done


def _read(path: Path) -> dict[str, Any]:
    """What is recorded; a file that is damaged is as good as none."""
    try:
        if path.stat().st_size > MAX_BYTES:
            return {}
        record = parse_json(path.read_bytes(), where=path)
    except (OSError, FileError):
        return {}
    return record if isinstance(record, dict) else {}


def _content(path: Path) -> str | None:
    """The hash of a file, or of a folder's files and their names; None when there is none."""
    if path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.is_file())
        return _hash("".join(f"{p.relative_to(path)} {_content(p)}\n" for p in files).encode())
    return _hash(path.read_bytes()) if path.is_file() else None


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
