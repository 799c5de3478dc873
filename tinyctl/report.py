"""One self-contained HTML page from the JSON files of a run: verdict, training, flights, timing, memory.

The files may come from elsewhere, so everything in them is escaped, and figures are checked to be numbers.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import UndefinedError

from tinyctl.errors import FileError, ToolMissing
from tinyctl.files import write_atomically
from tinyctl.jsons import parse_json
from tinyctl.templates import page
from tinyctl.version import VERSION

MAX_JSON_BYTES = 64 << 20
PARTS = ("train", "quantize", "check", "check-f32", "fly", "fly-f32", "fly-emulator")
INK, ACCENT, MUTED, GOOD, BAD = "#1f2933", "#2563eb", "#94a3b8", "#15803d", "#b91c1c"
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
MOST_LINES = 30  # of the source, in the table
LINES = ("#2563eb", "#db2777", "#d97706", "#059669")


def write_report(folder: Path) -> Path:
    """Write `report.html` into a folder that holds the JSON of `train`, `check` and `fly`, as far as there is any."""
    records = {name: _read(folder / f"{name}.json") for name in PARTS if (folder / f"{name}.json").is_file()}
    if not records:
        raise FileError("holds no train.json, check.json or fly.json", where=folder, fix="run `tinyctl demo` first")
    try:
        html = _page(records)
    except (LookupError, TypeError, ValueError, AttributeError, UndefinedError) as error:
        raise FileError(f"a JSON file in it is not what tinyctl writes ({error!r:.80})", where=folder) from None
    path = folder / "report.html"
    write_atomically(path, html)
    return path


def _read(path: Path) -> dict[str, Any]:
    if path.stat().st_size > MAX_JSON_BYTES:
        raise FileError(f"larger than {MAX_JSON_BYTES >> 20} MiB", where=path)
    record = parse_json(path.read_bytes(), where=path)
    if not isinstance(record, dict):
        raise FileError("not a JSON object", where=path)
    return record


def _page(records: dict[str, dict[str, Any]]) -> str:
    plots = []
    for source, title, note, draw, wide in (
        ("train", "Training", "Each point flies the validation episodes.", _training, True),
        ("fly", "Position", "The first episodes.", _positions, True),
        ("fly", "Seen from above", "The same episodes; a dot marks the start.", _above, False),
        ("fly", "Commands", "Of the first episode.", _commands, False),
    ):
        svg = draw(records[source]) if source in records else None
        if svg:
            plots.append({"title": title, "note": note, "svg": svg, "wide": wide})
    flights = [records[name] for name in ("fly", "fly-f32", "fly-emulator") if name in records]
    checks = [records[name] for name in ("check", "check-f32") if name in records]
    return page("report.html.j2").render(
        records=records,
        plots=plots,
        flights=flights,
        checks=checks,
        version=VERSION,
        layers=_bars(checks[0], "layers") if checks else None,
        lines=_bars(checks[0], "lines")[:MOST_LINES] if checks else None,
        instructions=_bars(checks[0], "instructions")[:MOST_LINES] if checks else None,
        causes=_causes(checks[0]) if checks else [],
        memory=_memory(checks[0]) if checks else [],
    )


def _memory(check: dict[str, Any]) -> list[dict[str, Any]]:
    rows = []
    for name, key in (("flash", "flash"), ("RAM", "ram"), ("stack", "stack")):
        used, budget = check[f"{key}_bytes"], check.get(f"{key}_budget_bytes")
        rows.append(
            {
                "name": name,
                "used": int(used),
                "budget": None if budget is None else int(budget),
                "share": None if not budget else 100 * int(used) / int(budget),
            }
        )
    return rows


# --- plots -----------------------------------------------------------------------------------------------------------


def figure_of(width: float, height: float, columns: int = 1) -> tuple[Any, Any]:
    """A Matplotlib figure (inches) in the report's style, and its axes."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ToolMissing("matplotlib is not installed", fix="pip install 'tinyctl[report]'") from None
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(1, columns, squeeze=False)[0]
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
        ax.spines[["left", "bottom"]].set_color(MUTED)
        ax.tick_params(colors=INK, labelsize=8)
        ax.grid(color="#e2e8f0", linewidth=0.6)
        ax.set_axisbelow(True)
    return figure, axes


