"""`tinyctl import` and `tinyctl export`, and the contract that the documentation shows."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tinyctl.archive import load
from tinyctl.cli import app
from tinyctl.contract_toml import load_contract
from tinyctl.errors import TinyctlError
from tinyctl.importers import NAMES, SUFFIXES
from tinyctl.policy import Policy

DOCUMENT = Path(__file__).parents[2] / "docs" / "import.md"


@pytest.fixture
def contract(tmp_path: Path) -> Path:
    """The contract of the documentation."""
    (text,) = re.findall(r"^```toml\n(.*?)^```", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)
    (tmp_path / "contract.toml").write_text(text)
    return tmp_path / "contract.toml"


def test_the_documented_contract_is_one(contract: Path) -> None:
    found = load_contract(contract)
    assert [s.source for s in found.inputs] == ["observation", "applied_action"]


def test_every_importer_is_documented() -> None:
    text = DOCUMENT.read_text()
    assert NAMES
    assert [suffix for suffix in SUFFIXES if f"`{suffix}`" not in text] == []


def test_there_and_back(
    tmp_path: Path,
    contract: Path,
    capsys: pytest.CaptureFixture[str],
    require_package: Callable[[str], ModuleType],
) -> None:
    require_package("onnx")
    torch: Any = require_package("torch")
    net = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU(), torch.nn.Linear(3, 1))
    torch.save(net.state_dict(), tmp_path / "net.pt")
    paths = {name: str(tmp_path / name) for name in ("net.pt", "a.tctl", "a.onnx", "b.tctl")}
    given = ["--layers", "dense, relu, dense", "--contract", str(contract), "--json"]
    app(["import", paths["net.pt"], *given, "--out", paths["a.tctl"]], standalone_mode=False)
    first = json.loads(capsys.readouterr().out)
    assert first["source"] == "PyTorch state_dict"
    assert first["layers"] == ["screen", "dense", "relu", "dense", "clip"]
    app(["export", paths["a.tctl"], "--onnx", paths["a.onnx"]], standalone_mode=False)
    capsys.readouterr()
    app(["import", paths["a.onnx"], "--out", paths["b.tctl"], "--json"], standalone_mode=False)
    second = json.loads(capsys.readouterr().out)
    assert second["contract_hash"] == first["contract_hash"]
    assert isinstance(load(tmp_path / "b.tctl"), Policy)


def test_a_quantized_file_becomes_a_graph(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], require_package: Callable[[str], ModuleType]
) -> None:
    require_package("tflite")
    seed, out = Path(__file__).parents[1] / "seeds" / "actor.tflite", tmp_path / "a.tctl"
    app(["import", str(seed), "--rate-hz", "50", "--out", str(out), "--json"], standalone_mode=False)
    told = json.loads(capsys.readouterr().out)
    assert (told["source"], told["kind"]) == ("TensorFlow Lite", "graph")
    assert load(out).hash == told["graph_hash"]
    app(["emit", str(out), "--out", str(tmp_path / "c")], standalone_mode=False)
    with pytest.raises(TinyctlError, match="is a graph, not a policy"):
        app(["export", str(out), "--onnx", str(tmp_path / "a.onnx")], standalone_mode=False)


def test_a_refused_file_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(b"nonsense")
    with pytest.raises(TinyctlError):
        app(["import", str(tmp_path / "net.onnx"), "--out", str(tmp_path / "a.tctl")], standalone_mode=False)
    assert [p.name for p in tmp_path.iterdir()] == ["net.onnx"]
