"""Makes `.tflite` files with TensorFlow, and what its interpreter computes: run as a process of its own, because
TensorFlow takes seconds to load and fills the process with threads and warnings.

`python tflite_models.py FOLDER` writes NAME.tflite and NAME.npz (x, y float32; `step` the output's scale or 0).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np
import tensorflow as tf

Array = Any
RNG = np.random.default_rng(0)
WIDTH, HIDDEN, ACTIONS, TRIALS = 6, 16, 3, 2000


def weights(n_in: int, n_out: int) -> tuple[Array, Array]:
    weight = RNG.standard_normal((n_in, n_out)) / np.sqrt(n_in)
    return tf.constant(weight.astype("f")), tf.constant(0.2 * RNG.standard_normal(n_out).astype("f"))


def dense(x: Array, parts: tuple[Array, Array]) -> Array:
    return tf.matmul(x, parts[0]) + parts[1]


def network(activation: Callable[[Array], Array]) -> Callable[[Array], Array]:
    first, second, last = weights(WIDTH, HIDDEN), weights(HIDDEN, HIDDEN), weights(HIDDEN, ACTIONS)
    return lambda x: dense(activation(dense(activation(dense(x, first)), second)), last)


def linear() -> Callable[[Array], Array]:
    parts = weights(WIDTH, HIDDEN)
    return lambda x: dense(x, parts)


def arithmetic() -> Callable[[Array], Array]:
    first, last = weights(WIDTH, HIDDEN), weights(HIDDEN, ACTIONS)
    row = tf.constant(np.linspace(-1, 1, HIDDEN).astype("f"))

    def forward(x: Array) -> Array:
        y = tf.tanh(dense(0.5 * x - tf.constant(np.linspace(-1, 1, WIDTH).astype("f")), first))
        y = tf.reshape(1.0 - (y * row + row), (1, HIDDEN))
        return tf.tanh(dense(y, last)) * 2.0 + 0.5

    return forward


def joined() -> Callable[[Array], Array]:
    first, second, last = weights(WIDTH, HIDDEN), weights(WIDTH, HIDDEN), weights(2 * HIDDEN, ACTIONS)
    return lambda x: dense(tf.concat([tf.tanh(dense(x, first)), tf.nn.relu(dense(x, second))], -1), last)


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "relu": tf.nn.relu,
    "relu6": tf.nn.relu6,
    "tanh": tf.tanh,
    "sigmoid": tf.sigmoid,
    "leaky_relu": lambda x: tf.nn.leaky_relu(x, 0.1),
    "elu": tf.nn.elu,
}
NETWORKS = {
    **{name: network(activation) for name, activation in ACTIVATIONS.items()},
    **{f"only_{name}": activation for name, activation in ACTIVATIONS.items()},
    "linear": linear(),
    "arithmetic": arithmetic(),
    "joined": joined(),
}


def samples() -> Iterator[list[Array]]:
    rng = np.random.default_rng(1)
    for _ in range(200):
        yield [rng.standard_normal((1, WIDTH)).astype("f")]


def convert(forward: Callable[[Array], Array], kind: str) -> bytes:
    traced = tf.function(forward, input_signature=[tf.TensorSpec([1, WIDTH], tf.float32)])
    converter = tf.lite.TFLiteConverter.from_concrete_functions([traced.get_concrete_function()], tf.Module())
    if kind == "int8":
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    elif kind == "int16":
        converter.target_spec.supported_ops = [
            tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        ]
    elif kind == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if kind != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if kind in ("int8", "int16"):
        converter.representative_dataset = samples
    made: bytes = converter.convert()
    return made


def grid(interpreter: Any) -> list[tuple[float, int]]:
    """Scale and zero point of the input and of the output; of what they are converted to where they are float32."""
    quantized = {d["index"]: d["quantization"] for d in interpreter.get_tensor_details()}
    found = []
    for details, kind, near, far in (
        (interpreter.get_input_details(), "QUANTIZE", "inputs", "outputs"),
        (interpreter.get_output_details(), "DEQUANTIZE", "outputs", "inputs"),
    ):
        doors = [o for o in interpreter._get_ops_details() if o["op_name"] == kind]
        inner = [o[far][0] for o in doors if o[near][0] == details[0]["index"]]
        found.append(quantized[(inner or [details[0]["index"]])[0]])
    return found


def interpret(data: bytes) -> dict[str, Array]:
    """Random observations on the grid of the quantized input, where rounding them cannot differ; and the actions."""
    interpreter = tf.lite.Interpreter(model_content=data)
    interpreter.allocate_tensors()
    first, last = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    (scale, zero), (step, shift) = grid(interpreter)
    x = np.random.default_rng(2).standard_normal((TRIALS, WIDTH)).astype("f")
    if scale:
        x = ((np.round(x / scale + zero) - zero) * scale).astype("f")
    rows = []
    for row in x:
        if first["dtype"] != np.float32:
            limits = np.iinfo(first["dtype"])
            row = np.clip(np.round(row / scale) + zero, limits.min, limits.max).astype(first["dtype"])
        interpreter.set_tensor(first["index"], row[None])
        interpreter.invoke()
        rows.append(interpreter.get_tensor(last["index"])[0])
    y = np.array(rows)
    if last["dtype"] != np.float32:
        y = (y.astype("f") - shift) * np.float32(step)
    return {"x": x, "y": y, "step": np.float64(step)}


def main() -> None:
    folder = Path(sys.argv[1])
    for name, forward in NETWORKS.items():
        for kind in ("float32", "float16", "int8", "int16"):
            if kind == "float16" and name != "tanh":
                continue
            if kind == "int16" and name in ("elu", "only_elu"):
                continue  # the converter has no 16-bit form of it
            data = convert(forward, kind)
            (folder / f"{name}_{kind}.tflite").write_bytes(data)
            np.savez(folder / f"{name}_{kind}.npz", **interpret(data))
    first, last = weights(WIDTH, 64), weights(64, 32)  # from 1024 weights on they are stored in 8 bits
    data = convert(lambda x: dense(tf.nn.relu(dense(x, first)), last), "dynamic")
    (folder / "dynamic.tflite").write_bytes(data)
    np.savez(folder / "dynamic.npz", **interpret(data))


if __name__ == "__main__":
    main()
