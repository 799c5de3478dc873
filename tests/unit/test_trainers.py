"""Settings of training algorithms given as text."""

from __future__ import annotations

import pytest

from tinyctl.errors import TinyctlError
from tinyctl.trainers import ALGORITHMS, algorithm, configured
from tinyctl.trainers.apg import Config


def test_settings_become_fields_of_their_types() -> None:
    settings = {"hidden": "8,4", "iterations": "7", "learning_rate": "1e-3", "randomise": "true", "variant": "none"}
    assert configured("apg", settings) == Config(
        hidden=(8, 4), iterations=7, learning_rate=1e-3, randomise=True, variant=None
    )


@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_algorithm_has_a_configuration_and_a_verb(name: str) -> None:
    assert configured(name, {}) == algorithm(name).Config()
    assert callable(algorithm(name).train)


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ({"iteration": "3"}, "no setting 'iteration'"),
        ({"iterations": "three"}, "not of type int"),
        ({"iterations": "3.5"}, "not of type int"),
        ({"lifetime": "1,2,3"}, "not 2 values"),
        ({"randomise": "yes"}, "neither true nor false"),
    ],
)
def test_a_wrong_setting_is_told(setting: dict[str, str], complaint: str) -> None:
    with pytest.raises(TinyctlError, match=complaint):
        configured("apg", setting)
    with pytest.raises(TinyctlError, match="no training algorithm"):
        configured("magic", setting)