def svg_of(figure: Any) -> str:
    import matplotlib

    buffer = io.StringIO()
    # The same figures give the same bytes: no date, and identifiers from a fixed salt.
    with matplotlib.rc_context({"svg.hashsalt": "tinyctl", "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def label(ax: Any, x: str, y: str) -> None:
    ax.set_xlabel(x, fontsize=8, color=INK)
    ax.set_ylabel(y, fontsize=8, color=INK)


def _training(train: dict[str, Any]) -> str:
    curve = train["curve"]
    seconds = [p["seconds"] for p in curve]
    figure, (left, right) = figure_of(7.6, 2.5, 2)
    left.plot(seconds, [100 * p["survived"] for p in curve], "o-", color=ACCENT, markersize=3)
    label(left, "time, s", "survived, %")
    left.set_ylim(0, 102)
    scores = [np.nan if p["score"] is None else p["score"] for p in curve]
    right.plot(seconds, scores, "o-", color=LINES[1], markersize=3)
    name = next(iter(train["scores"]), "score")
    unit = (train["scores"].get(name) or {}).get("unit", "")
    label(right, "time, s", f"{name.replace('_', ' ')}, {unit}")
    right.set_ylim(bottom=0)
    return svg_of(figure)


def _columns(flight: dict[str, Any], names: tuple[str, ...]) -> list[int]:
    known = list(flight["state_names"])
    return [known.index(n) for n in names if n in known]


def _positions(flight: dict[str, Any]) -> str | None:
    if not flight["trajectories"]:
        return None
    names = [n for n in flight["state_names"] if n.startswith("p_")] or list(flight["state_names"])[:3]
    figure, axes = figure_of(7.6, 2.3, len(names))
    for ax, name, column in zip(axes, names, _columns(flight, tuple(names)), strict=True):
        for k, trajectory in enumerate(flight["trajectories"]):
            ax.plot(
                flight["times_s"],
                [row[column] for row in trajectory["states"]],
                color=LINES[k % 4],
                linewidth=0.9,
                alpha=0.85,
            )
        label(ax, "time, s", name)
    return svg_of(figure)


def _above(flight: dict[str, Any]) -> str | None:
    columns = _columns(flight, ("p_x", "p_y"))
    if len(columns) < 2 or not flight["trajectories"]:
        return None
    figure, (ax,) = figure_of(4.2, 3.0)
    for k, trajectory in enumerate(flight["trajectories"]):
        x, y = ([row[c] for row in trajectory["states"]] for c in columns)
        ax.plot(x, y, color=LINES[k % 4], linewidth=0.9)
        ax.plot(x[0], y[0], "o", color=LINES[k % 4], markersize=3)
    ax.set_aspect("equal", adjustable="datalim")
    label(ax, "p_x, m", "p_y, m")
    return svg_of(figure)


def _commands(flight: dict[str, Any]) -> str | None:
    if not flight["trajectories"]:
        return None
    rows = flight["trajectories"][0]["actions"]
    figure, (ax,) = figure_of(4.2, 3.0)
    for k in range(len(rows[0])):
        ax.step(
            flight["times_s"][: len(rows)],
            [row[k] for row in rows],
            where="post",
            color=LINES[k % 4],
            linewidth=0.9,
            label=f"{k + 1}",
        )
    ax.legend(fontsize=7, frameon=False, ncols=4, loc="upper right")
    label(ax, "time, s", "command")
    return svg_of(figure)


def _bars(check: dict[str, Any], what: str) -> list[dict[str, Any]]:
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


def _causes(check: dict[str, Any]) -> list[dict[str, Any]]:
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
