"""The plot of a sweep: closed-loop cost against cycles and against flash, the search beside random search."""

from __future__ import annotations

from typing import Any

from tinyctl.plots import INK, LINES, figure_of, label, svg_of
from tinyctl.search import Side
from tinyctl.sweep import Figures

MARKERS = ("o", "s")


def plot(sides: dict[str, Side]) -> str:
    """SVG: every trial faint, those on the front full, and a line from each of them to a cross at what the test seeds
    made of it."""
    from matplotlib.ticker import LogFormatter

    figure, axes = figure_of(8.4, 3.4, 2)
    for ax, what, unit in zip(axes, ("cycles", "flash_bytes"), ("cycles, worst case", "flash, B"), strict=True):
        for (name, side), colour, marker in zip(sides.items(), LINES, MARKERS, strict=False):
            look = {"color": colour, "marker": marker, "linestyle": "none"}
            good = [t.figures for t in side.trials if isinstance(t.figures, Figures)]
            best = [t.figures for t in side.front if isinstance(t.figures, Figures)]
            tests = [t.test for t in side.front if isinstance(t.test, Figures)]
            for t in side.front:
                if isinstance(t.figures, Figures) and isinstance(t.test, Figures):
                    ax.plot(*_points([t.figures, t.test], what), color=colour, linewidth=0.7)
            ax.plot(*_points(good, what), **look, alpha=0.25, markersize=4)
            ax.plot(*_points(best, what), **look, markersize=6, label=f"{name}, front")
            ax.plot(*_points(tests, what), **{**look, "marker": "x"}, markersize=6, label=f"{name}, front, test seeds")
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter(LogFormatter())
        ax.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(1.5, 0.5)))
        ax.tick_params(which="both", colors=INK, labelsize=8)
        label(ax, unit, "closed-loop cost")
    axes[0].legend(fontsize=7, labelcolor=INK, frameon=False)
    return svg_of(figure)


def _points(figures: list[Figures], what: str) -> tuple[list[Any], list[float]]:
    return [getattr(f, what) for f in figures], [f.cost for f in figures]
