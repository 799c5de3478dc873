"""Comparing a timing report with one kept from before: what grew, for other people's continuous integration."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinyctl.errors import FileError, TinyctlError
from tinyctl.jsons import parse_json

COMPARED = (
    "cycles_typical",
    "cycles_zero_wait",
    "cycles_cold",
    "cycles_worst",
    "stack_bytes",
    "flash_bytes",
    "ram_bytes",
)
MAX_BYTES = 16 << 20
TOLERANCE = 0.02


@dataclass(frozen=True)
class Growth:
    """One figure that grew by more than was tolerated."""

    what: str
    before: int
    now: int

    @property
    def share(self) -> float:
        """The growth over the figure before; infinite where that was 0."""
        return (self.now - self.before) / self.before if self.before else math.inf


def parse_tolerance(text: str) -> float:
    """`2%` or `0.02` as a share."""
    match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]*)?)\s*(%?)\s*", text)
    if not match:
        raise TinyctlError(f"tolerance {text!r:.40} is neither a share nor a percentage", fix="write 2% or 0.02")
    return float(match[1]) / (100 if match[2] else 1)


def compare(now: dict[str, Any], baseline: Path, tolerance: float = TOLERANCE) -> list[Growth]:
    """Figures of the report `now` that exceed those in the file by more than `tolerance`, layers too.

    Raises `FileError` when the file is no timing report, or of another board or function.
    """
    before = _read(baseline)
    for key in ("board", "function"):
        if before[key] != now[key]:
            raise FileError(f"was made for {key} {str(before[key])!r:.60}, not {str(now[key])!r:.60}", where=baseline)
    pairs = [(key, before[key], now[key]) for key in COMPARED]
    layers = {layer["name"]: layer["cycles"] for layer in before["layers"]}
    pairs += [(f"layer {x['name']}", layers[x["name"]], x["cycles"]) for x in now["layers"] if x["name"] in layers]
    known = [(what, old, new) for what, old, new in pairs if old is not None and new is not None]
    return [Growth(what, old, new) for what, old, new in known if new > old * (1 + tolerance)]


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise FileError(f"larger than {MAX_BYTES} bytes", where=path)
        content = path.read_bytes()
    except OSError as error:
        raise FileError(f"cannot be read ({error.strerror})", where=path) from None
    record = parse_json(content, where=path)
    wrong = FileError("not a timing report", where=path, fix="write one with tinyctl check --out")
    if not isinstance(record, dict) or not isinstance(record.get("layers"), list):
        raise wrong
    if not all(isinstance(record.get(key), str) for key in ("board", "function")):
        raise wrong
    layers = record["layers"]
    figures = [record.get(key) for key in COMPARED]
    for layer in layers:
        if not isinstance(layer, dict) or not isinstance(layer.get("name"), str):
            raise wrong
        figures.append(layer.get("cycles"))
    if not all(figure is None or (type(figure) is int and figure >= 0) for figure in figures):
        raise wrong
    return record
