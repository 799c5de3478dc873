"""The report's tables: figures of a run and how they changed, cycles, memory, errors by layer, what was not checked."""

from __future__ import annotations

import math
from typing import Any

MEANINGS = {
    "load": "the second cycle of a load whose successor could not join it",
    "store": "a load behind a store",
    "address": "an address made by the instruction just before",
    "fp": "a float result used at once",
    "result": "a result used before it is ready",
    "branch": "refilling the pipeline after a taken branch",
    "unaligned": "accesses that are not aligned",
    "fetch": "waiting for the fetch unit",
    "flash": "waiting for flash, or for a slow RAM",
}
LARGER_IS_BETTER = ("survived", "return", "steps")
FIGURES = {  # of each record
    "train": ("seconds", "env_steps"),
    "quantize": ("weight_bytes", "output_rms_error", "output_max_error", "closed_loop_cost_ratio"),
    "check": (
        "cycles_typical",
        "cycles_worst",
        "time_us_worst",
        "deadline_us",
        "flash_bytes",
        "ram_bytes",
        "stack_bytes",
    ),
    "fly": ("survived", "episodes"),
    "certify": ("lipschitz", "error"),
}
CONDITIONS = ("deadline_us", "episodes", "env_steps")  # neither better nor worse
SMALLEST = 1e-6  # a share of an error that has no bar


def figures(records: dict[str, dict[str, Any]]) -> dict[str, float]:
    """What one run is compared with the next by, name -> number."""
    found = {}
    for name, keys in FIGURES.items():
        record = records.get(name, {})
        for key in keys:
            if record.get(key) is not None:
                found[f"training_{key}" if name == "train" else key] = float(record[key])
    for name, score in records.get("fly", {}).get("scores", {}).items():
        if score["value"] is not None:
            found[name] = float(score["value"])
    return found


def changes(before: dict[str, float], now: dict[str, float]) -> list[dict[str, str]]:
    """A row for each figure that is not what it was in the run before."""
    rows = []
    for name in [*now, *(n for n in before if n not in now)]:
        old, new = before.get(name), now.get(name)
        if old == new:
            continue
        change, verdict = "", ""
        if old and new is not None:
            percent = 100 * (new - old) / abs(old)
            change = f"{percent:+.3g} %" if abs(percent) < 999 else f"{percent:+,.0f} %"
            if name.removeprefix("training_") not in CONDITIONS:
                verdict = "better" if (new > old) == (name in LARGER_IS_BETTER) else "worse"
        rows.append({"name": name, "before": _told(old), "now": _told(new), "change": change, "verdict": verdict})
    return rows


