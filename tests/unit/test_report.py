"""The HTML page: made from whatever JSON there is, escaped, the same bytes every time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tinyctl.errors import FileError
from tinyctl.report import write_report

TRAIN: dict[str, Any] = {
    "seconds": 1.5,
    "env_steps": 1000,
    "scores": {"angle_error": {"value": 0.1, "unit": "rad"}},
    "curve": [{"seconds": 0.5, "survived": 0.2, "score": None}, {"seconds": 1.0, "survived": 0.9, "score": 0.1}],
}
FLY: dict[str, Any] = {
    "on": "c", "formats": ["f32"], "plant": "toy", "task": "rest", "episodes": 3, "delay_s": 1e-4,
    "graph_hash": "ab" * 32, "survived": 1.0, "survived_ci95": [0.5, 1.0],
    "scores": {"angle_error": {"value": None, "unit": "rad", "ci95": None}},
    "state_names": ["a", "b"], "times_s": [0.0, 0.1],
    "trajectories": [{"states": [[0.0, 1.0], [0.5, 0.5]], "actions": [[1.0]]}],
}  # fmt: skip


def put(folder: Path, name: str, record: Any) -> None:
    (folder / f"{name}.json").write_text(json.dumps(record))


def test_training_and_flight(tmp_path: Path) -> None:
    put(tmp_path, "train", TRAIN)
    put(tmp_path, "fly", FLY)
    page = write_report(tmp_path).read_text()
    assert page.count("<svg") == 3  # training, states, commands: the toy has no position to see from above
    assert "toy, rest" in page
    first = write_report(tmp_path).read_bytes()
    assert write_report(tmp_path).read_bytes() == first


def test_what_a_file_says_is_escaped(tmp_path: Path) -> None:
    put(tmp_path, "fly", {**FLY, "plant": "<script>alert(1)</script>", "state_names": ["<b>", "&"], "on": "a<i>b"})
    page = write_report(tmp_path).read_text()
    assert "<script>" not in page
    assert "<i>b" not in page
    assert "<b>" not in page.split("<svg", 1)[1].split("</svg>", 1)[0]


@pytest.mark.parametrize(
    "record", [[], {}, {**FLY, "survived": "many"}, {**FLY, "trajectories": [{}]}, {**FLY, "scores": []}]
)
def test_other_peoples_json_is_refused_in_one_line(tmp_path: Path, record: Any) -> None:
    put(tmp_path, "fly", record)
    with pytest.raises(FileError) as told:
        write_report(tmp_path)
    assert "\n" not in str(told.value)
    assert not (tmp_path / "report.html").exists()


def test_an_empty_folder_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="tinyctl demo"):
        write_report(tmp_path)
