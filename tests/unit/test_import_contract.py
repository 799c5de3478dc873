"""`contract.toml`, normalisers, identifiers: strict, and one line for whatever is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyctl.contract import check_identifier
from tinyctl.contract_toml import load_contract
from tinyctl.errors import FileError, TinyctlError
from tinyctl.importers import Request, read
from tinyctl.importers.base import identifiers
from tinyctl.importers.parts.normalizer import load_normalizer

GOOD = """
rate_hz = 100
[[inputs]]
name = "angle"
unit = "rad"
frame = "world"
low = -3.0
on_nan = 1.0
[[inputs]]
name = "torque"
unit = "N m"
frame = ""
low = -1
high = 1
source = "applied_action"
[[outputs]]
name = "torque"
unit = "N m"
frame = ""
low = -1
high = 1
safe = 0.5
"""


def test_a_contract_is_read_with_its_defaults(tmp_path: Path) -> None:
    path = tmp_path / "contract.toml"
    path.write_text(GOOD)
    contract = load_contract(path)
    angle, torque = contract.inputs
    assert (angle.low, angle.high, angle.on_nan, angle.source) == (-3.0, 1e6, 1.0, "observation")
    assert torque.source == "applied_action"
    assert contract.outputs[0].safe == 0.5
    assert (contract.rate_hz, contract.latency_s) == (100.0, 0.0)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("rate_hz = 100", "", "missing key 'rate_hz'"),
        ("rate_hz = 100", "rate_hz = 100\nrate = 3", "unknown key 'rate'"),
        ("rate_hz = 100", "rate_hz = nan", "rate_hz"),
        ("rate_hz = 100", 'rate_hz = "fast"', "rate_hz"),
        ('unit = "rad"', "", "missing key 'unit'"),
        ('unit = "rad"', 'unit = "rad*/"', "characters"),
        ('frame = "world"', 'frame = "world"\nfram = ""', "unknown key 'fram'"),
        ('name = "angle"', 'name = "while"', "identifier"),
        ("low = -3.0", "low = 2e6", "range"),
        ("on_nan = 1.0", "on_nan = -4.0", "on_nan"),
        ("safe = 0.5", "safe = 1.5", "safe"),
        ("[[outputs]]", "[outputs]", "list of tables"),
        ("[[outputs]]", "[[outputs", "TOML"),
    ],
)
def test_what_is_wrong_in_a_contract_is_told(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "contract.toml"
    assert old in GOOD
    path.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(FileError, match=message) as raised:
        load_contract(path)
    assert str(raised.value).startswith(str(path))


def test_deep_toml_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "contract.toml"
    path.write_text("a = " + "[" * 100_000)
    with pytest.raises(FileError, match="TOML"):
        load_contract(path)


@given(st.lists(st.text(max_size=80), max_size=12))
def test_foreign_names_become_distinct_identifiers(names: list[str]) -> None:
    made = identifiers([*names, "*/", "if", "a\nb", 'a"b', "7", "x" * 200, "while", "__x__"], "obs")
    assert len(set(made)) == len(made)
    for name in made:
        check_identifier(name, "name")


def test_normalisers_are_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "stats.npz", mean=[1.0, 2.0], var=[1.0, 4.0], clip=5.0)
    (tmp_path / "stats.json").write_text(json.dumps({"mean": [1.0, 2.0], "var": [1.0, 4.0], "epsilon": 0.01}))
    assert load_normalizer(tmp_path / "stats.npz").clip == 5.0
    assert load_normalizer(tmp_path / "stats.json").epsilon == 0.01


@pytest.mark.parametrize(
    "record",
    [
        {"mean": [1.0]},
        {"mean": [1.0], "var": [1.0, 2.0]},
        {"mean": [1.0], "var": [-1.0]},
        {"mean": ["x"], "var": [1.0]},
        {"mean": [[1.0], [1.0, 2.0]], "var": [1.0]},
        {"mean": [1.0], "var": [1.0], "clip": 0},
        {"mean": [1.0], "var": [0.0], "epsilon": 0.0},
        {"mean": [1.0], "var": [1.0], "other": 0},
        [1.0],
    ],
)
def test_damaged_normalisers_are_refused(tmp_path: Path, record: object) -> None:
    path = tmp_path / "stats.json"
    path.write_text(json.dumps(record))
    with pytest.raises(FileError):
        load_normalizer(path)


@given(st.binary(max_size=200), st.sampled_from(["stats.npz", "stats.json"]))
def test_any_bytes_are_no_normaliser(tmp_path_factory: pytest.TempPathFactory, data: bytes, name: str) -> None:
    path = tmp_path_factory.mktemp("stats") / name
    path.write_bytes(data)
    with pytest.raises(FileError):
        load_normalizer(path)


def test_pickles_and_unknown_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="pickle"):
        read(Request(tmp_path / "vecnormalize.pkl"))
    with pytest.raises(TinyctlError, match="no importer"):
        read(Request(tmp_path / "model.docx"))
