"""Plots as SVG in the project's style."""

from __future__ import annotations

import io
from typing import Any

from tinyctl.errors import ToolMissing

INK, MUTED, BAD = "#1f2933", "#94a3b8", "#b91c1c"
LINES = ("#2563eb", "#db2777", "#d97706", "#059669", "#7c3aed", "#0891b2", "#65a30d", "#64748b")


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
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def label(ax: Any, x: str, y: str) -> None:
    ax.set_xlabel(x, fontsize=8, color=INK, parse_math=False)
    ax.set_ylabel(y, fontsize=8, color=INK, parse_math=False)
