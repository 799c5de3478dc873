"""Where cycles go: each layer's lost cycles by cause, in the report's JSON and as a page."""

from __future__ import annotations

import json
from pathlib import Path

from tinyctl.boards import Board
from tinyctl.checker import check
from tinyctl.profile import SHOWN
from tinyctl.report import write_report


def test_lost_cycles_by_layer(image: Path, board: Board, tmp_path: Path) -> None:
    report = check(image, board, samples=8)
    for layer in report.layers:
        assert tuple(layer.stalls) == SHOWN
        assert all(cycles >= 0 for cycles in layer.stalls.values())
        assert sum(layer.stalls.values()) < layer.cycles
        assert layer.stalls["flash"] == layer.cycles - layer.cycles_zero_wait
    hidden = next(layer for layer in report.layers if layer.name == "hidden")
    assert hidden.stalls["flash"] > 0
    assert hidden.stalls["branch"] > 0

    (tmp_path / "check.json").write_text(json.dumps(report.to_json()))
    page = write_report(tmp_path).read_text()
    assert page.count('class="part flash"') >= 2
    assert "refilling the pipeline after a taken branch" in page
