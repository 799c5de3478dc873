"""`contract.toml`: what the columns of an imported network mean, written by the person who knows it.

rate_hz = 100                # the network is stepped at this rate
latency_s = 0.002            # the delay assumed in training; 0 when left out

[[inputs]]                   # one table a column, in the order of the network's input
name = "angle"               # a plain C identifier
unit = "rad"
frame = "world"              # "" when there is none
low = -3.2                   # the range; a side that is left out means 1e6
high = 3.2
on_nan = 0.0                 # replaces a value that is not finite; 0 when left out
source = "observation"       # or "applied_action": the output of this name as last applied

[[outputs]]
name = "torque"
unit = "N m"
frame = ""
low = -1.0
high = 1.0
safe = 0.0                   # applied instead when the controller must not be trusted; 0 when left out
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tinyctl.contract import Contract
from tinyctl.errors import FileError, TinyctlError
from tinyctl.files import read_toml

MAX_BYTES = 4 << 20


def load_contract(path: Path) -> Contract:
    """Read a `contract.toml`. Raises `FileError` for a file that is not exactly one."""
    record = read_toml(path, MAX_BYTES)
    missing = {"rate_hz", "inputs", "outputs"} - set(record)
    extra = set(record) - {"rate_hz", "latency_s", "inputs", "outputs"}
    if missing or extra:
        word, names = ("missing", missing) if missing else ("unknown", extra)
        raise FileError(f"{word} key {min(names)!r:.60}", where=path, fix="see docs/import.md")
    try:
        return Contract.from_json(
            {"latency_s": 0.0, **record, **{k: _rows(record[k], k) for k in ("inputs", "outputs")}}
        )
    except TinyctlError as error:
        raise FileError(str(error), where=path) from None


def _rows(rows: Any, key: str) -> list[dict[str, Any]]:
    """The tables of one list with the sides of a range that they leave out as null."""
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise TinyctlError(f"{key} is not a list of tables", fix=f"write [[{key}]] before each")
    return [{"low": None, "high": None, **row} for row in rows]
