"""The report's pictures: flights in space and over time, what disturbed them, the curve of the training."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyctl.layers.base import Array
from tinyctl.plots import BAD, INK, LINES, MUTED, figure_of, label, svg_of

PANEL = (3.5, 2.2)  # inches: its text is as large as the page's when three stand side by side, or one fills a phone
AZIMUTH, ELEVATION = -0.6, 0.45  # rad, of the view in space; as in flights.js
COUNTS = ("seconds", "steps", "iteration")  # of a training's curve, over which the rest is shown
GROUPS = {"v_": "velocity, m/s", "w_": "angular velocity, rad/s"}


def training_plots(train: dict[str, Any]) -> list[dict[str, str]]:
    """What the training's curve has, over its time: survival and score first."""
    curve = train["curve"]
    figures = [key for key in (curve[0] if curve else {}) if key not in COUNTS]
    score = next(iter(train["scores"]), "score")
    unit = (train["scores"].get(score) or {}).get("unit", "")
    shown = {"survived": "survived, %", "score": f"{score}, {unit}"}
    made = []
    for key, colour in zip(sorted(figures, key=lambda f: (f not in shown, f != "survived")), LINES, strict=False):
        values = np.array([np.nan if p[key] is None else p[key] for p in curve], float)
        figure, (ax,) = figure_of(*PANEL)
        ax.plot([p["seconds"] for p in curve], values * (100 if key == "survived" else 1), "o-", color=colour,
                markersize=3, linewidth=1.2)  # fmt: skip
        label(ax, "time, s", shown.get(key, key).replace("_", " "))
        if key == "cost" and (values > 0).all():
            ax.set_yscale("log")
            ax.tick_params(which="both", colors=INK, labelsize=8)
        elif (values[np.isfinite(values)] >= 0).all():
            ax.set_ylim(bottom=0)
        title = (score if key == "score" else key).replace("_", " ").capitalize()
        made.append({"title": title, "svg": svg_of(figure)})
    return made


def flight_plots(fly: dict[str, Any]) -> list[dict[str, str]]:
    """Positions of all kept episodes over time, and of the first one what moves it and its commands."""
    if not fly.get("trajectories"):
        return []
    times, names = fly["times_s"], list(fly["state_names"])
    made = []
    for name in [n for n in names if n.startswith("p_")] or names[:3]:
        figure, (ax,) = figure_of(*PANEL)
        for k, states in enumerate(_states(fly)):
            ax.plot(times, states[:, names.index(name)], color=LINES[k % len(LINES)], linewidth=0.9, alpha=0.85)
        label(ax, "time, s", f"{name}, m" if name.startswith("p_") else name)
        made.append({"title": name, "note": "of each episode", "svg": svg_of(figure)})
    first, events = _states(fly)[0], [e["time_s"] for e in what_guarded(fly) if e["episode"] == 0]
    rows = [(title, [names.index(n) for n in names if n.startswith(prefix)], first) for prefix, title in GROUPS.items()]
    actions = np.array(fly["trajectories"][0]["actions"], float)
    rows.append(("command", list(range(actions.shape[1])), actions))
    for title, columns, values in rows:
        if not columns:
            continue
        figure, (ax,) = figure_of(*PANEL)
        for k, column in enumerate(columns):
            text = "xyz"[k] if len(columns) == 3 else str(k + 1)
            ax.plot(times[: len(values)], values[:, column], color=LINES[k % len(LINES)], linewidth=0.9, label=text)
        for time in events:
            ax.axvline(time, color=BAD, linewidth=0.8, linestyle=":")
        if len(columns) > 1:
            ax.legend(fontsize=7, frameon=False, ncols=4, loc="best")
        label(ax, "time, s", title)
        made.append(
            {"title": title.partition(",")[0].capitalize(), "note": "of the first episode", "svg": svg_of(figure)}
        )
    return made