def _told(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value == int(value) and abs(value) < 1e15 else f"{value:.4g}"


def errors_by_layer(quantize: dict[str, Any]) -> list[dict[str, Any]]:
    """The error of each quantized layer, with a bar that is logarithmic from `SMALLEST` to 1."""
    rows = []
    for row in quantize.get("layers", []):
        share = row["error"] / row["rms"] if row["rms"] else None
        width = 0.0 if not share else 100 * (1 - math.log10(min(max(share, SMALLEST), 1)) / math.log10(SMALLEST))
        rows.append({**row, "percent": None if share is None else 100 * share, "width": width})
    return rows


def deadline(check: dict[str, Any]) -> dict[str, float]:
    """The parts of the deadline, in percent, that are taken typically, that the worst case takes more, and the rest."""
    typical, worst = (100 * check[key] / check["deadline_us"] for key in ("time_us_typical", "time_us_worst"))
    return {"typical": min(typical, 100), "more": min(worst, 100) - min(typical, 100), "free": 100 - worst}


def bars(check: dict[str, Any], what: str) -> list[dict[str, Any]]:
    """The rows of a table of cycles, each with the segments of its bar, in percent of the longest: what is executed
    there, then what is lost by cause."""
    listed = check.get(what, [])
    most = max((row["cycles"] for row in listed), default=1) or 1
    total = check["cycles_typical"] or 1
    rows = []
    for row in listed:
        work = row["cycles"] - sum(row["stalls"].values())
        segments = [
            {"cause": cause, "cycles": cycles, "width": 100 * cycles / most}
            for cause, cycles in (("work", work), *row["stalls"].items())
            if cycles > 0
        ]
        rows.append({**row, "segments": segments, "share": 100 * row["cycles"] / total})
    return rows


def causes(check: dict[str, Any]) -> list[dict[str, Any]]:
    """Lost cycles of the whole step by cause, most first."""
    total = check["cycles_typical"] or 1
    sums: dict[str, int] = {}
    for layer in check["layers"]:
        for cause, cycles in layer["stalls"].items():
            sums[cause] = sums.get(cause, 0) + cycles
    ordered = sorted(((cause, cycles) for cause, cycles in sums.items() if cycles), key=lambda item: -item[1])
    return [
        {"cause": cause, "cycles": cycles, "share": 100 * cycles / total, "meaning": MEANINGS[cause]}
        for cause, cycles in ordered
    ]


def memory_map(check: dict[str, Any]) -> list[dict[str, Any]]:
    """Flash, RAM and stack: how much of its budget each takes, and of what it consists."""
    constants, region = int(check["constants_bytes"]), check["constants_region"]
    painted = int(check["stack_painted_bytes"])
    consists = {
        "flash": [("work", "code and weights", check["flash_bytes"] - constants),
                  ("lost", f"constants copied to {region}", constants)],
        "ram": [("work", "state, activations and constants", check["ram_bytes"])],
        "stack": [("work", "deepest seen", painted),
                  ("lost", "calls not seen, and an exception", check["stack_bytes"] - painted)],
    }  # fmt: skip
    rows = []
    for key, parts in consists.items():
        used, budget = int(check[f"{key}_bytes"]), check.get(f"{key}_budget_bytes")
        whole = max(used, int(budget or 0)) or 1
        rows.append(
            {
                "name": "RAM" if key == "ram" else key,
                "used": used,
                "budget": None if budget is None else int(budget),
                "share": None if not budget else 100 * used / int(budget),
                "parts": [
                    {"kind": kind, "name": name, "bytes": int(n), "width": 100 * int(n) / whole}
                    for kind, name, n in parts
                    if n > 0
                ],
            }
        )
    return rows


def not_checked(records: dict[str, dict[str, Any]], contract: bool) -> list[str]:
    """What nobody should conclude from the page, a sentence each."""
    check, fly, quantize = (records.get(name) for name in ("check", "fly", "quantize"))
    told = []
    if check is None:
        told.append("No image was checked: neither its time on a board nor its memory is known.")
    elif not check["layers"]:
        told.append(f"Time on {check['board']}: it has no model. Only memory was checked.")
    else:
        told.append(f"No cycle of this image was measured on a board. The model is {check['evidence']}.")
        if left_out := (check["schedule"] or {}).get("not_counted"):
            told.append(
                f"Not in the tasks' response times, for nobody has said how long they take: {', '.join(left_out)}."
            )
    told += [f"Not in the stack's depth: {line}." for line in (check or {}).get("stack_left_out", [])]
    if "hil" not in records:
        told.append("No board stepped the controller (tinyctl hil).")
    if fly is None:
        told.append("Nothing was flown.")
    elif "environment" in fly:
        told.append(f"Flights are of the environment {fly['environment']}, without a delay, on seed {fly['seed']}.")
    else:
        told.append(f"Flights are simulated, of the plant {fly['plant']} as it is written down, on seed {fly['seed']}.")
        if fly["on"] != "emulator" and "fly-emulator" not in records:
            told.append("The image for the board was not flown, only what it was made from.")
        if not fly["failures"]:
            least = 100 * (1 - fly["survived_ci95"][0])
            told.append(
                f"No flight of {fly['episodes']:,} failed, which does not exclude failures in up to {least:.2g} %."
            )
        if not fly.get("fault"):
            told.append("No sensor failed in these flights.")
        if not fly.get("specifications"):
            told.append("No specification was held against the flights (fly --spec).")
    if quantize is not None and quantize["closed_loop_cost_ratio"] is None:
        told.append("What the format costs in closed loop was not measured.")
    if "certify" not in records:
        told.append("Sensitivity and error of the actions were not certified (tinyctl certify).")
    if not contract:
        told.append("The network with the contract is not in the folder, so its signals are not shown.")
    return told
