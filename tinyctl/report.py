"""One self-contained HTML page from the JSON files of a run: verdict, flights, training, timing, memory, contract.

The files may come from elsewhere, so everything in them is escaped, and figures are checked to be numbers. The page
loads nothing: its content security policy allows the one script whose hash it names, and no address at all.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.resources
from pathlib import Path
from typing import Any

from jinja2 import UndefinedError

import tinyctl.codegen
from tinyctl.archive import load
from tinyctl.contract import Contract
from tinyctl.errors import FileError, TinyctlError
from tinyctl.files import write_atomically
from tinyctl.importers.base import read_bytes
from tinyctl.jsons import canonical_json, parse_json
from tinyctl.report_flights import flight_plots, scene, still, training_plots, what_disturbed, what_guarded
from tinyctl.report_tables import (
    bars,
    causes,
    changes,
    deadline,
    errors_by_layer,
    figures,
    memory_map,
    not_checked,
)
from tinyctl.templates import page
from tinyctl.version import VERSION

MAX_JSON_BYTES = 64 << 20
PARTS = ("train", "quantize", "check", "check-f32", "fly", "fly-f32", "fly-emulator", "certify", "hil")
KEPT = "report.json"  # the figures of this page and of the run before, for the next page in the same folder
MOST_LINES = 30  # of the source, in the table
MOST_NETWORKS = 20  # looked through for the contract

Records = dict[str, dict[str, Any]]


def write_report(folder: Path, out: Path | None = None, previous: Path | None = None) -> Path:
    """Write `report.html` into a folder that holds the JSON of `train`, `quantize`, `check`, `fly`, `certify` and
    `hil`, as far as there is any; or to `out`. It is compared with the run in the folder `previous`, by default with
    what this folder held when the last report was written there."""
    records = _records(folder)
    try:
        now = figures(records)
        before = figures(_records(previous)) if previous is not None else _before(folder / KEPT, now)
        html = _page(records, _contract(folder, records), before, now)
        kept = canonical_json({"schema": 1, "now": now, "before": before}) + "\n"
    except (ArithmeticError, LookupError, TypeError, ValueError, AttributeError, UndefinedError) as error:
        raise FileError(f"a JSON file in it is not what tinyctl writes ({error!r:.80})", where=folder) from None
    path = out or folder / "report.html"
    write_atomically(path, html)
    write_atomically(folder / KEPT, kept)
    return path


def _records(folder: Path) -> Records:
    records = {name: _read(folder / f"{name}.json") for name in PARTS if (folder / f"{name}.json").is_file()}
    if not records:
        raise FileError("holds no train.json, check.json or fly.json", where=folder, fix="run `tinyctl demo` first")
    return records


def _read(path: Path) -> dict[str, Any]:
    record = parse_json(read_bytes(path, MAX_JSON_BYTES), where=path)
    if not isinstance(record, dict):
        raise FileError("not a JSON object", where=path)
    return record


def _before(kept: Path, now: dict[str, float]) -> dict[str, float]:
    """The figures of the run before: those last written, unless they are the same, then what they were held against."""
    if not kept.is_file():
        return {}
    record = _read(kept)
    found: dict[str, float] = record["before"] if record["now"] == now else record["now"]
    return {str(name): float(value) for name, value in found.items()}


def _contract(folder: Path, records: Records) -> Contract | None:
    """The contract whose hash the records name, from one of the networks beside them."""
    wanted = next((r["contract_hash"] for r in records.values() if "contract_hash" in r), None)
    for path in sorted(folder.glob("*.tctl"))[:MOST_NETWORKS]:
        try:
            contract = load(path).contract
        except TinyctlError:
            continue
        if contract.hash == wanted:
            return contract
    return None


def _page(records: Records, contract: Contract | None, before: dict[str, float], now: dict[str, float]) -> str:
    train, quantize, check, fly, certificate, hil = (
        records.get(name) for name in ("train", "quantize", "check", "fly", "certify", "hil")
    )
    flights = [records[name] for name in ("fly", "fly-f32", "fly-emulator") if name in records]
    flown = fly if fly and "environment" not in fly else None  # of a plant
    checks = [records[name] for name in ("check", "check-f32") if name in records]
    shown = scene(flown) if flown else None
    parts = {
        "previous": bool(before), "flights": bool(flights), "training": train is not None,
        "quantization": quantize is not None, "timing": bool(check and check["layers"]), "memory": check is not None,
        "certificate": certificate is not None, "contract": contract is not None, "not-checked": True,
    }  # fmt: skip
    timed = check if parts["timing"] else None
    script = importlib.resources.files(tinyctl.codegen).joinpath("report/flights.js").read_text("utf-8")
    return page("report/page.html.j2").render(
        title=f"{flown['plant']}, {flown['task']}" if flown else fly["environment"] if fly else "",
        parts=[name for name, there in parts.items() if there],
        train=train, quantize=quantize, check=check, fly=fly, hil=hil, certificate=certificate,
        flights=flights, checks=checks,
        contract=contract, contract_hash=contract.hash if contract else "",
        output_names=[s.name for s in contract.outputs] if contract else [],
        changes=changes(before, now), unchanged=[n for n in now if before.get(n) == now[n]], version=VERSION,
        script=script,
        script_hash="sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        scene=shown, still=still(shown) if shown else "",
        flight_plots=flight_plots(flown) if flown else [], training_plots=training_plots(train) if train else [],
        disturbances=what_disturbed(flown) if flown else None, events=what_guarded(flown) if flown else [],
        specifications=(flown or {}).get("specifications", []), fault=(flown or {}).get("fault"),
        layer_errors=errors_by_layer(quantize) if quantize else [],
        deadline=deadline(timed) if timed else None,
        layers=bars(timed, "layers") if timed else [],
        lines=bars(timed, "lines")[:MOST_LINES] if timed else [],
        instructions=bars(timed, "instructions")[:MOST_LINES] if timed else [],
        causes=causes(timed) if timed else [], memory=memory_map(check) if check else [],
        unchecked=not_checked(records, contract is not None), identity=_identity(records),
    )  # fmt: skip


def _identity(records: Records) -> dict[str, str]:
    """The hashes by which the files of the run belong together."""
    first = next((records[name] for name in ("check", "fly", "quantize", "train") if name in records), {})
    named = {"contract": first.get("contract_hash"), "graph": first.get("graph_hash")}
    named["image"] = records.get("check", {}).get("image_sha256")
    return {name: digest for name, digest in named.items() if digest}
