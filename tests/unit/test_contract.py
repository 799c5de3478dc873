"""Every rule of the contract, its canonical text and its hash."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import networks
import numpy as np
import pytest

from tinyctl.contract import C_KEYWORDS, MAX_SIGNALS, Contract, Input, Output, check_identifier
from tinyctl.errors import TinyctlError
from tinyctl.jsons import canonical_json

ANGLE = Input("angle", "rad", "world", -3.5, 3.5)
TORQUE = Output("torque", "N m", "", -1.0, 1.0)
APPLIED = Input("torque", "N m", "", -1.0, 1.0, 0.0, "applied_action")


def contract(**changes: Any) -> Contract:
    return Contract(**{"inputs": (ANGLE,), "outputs": (TORQUE,), "rate_hz": 50.0, **changes})


@pytest.mark.parametrize("name", ["x", "Motor_1", "a" * 63, "rpm2"])
def test_good_identifiers(name: str) -> None:
    assert check_identifier(name, "signal") == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "1x",
        "_x",
        "a__b",
        "a b",
        "a-b",
        "a" * 64,
        "x\n",
        "é",
        "x;y",
        "x*/",
        '"x"',
        "int",
        "while",
        "class",
        "nullptr",
        "main",
        *sorted(C_KEYWORDS)[:3],
    ],
)
def test_bad_identifiers(name: str) -> None:
    with pytest.raises(TinyctlError, match="not a plain C identifier"):
        check_identifier(name, "signal")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "int"}, "not a plain C identifier"),
        ({"unit": "*/ int x; /*"}, "unit .* has characters"),
        ({"unit": 'm"'}, "unit .* has characters"),
        ({"unit": "m\\"}, "unit .* has characters"),
        ({"unit": "m\n"}, "unit .* has characters"),
        ({"unit": "µm"}, "unit .* has characters"),
        ({"frame": "x" * 33}, "frame .* has characters"),
        ({"frame": "wor\tld"}, "frame .* has characters"),
        ({"low": 3.5}, "not finite and increasing"),
        ({"low": 4.0}, "not finite and increasing"),
        ({"low": math.nan}, "not finite and increasing"),
        ({"high": math.inf}, "not finite and increasing"),
        ({"high": 1e300}, "not finite and increasing"),
        ({"low": 1.0, "high": 1.0 + 1e-12}, "not finite and increasing"),
        ({"on_nan": 3.6}, "on_nan 3.59.* is outside"),
        ({"on_nan": math.nan}, "on_nan nan is outside"),
        ({"on_nan": math.inf}, "on_nan inf is outside"),
        ({"source": "guess"}, "neither observation nor applied_action"),
    ],
)
def test_bad_inputs(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(TinyctlError, match=message):
        replace(ANGLE, **changes)


def test_bad_safe_value() -> None:
    with pytest.raises(TinyctlError, match=r"safe value 2\.0 is outside"):
        replace(TORQUE, safe=2.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inputs": ()}, "0 inputs"),
        ({"outputs": ()}, "0 outputs"),
        ({"inputs": (ANGLE, ANGLE)}, "two inputs are called 'angle'"),
        ({"outputs": (TORQUE, replace(TORQUE, unit="N"))}, "two outputs are called 'torque'"),
        ({"inputs": tuple(replace(ANGLE, name=f"x{i}") for i in range(MAX_SIGNALS + 1))}, f"{MAX_SIGNALS + 1} inputs"),
        ({"rate_hz": 0.0}, "rate_hz"),
        ({"rate_hz": math.nan}, "rate_hz"),
        ({"rate_hz": 2e6}, "rate_hz"),
        ({"latency_s": -1e-9}, "latency_s"),
        ({"latency_s": math.nan}, "latency_s"),
        ({"latency_s": 11.0}, "latency_s"),
        ({"inputs": (APPLIED, ANGLE)}, "observation column stands after"),
        ({"inputs": (APPLIED,)}, "no input is an observation"),
        ({"inputs": (ANGLE, replace(APPLIED, name="force"))}, "'force' is not the name of an output"),
    ],
)
def test_bad_contracts(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(TinyctlError, match=message):
        contract(**changes)


def test_ranges_are_float32() -> None:
    signal = Input("x", "1", "", -0.1, 0.1, 0.05)
    assert (signal.low, signal.high, signal.on_nan) == tuple(float(np.float32(v)) for v in (-0.1, 0.1, 0.05))


def test_columns_and_initial_actions() -> None:
    made = networks.all_layers_contract()
    assert (made.n_obs, made.n_act) == (5, 3)
    assert made.applied_outputs == (2, 0)
    assert made.initial_applied() == [-0.5, float(np.float32(0.2)), 0.5]  # on_nan of its column, else safe


def test_canonical_json() -> None:
    made = contract(inputs=(ANGLE, APPLIED))
    assert canonical_json(made.to_json()) == (
        '{"inputs":[{"frame":"world","high":3.5,"low":-3.5,"name":"angle","on_nan":0.0,"source":"observation",'
        '"unit":"rad"},{"frame":"","high":1.0,"low":-1.0,"name":"torque","on_nan":0.0,"source":"applied_action",'
        '"unit":"N m"}],"latency_s":0.0,"outputs":[{"frame":"","high":1.0,"low":-1.0,"name":"torque","safe":0.0,'
        '"unit":"N m"}],"rate_hz":50.0}'
    )


def test_hash_is_stable() -> None:
    """A changed value here means that every controller in the field would be refused."""
    assert networks.tiny_contract().hash == "85f40afb4f79a782e480eabdef785fdc62cf7116e5ec29f230d2e000d204067f"


@pytest.mark.parametrize(
    "changes",
    [
        {"rate_hz": 50.000001},
        {"latency_s": 0.001},
        {"inputs": (replace(ANGLE, unit="deg"),)},
        {"inputs": (replace(ANGLE, frame="body"),)},
        {"inputs": (replace(ANGLE, high=3.6),)},
        {"inputs": (replace(ANGLE, on_nan=0.1),)},
        {"inputs": (replace(ANGLE, name="angel"),)},
        {"inputs": (ANGLE, APPLIED)},
        {"outputs": (replace(TORQUE, safe=0.1),)},
    ],
)
def test_hash_tells_every_part(changes: dict[str, Any]) -> None:
    assert contract(**changes).hash != contract().hash


def test_hash_does_not_depend_on_python_types() -> None:
    same = contract(inputs=[replace(ANGLE, low=np.float64(-3.5))], rate_hz=50, latency_s=np.float32(0))
    assert same == contract()
    assert same.hash == contract().hash


def test_order_is_part_of_the_hash() -> None:
    speed = replace(ANGLE, name="speed")
    assert contract(inputs=(ANGLE, speed)).hash != contract(inputs=(speed, ANGLE)).hash


def test_json_round_trip() -> None:
    for made in (networks.tiny_contract(), networks.all_layers_contract()):
        back = Contract.from_json(json.loads(canonical_json(made.to_json())))
        assert back == made
        assert back.hash == made.hash


def test_null_is_a_million() -> None:
    record = contract().to_json()
    record["inputs"][0].update(low=None, high=None)
    made = Contract.from_json(record)
    assert (made.inputs[0].low, made.inputs[0].high) == (-1e6, 1e6)
    assert made.to_json() == record
    explicit = replace(ANGLE, low=-1e6, high=1e6)
    assert contract(inputs=(explicit,)).hash == made.hash


def test_integers_stand_for_floats() -> None:
    record = contract().to_json()
    record["rate_hz"] = 50
    assert Contract.from_json(record).hash == contract().hash


def _changed(path: tuple[Any, ...], value: Any) -> Any:
    record: Any = contract(inputs=(ANGLE, APPLIED)).to_json()
    place = record
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return record


@pytest.mark.parametrize(
    "record",
    [
        None,
        [],
        "contract",
        3,
        {},
        _changed(("extra",), 1),
        _changed(("inputs",), {}),
        _changed(("inputs",), [3]),
        _changed(("inputs",), "angle"),
        _changed(("outputs",), None),
        _changed(("rate_hz",), "50"),
        _changed(("rate_hz",), True),
        _changed(("rate_hz",), None),
        _changed(("rate_hz",), 10**400),
        _changed(("inputs", 0, "name"), 3),
        _changed(("inputs", 0, "low"), "0"),
        _changed(("inputs", 0, "low"), [0]),
        _changed(("inputs", 0, "on_nan"), None),
        _changed(("inputs", 0, "safe"), 0.0),
        _changed(("inputs", 0, "source"), "caller"),
        _changed(("inputs", 0, "source"), []),
        _changed(("outputs", 0, "source"), "observation"),
        _changed(("inputs", 0), {"name": "x"}),
        _changed(("inputs", 0, "high"), 1e39),
        _changed(("inputs", 0, "high"), -(10**39)),
    ],
)
def test_bad_json(record: Any) -> None:
    with pytest.raises(TinyctlError) as raised:
        Contract.from_json(record)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) <= 400
