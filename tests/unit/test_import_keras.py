"""Keras: equal to the model itself (on its PyTorch backend), both file forms, hostile files refused."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tinyctl.errors import TinyctlError
from tinyctl.importers import Request, read
from tinyctl.layers.base import Array
from tinyctl.network import Network

pytestmark = pytest.mark.filterwarnings("ignore")  # of the framework about itself


@pytest.fixture(scope="module")
def keras(require_package: Callable[[str], ModuleType]) -> Any:
    require_package("torch")
    require_package("h5py")
    found: Any = require_package("keras")
    found.utils.set_random_seed(0)
    return found


def run(network: Network, x: Array) -> Array:
    return network.run(x, network.init(len(x)))[0]


def sequential(keras: Any) -> Any:
    layers = keras.layers
    mean, variance = np.array([0.5, -1.0, 2.0, 0.0]), np.array([0.5, 1.0, 4.0, 2.0])
    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Normalization(mean=mean, variance=variance),
            layers.Dense(8, activation="relu", name="first"),
            layers.Dense(6, use_bias=False),
            layers.Activation("tanh"),
            layers.Dropout(0.3),
            layers.Rescaling(2.0, offset=1.0),
            layers.Dense(5),
            layers.ReLU(max_value=1.5),
            layers.Dense(2, activation="tanh"),
        ]
    )
    model.set_weights([np.random.default_rng(1).standard_normal(w.shape) * 0.5 for w in model.get_weights()])
    return model


def functional(keras: Any) -> Any:
    start = keras.Input((4,))
    middle = keras.layers.ReLU()(keras.layers.Dense(6)(start))
    return keras.Model(start, keras.layers.Dense(3, activation="tanh")(middle))


def branching(keras: Any) -> Any:
    layers = keras.layers
    start = keras.Input((4,))
    first = layers.Dense(4)(start)
    wide = layers.Concatenate()([layers.Add()([first, start, first]), first])
    bent = layers.ELU(0.5)(layers.LeakyReLU(0.1)(wide))
    model = keras.Model(start, layers.Dense(2)(layers.BatchNormalization()(bent)))
    rng = np.random.default_rng(2)
    model.set_weights([rng.uniform(0.5, 1.5, w.shape) for w in model.get_weights()])
    return model


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("make", [sequential, functional, branching])
def test_models_equal_keras(tmp_path: Path, keras: Any, make: Callable[[Any], Any], suffix: str) -> None:
    model = make(keras)
    path = tmp_path / f"model{suffix}"
    model.save(path)
    found = read(Request(path, rate_hz=50.0))
    assert found.source == "Keras"
    x = (2 * np.random.default_rng(0).standard_normal((500, 4))).astype(np.float32)
    np.testing.assert_allclose(run(found.policy, x), model.predict(x, verbose=0), atol=5e-6, rtol=1e-6)


def test_an_adapted_normalization_keeps_its_statistics(tmp_path: Path, keras: Any) -> None:
    x = (5 + 3 * np.random.default_rng(0).standard_normal((500, 4))).astype(np.float32)
    layer = keras.layers.Normalization()
    layer.adapt(x)
    model = keras.Sequential([keras.Input((4,)), layer, keras.layers.Dense(2)])
    for suffix in (".keras", ".h5"):
        model.save(tmp_path / f"model{suffix}")
        policy = read(Request(tmp_path / f"model{suffix}", rate_hz=50.0)).policy
        np.testing.assert_allclose(run(policy, x), model.predict(x, verbose=0), atol=5e-6, rtol=1e-6)


def test_other_models_are_refused(tmp_path: Path, keras: Any) -> None:
    layers = keras.layers
    start, other = keras.Input((4,)), keras.Input((4,))
    made = {
        r"lambda.*\(Lambda\): is not a layer": keras.Sequential([start, layers.Lambda(lambda x: x)]),
        "2 outputs .*--output": keras.Model(start, [layers.Dense(4)(start), layers.Dense(3)(start)]),
        "reads no layer before it": keras.Model([start, other], layers.Add()([start, other])),
        "gelu is not a layer": keras.Sequential([start, layers.Dense(3, activation="gelu")]),
        "an input of shape": keras.Sequential([keras.Input((4, 3)), layers.Flatten(), layers.Dense(1)]),
    }
    for message, model in made.items():
        model.save(tmp_path / "model.keras")
        with pytest.raises(TinyctlError, match=message):
            read(Request(tmp_path / "model.keras", rate_hz=50.0))


@pytest.fixture(scope="module")
def good(keras: Any, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("keras") / "model.keras"
    functional(keras).save(path)
    return path.read_bytes()


@pytest.mark.parametrize(
    "config",
    [
        [],
        {"class_name": "Sequential"},
        {"class_name": "Evil", "config": {"layers": []}},
        {"class_name": "Sequential", "config": {"layers": []}},
        {"class_name": "Sequential", "config": {"layers": [{"class_name": "Dense", "config": {"name": "*/"}}]}},
        {"class_name": "Sequential", "config": {"layers": [{"class_name": "InputLayer", "config": {"name": [[]]}}]}},
        {
            "class_name": "Sequential",
            "config": {"layers": [{"class_name": "InputLayer", "config": {"name": "a", "batch_shape": [None, 2**60]}}]},
        },
    ],
)
def test_hostile_configurations_are_refused(tmp_path: Path, good: bytes, config: Any) -> None:
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(io.BytesIO(good)) as old, zipfile.ZipFile(path, "w") as new:
        new.writestr("config.json", json.dumps(config))
        new.writestr("model.weights.h5", old.read("model.weights.h5"))
    with pytest.raises(TinyctlError) as raised:
        read(Request(path, rate_hz=50.0))
    assert str(raised.value).isprintable()
