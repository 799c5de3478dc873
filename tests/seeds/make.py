"""Makes the files of this folder: one small valid network for each importer, from which the fuzz test starts.

`python tests/seeds/make.py`, with the development packages installed; only when an importer learns a new form.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "torch"
import h5py
import keras
import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

HERE = Path(__file__).parent
RNG = np.random.default_rng(0)
SHAPES = {"first": (3, 2), "second": (1, 3)}  # weights of the only network here: 2-3-1


def floats(*shape: int) -> Any:
    return RNG.standard_normal(shape).astype(np.float32)


def saved(tensors: dict[str, Any]) -> bytes:
    stream = io.BytesIO()
    torch.save({name: torch.tensor(value) for name, value in tensors.items()}, stream)
    return stream.getvalue()


def linear(*names: str) -> dict[str, Any]:
    parts = zip(names, SHAPES.values(), strict=True)
    return {f"{n}.{part}": floats(*shape[:k]) for n, shape in parts for part, k in (("weight", 2), ("bias", 1))}


def torch_files() -> None:
    (HERE / "actor.pt").write_bytes(saved(linear("net.0", "net.2")))
    scaled = {"action_scale": floats(1), "action_bias": floats(1)}
    (HERE / "actor.cleanrl_model").write_bytes(saved({**linear("fc1", "fc_mu"), **scaled}))
    data = {
        "policy_kwargs": {"activation_fn": "<class 'torch.nn.modules.activation.ReLU'>"},
        "num_timesteps": 8,
        "action_space": {":type:": "<class 'gymnasium.spaces.box.Box'>", "low": "[-2.]", "high": "[2.]"},
    }
    with zipfile.ZipFile(HERE / "model.zip", "w") as archive:
        archive.writestr(zipfile.ZipInfo("data"), json.dumps(data))
        archive.writestr(zipfile.ZipInfo("policy.pth"), saved(linear("mlp_extractor.policy_net.0", "action_net")))


def program_file() -> None:
    net = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.LeakyReLU(0.1), torch.nn.Linear(3, 1))
    stream = io.BytesIO()
    torch.export.save(torch.export.export(net, (torch.zeros(1, 2),)), stream)
    with zipfile.ZipFile(stream) as archive:
        members = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    with zipfile.ZipFile(HERE / "actor.pt2", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            if name.endswith("model.json"):  # without paths of this machine
                record = json.loads(data)
                for node in record["graph_module"]["graph"]["nodes"]:
                    node["metadata"] = {}
                data = json.dumps(record).encode()
            if "/data/" in name or name.endswith("model.json"):
                archive.writestr(zipfile.ZipInfo(name), data)


def onnx_file() -> None:
    nodes = [
        helper.make_node("Gemm", ["obs", "actor.0.weight", "actor.0.bias"], ["h"], name="/actor/0/Gemm", transB=1),
        helper.make_node("Elu", ["h"], ["e"], name="/actor/1/Elu"),
        helper.make_node("Gemm", ["e", "actor.2.weight", "actor.2.bias"], ["actions"], name="/actor/2/Gemm", transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "actor",
        [helper.make_tensor_value_info("obs", TensorProto.FLOAT, [1, 2])],
        [helper.make_tensor_value_info("actions", TensorProto.FLOAT, [1, 1])],
        [numpy_helper.from_array(value, name) for name, value in linear("actor.0", "actor.2").items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(
        model,
        {"observation_names": "a,b", "joint_names": "hip", "action_scale": "0.5", "default_joint_pos": "0.1"},
    )
    onnx.save(model, HERE / "actor.onnx")


def keras_files() -> None:
    model = keras.Sequential(
        [
            keras.Input((2,), name="start"),
            keras.layers.Dense(3, "tanh", name="first"),
            keras.layers.Dense(1, name="last"),
        ]
    )
    model.save(HERE / "keras.h5")
    path = HERE / "actor.keras"
    model.save(path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in ("config.json", "model.weights.h5")}
    with zipfile.ZipFile(path, "w") as archive:  # without the date
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data)


def rl_tools_files() -> None:
    layers = {name: (floats(*shape), floats(1, shape[0])) for name, shape in SHAPES.items()}
    text = []
    for name, arrays in layers.items():
        text.append(f"namespace rl_tools::checkpoint::actor::{name} {{")
        for part, value in zip(("weights", "biases"), arrays, strict=True):
            words = ", ".join(map(str, value.tobytes()))
            rows, columns = value.shape
            text.append(
                f"namespace {part}::parameters_memory {{ alignas(float) const unsigned char memory[] = {{{words}}};"
            )
            text.append(f"using SPEC = matrix::Specification<float, unsigned long, {rows}, {columns}, L>; }}")
        text.append("using A = nn::ActivationFunction::FAST_TANH; }")
    (HERE / "actor.h").write_text("\n".join(text) + "\n")
    with h5py.File(HERE / "rl_tools.h5", "w") as file:
        for k, arrays in enumerate(layers.values()):
            group = file.create_group(f"actor/layers/{k}")
            group.attrs["activation_function"] = "TANH"
            for part, value in zip(("weights", "biases"), arrays, strict=True):
                group.create_dataset(f"{part}/parameters", data=value)


def tflite_file() -> None:
    import tensorflow as tf

    first, last = tf.constant(floats(2, 3)), tf.constant(floats(3, 1))

    @tf.function(input_signature=[tf.TensorSpec([1, 2], tf.float32)])
    def forward(x: Any) -> Any:
        return tf.matmul(tf.tanh(tf.matmul(x, first) + 0.5), last)

    converter = tf.lite.TFLiteConverter.from_concrete_functions([forward.get_concrete_function()], tf.Module())
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([floats(1, 2)] for _ in range(50))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    (HERE / "actor.tflite").write_bytes(converter.convert())


if __name__ == "__main__":
    for make in (torch_files, program_file, onnx_file, keras_files, rl_tools_files, tflite_file):
        make()
