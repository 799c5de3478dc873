"""The HTML page: made from whatever JSON there is, escaped, closed to the network, the same bytes every time."""

from __future__ import annotations

import base64
import hashlib
import json
import re
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
    "on": "c", "formats": ["f32"], "plant": "toy", "task": "rest", "episodes": 3, "delay_s": 1e-4, "seed": 0,
    "graph_hash": "ab" * 32, "survived": 1.0, "survived_ci95": [0.5, 1.0], "fault": "stuck",
    "scores": {"angle_error": {"value": None, "unit": "rad", "ci95": None}}, "failures": [],
    "state_names": ["a", "b"], "times_s": [0.0, 0.1], "disturbance_names": ["push, N"],
    "trajectories": [
        {"states": [[0.0, 1.0], [0.5, 0.5]], "actions": [[1.0]], "disturbances": [0.25],
         "events": [{"time_s": 0.05, "what": "stale observation"}]},
    ],
    "specifications": [
        {"name": "calm", "formula": "always norm(a) < 1", "satisfied": 1.0, "satisfied_ci95": [0.5, 1.0],
         "worst": 0.5, "worst_episode": 0, "robustness": [0.5]},
    ],
}  # fmt: skip
QUANTIZE: dict[str, Any] = {
    "format": "w8a8", "weight_bytes": 64, "output_rms_error": 0.01, "output_max_error": 0.1,
    "closed_loop_cost_ratio": None,
    "layers": [{"name": "dense_1", "kind": "integer_dense", "format": "w8a8", "rms": 2.0, "error": 0.02}],
}  # fmt: skip


def put(folder: Path, name: str, record: Any) -> None:
    (folder / f"{name}.json").write_text(json.dumps(record))


def test_whatever_there_is(tmp_path: Path) -> None:
    put(tmp_path, "train", TRAIN)
    put(tmp_path, "fly", FLY)
    put(tmp_path, "quantize", QUANTIZE)
    page = write_report(tmp_path).read_text()
    assert page.count("<svg") == 5  # two of the training, two states, one command; a toy does not fly in space
    for told in (
        "toy, rest",
        "push, N",
        "stale observation",
        "always norm(a) &lt; 1",
        "one sensor failed: stuck",
        "dense_1",
        "1 %",
    ):
        assert told in page
    assert "No flight of 3 failed, which does not exclude failures in up to 50 %." in page
    assert "What the format costs in closed loop was not measured." in page
    first = write_report(tmp_path).read_bytes()
    assert write_report(tmp_path).read_bytes() == first


def test_an_environment_has_a_page_too(tmp_path: Path) -> None:
    points = [{"steps": k, "mean_return": r, "mean_reward": -1.0, "seconds": k} for k, r in ((1, None), (2, -900.0))]
    scores = {"return": {"value": -150.0, "unit": "1", "ci95": [-160.0, -140.0]}}
    put(tmp_path, "train", {"seconds": 2.0, "env_steps": 2000, "scores": scores, "curve": points})
    put(tmp_path, "fly", {"on": "c", "formats": ["f32"], "environment": "Pendulum-v1", "episodes": 5, "seed": 0,
                          "terminated": 0.2, "terminated_ci95": [0.0, 0.6], "scores": scores, "returns": [-150.0],
                          "graph_hash": "ab" * 32, "contract_hash": "cd" * 32})  # fmt: skip
    page = write_report(tmp_path).read_text()
    assert page.count("<svg") == 2  # return and reward over the training
    for told in ("<span>tinyctl</span> Pendulum-v1", "ended early, %", "-150 <small>(-160 to -140)", "without a delay"):
        assert told in page


def test_what_a_file_says_is_escaped(tmp_path: Path) -> None:
    hostile = "</script><script>alert(1)</script><b>$x_{"
    names = [f"p_{a}" for a in "xyz"]
    flown = {
        "states": [[0.0, 1.0, 2.0]],
        "actions": [[1.0]],
        "disturbances": [0.0],
        "events": [{"time_s": 0, "what": hostile}],
    }
    put(tmp_path, "fly", {**FLY, "plant": hostile, "state_names": names, "on": hostile, "times_s": [0.0],
                          "disturbance_names": [hostile], "trajectories": [flown]})  # fmt: skip
    put(tmp_path, "quantize", {**QUANTIZE, "layers": [{**QUANTIZE["layers"][0], "name": hostile}]})
    page = write_report(tmp_path).read_text()
    assert page.count("<script") == 2  # the flights as data, and the page's own
    assert "<script>alert" not in page
    assert "<b>$" not in page


def test_nothing_else_may_run_or_be_loaded(tmp_path: Path) -> None:
    put(tmp_path, "train", TRAIN)
    page = write_report(tmp_path).read_text()
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    script = page.rpartition("<script>")[2].rpartition("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy is not None
    assert f"script-src &#39;sha256-{digest}&#39;" in policy[1] or f"script-src 'sha256-{digest}'" in policy[1]
    assert "default-src 'none'" in policy[1]
    assert not re.search(r'(?:src|href)="(?!#)', page.replace("xlink:", ""))


def test_compared_with_the_run_before(tmp_path: Path) -> None:
    put(tmp_path, "fly", FLY)
    assert "previous run" not in write_report(tmp_path).read_text()
    put(tmp_path, "fly", {**FLY, "survived": 0.5})
    page = write_report(tmp_path).read_text()
    assert '<td>survived</td><td class="n">1</td><td class="n">0.5</td><td class="n worse">-50 %</td>' in page
    assert "As before: episodes." in page
    assert write_report(tmp_path).read_text() == page  # the same run again has the same run before it
    other = tmp_path / "other"
    other.mkdir()
    put(other, "fly", {**FLY, "survived": 0.25})
    page = write_report(tmp_path, tmp_path / "page.html", other).read_text()
    assert '<td class="n better">+100 %</td>' in page


@pytest.mark.parametrize(
    "record",
    [
        [],
        {},
        {**FLY, "survived": "many"},
        {**FLY, "trajectories": [{}]},
        {**FLY, "scores": []},
        {**FLY, "failures": 3},
        {**FLY, "survived": 10**400},
    ],
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