def scene(fly: dict[str, Any]) -> dict[str, Any] | None:
    """The flights in space for `flights.js`: positions, attitudes where there are any, and times; None for a plant
    without positions."""
    names = list(fly["state_names"])
    if not fly["trajectories"] or not {"p_x", "p_y", "p_z"} <= set(names):
        return None
    places = [names.index(f"p_{a}") for a in "xyz"]
    turns = [names.index(f"q_{a}") for a in "wxyz"] if {"q_w", "q_x", "q_y", "q_z"} <= set(names) else []
    lost = {int(episode) for episode, _ in fly["failures"]}
    flights = [
        {
            "p": states[:, places].tolist(),
            "q": states[:, turns].tolist(),
            "colour": LINES[k % len(LINES)],
            "lost": k in lost,
        }
        for k, states in enumerate(_states(fly))
    ]
    every = np.concatenate([states[:, places] for states in _states(fly)])
    if not np.isfinite(every).all() or any(len(states) != len(fly["times_s"]) for states in _states(fly)):
        raise ValueError("flights of other lengths than their times, or without end")
    low, high = every.min(axis=0), every.max(axis=0)
    size = float((high - low).max()) or 1.0
    return {
        "flights": flights, "times": [float(t) for t in fly["times_s"]], "last": len(fly["times_s"]) - 1,
        "floor": float((low - high)[2] / size), "centre": ((low + high) / 2).tolist(), "size": size,
        "view": [AZIMUTH, ELEVATION],
    }  # fmt: skip


def still(scene: dict[str, Any]) -> str:
    """The same view as a picture, for print and for who lets no script run."""
    figure, (ax,) = figure_of(7.2, 4.2)
    ax.axis("off")
    ax.set_aspect("equal")
    centre, half = np.array(scene["centre"]), scene["size"] / 2
    floor = scene["floor"]
    for k in np.linspace(-1, 1, 9):
        for line in ([[-1, k, floor], [1, k, floor]], [[k, -1, floor], [k, 1, floor]]):
            ax.plot(*_projected(np.array(line) * half).T, color="#e2e8f0", linewidth=0.8)
    for axis, name in enumerate("xyz"):
        tip = np.array([[-1, -1, floor]] * 2) * half
        tip[1, axis] *= -1
        ax.plot(*_projected(tip).T, color=MUTED, linewidth=1)
        ax.text(*_projected(tip[1:] * 1.08)[0], name, fontsize=8, color=INK, ha="center")
    for flight in scene["flights"]:
        path = _projected(np.array(flight["p"], float) - centre)
        ax.plot(*path.T, color=flight["colour"], linewidth=1)
        ax.plot(*path[0], "o", color=flight["colour"], markersize=4)
        if flight["lost"]:
            ax.plot(*path[-1], "x", color=BAD, markersize=7)
    return svg_of(figure)


def _projected(points: Array) -> Array:
    """Points (n, 3) as seen from `AZIMUTH` and `ELEVATION`, (n, 2)."""
    (sa, ca), (se, ce) = ((np.sin(a), np.cos(a)) for a in (AZIMUTH, ELEVATION))
    x, y, z = points.T
    return np.stack([ca * x - sa * y, ce * z + se * (sa * x + ca * y)], axis=1)


def what_disturbed(fly: dict[str, Any]) -> dict[str, Any] | None:
    """A row for each kept episode: what disturbed it, and how it ended."""
    if not fly.get("trajectories"):
        return None
    names, lost = fly.get("disturbance_names", []), {int(k): float(s) for k, s in fly["failures"]}
    rows = [
        {
            "episode": k,
            "colour": LINES[k % len(LINES)],
            "numbers": [float(v) for v in flown.get("disturbances", [])],
            "ended": f"lost after {lost[k]:.2f} s" if k in lost else "survived",
        }
        for k, flown in enumerate(fly["trajectories"])
    ]
    return {"names": names, "rows": rows}


def what_guarded(fly: dict[str, Any]) -> list[dict[str, Any]]:
    """How the status word changed in the kept episodes: refused observations, and what a guard did about them."""
    return [
        {"episode": k, "time_s": float(event["time_s"]), "what": str(event["what"])}
        for k, flown in enumerate(fly.get("trajectories", []))
        for event in flown.get("events", [])
    ]


def _states(fly: dict[str, Any]) -> list[Array]:
    """(times, states) of each kept episode."""
    return [np.array(flown["states"], float) for flown in fly["trajectories"]]
