"""`tinyctl demo` keeps its promises: everything is written, the policy flies, and the same seed gives the same C."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from browser import chromium

import tinyctl
from tinyctl.cli import demo
from tinyctl.hostlib import HostController

SHOTS = Path(__file__).parents[1] / "build" / "report"  # kept by CI
FILES = {"policy.tctl", "graph-f32.tctl", "graph-w16a16.tctl", "c", "image.elf", "train.json", "check.json", "fly.json",
         "certify.json", "report.html"}  # fmt: skip


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    with pytest.raises(demo.typer.Exit) as ended:
        demo.command(out=folder, seed=0, as_object=True)
    assert ended.value.exit_code == 0
    return folder


def record(folder: Path, name: str) -> dict[str, Any]:
    return json.loads((folder / f"{name}.json").read_text())


@pytest.mark.xdist_group("demo")
def test_everything_is_written_and_of_one_controller(written: Path) -> None:
    assert {p.name for p in written.iterdir()} >= FILES
    graph = tinyctl.load(written / "graph-w16a16.tctl")
    for name in ("check", "fly", "fly-emulator"):
        assert record(written, name)["graph_hash"] == graph.hash
        assert record(written, name)["contract_hash"] == graph.contract.hash
    assert graph.hash in (written / "c" / "hover.h").read_text()
    assert HostController(written / "c").selftest() == 0


@pytest.mark.xdist_group("demo")
def test_it_flies_better_than_the_published_trainer(written: Path) -> None:
    """rl-tools in the same setting: 90 % and 0.23 m."""
    fly, reference, emulated = (record(written, name) for name in ("fly", "fly-f32", "fly-emulator"))
    assert (fly["episodes"], emulated["episodes"]) == (1000, 20)
    assert fly["survived_ci95"][0] > 0.95
    assert fly["scores"]["position_error"]["value"] < 0.10
    low, high = reference["survived_ci95"]
    assert low <= fly["survived"] <= high
    assert emulated["trajectories"] == fly["trajectories"]  # the same bits fly the same flight


@pytest.mark.xdist_group("demo")
def test_the_report_fits_desk_phone_and_paper(
    written: Path, require_tool: Callable[[str], str], tmp_path: Path
) -> None:
    sections = {"flights", "training", "quantization", "timing", "memory", "certificate", "contract", "not-checked"}
    with chromium(require_tool("chromium"), tmp_path) as page:
        for name, width in (("desktop", 1280), ("phone", 390), ("print", 720)):
            page.open((written / "report.html").as_uri(), width=width, phone=name == "phone")
            page.call("Emulation.setEmulatedMedia", media="print" if name == "print" else "screen")
            shot = page.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)["data"]
            SHOTS.mkdir(parents=True, exist_ok=True)
            (SHOTS / f"{name}.png").write_bytes(base64.b64decode(shot))
            assert page.complaints == []
            assert len(page.requests) == 1  # the page itself
            page.requests.clear()
            assert page.run("document.scrollingElement.scrollWidth <= innerWidth"), name
            assert set(page.run("[...document.querySelectorAll('section')].map((s) => s.id)")) >= sections
        paper = base64.b64decode(page.call("Page.printToPDF", printBackground=True)["data"])
    (SHOTS / "report.pdf").write_bytes(paper)
    assert paper.startswith(b"%PDF")
    assert 3 <= len(re.findall(rb"/Type\s*/Page\b", paper)) <= 12


@pytest.mark.xdist_group("demo")
def test_it_meets_its_deadline(written: Path) -> None:
    check = record(written, "check")
    assert check["verdict"] == "pass"
    assert check["time_us_worst"] < check["deadline_us"] == 2000
    assert check["single_path"]
    assert sum(layer["cycles"] for layer in check["layers"]) == check["cycles_typical"]
