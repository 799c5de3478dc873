"""Where cycles go: each layer's lost cycles by cause, in the report's JSON and as a page."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tinyctl.boards import Board
from tinyctl.checker import check
from tinyctl.cli import app
from tinyctl.profile import SHOWN
from tinyctl.report import write_report
from tinyctl.sims.mcu.trace import PythonTracer


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


def test_cycles_by_source_line(image: Path, board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines have the cycles and the losses of the layers, in C and in Python alike."""
    report = check(image, board, samples=8)
    assert sum(row.cycles for row in report.lines) == report.cycles_typical
    assert sum(row.cycles_zero_wait for row in report.lines) == report.cycles_zero_wait
    for cause in SHOWN:
        assert sum(row.stalls[cause] for row in report.lines) == sum(row.stalls[cause] for row in report.layers)
    assert all(row.file == "sample.c" and row.line > 0 for row in report.lines)
    assert all(row.cycles >= after.cycles for row, after in pairwise(report.instructions))
    assert max(row.cycles for row in report.instructions) <= report.lines[0].cycles
    bend = sum(row.cycles for row in report.lines if row.function == "sample_bend_node")
    assert bend == next(layer.cycles for layer in report.layers if layer.name == "bend")

    (tmp_path / "check.json").write_text(json.dumps(report.to_json()))
    page = write_report(tmp_path).read_text()
    assert f"sample.c:{report.lines[0].line}</code>" in page
    assert "<td>STABILIZER, with the controller</td>" in page
    assert "Not counted: STABILIZER, SENSORS" in page
    shown = CliRunner().invoke(app, ["check", str(image), "--profile"]).stdout
    assert f"sample.c:{report.lines[0].line}" in shown
    assert report.instructions[0].text in shown
    assert report.instructions[0].text in page

    monkeypatch.setattr("tinyctl.trial.tracer", PythonTracer)
    python = check(image, board, samples=8)
    assert (python.lines, python.instructions) == (report.lines, report.instructions)
