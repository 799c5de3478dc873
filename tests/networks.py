"""Small networks that the tests share: `tiny` for reading, `all_layers` with everything, `demo_size` for the bench."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from tinyctl.cells import gru, lstm, restart, s5
from tinyctl.contract import Contract, Input, Output
from tinyctl.graph import Graph
from tinyctl.layers.add import Add
from tinyctl.layers.base import F32, Array, Layer
from tinyctl.layers.bend import IntegerBend
from tinyctl.layers.clip import Clip
from tinyctl.layers.concat import Concat
from tinyctl.layers.convert import Decode, Encode
from tinyctl.layers.curve import IntegerCurve
from tinyctl.layers.dense import Dense, IntegerDense
from tinyctl.layers.elu import Elu
from tinyctl.layers.fast_tanh import FastTanh
from tinyctl.layers.history import History
from tinyctl.layers.integral import Integral
from tinyctl.layers.lag import Lag
from tinyctl.layers.leaky_relu import LeakyRelu
from tinyctl.layers.products import Products
from tinyctl.layers.relu import Relu
from tinyctl.layers.scale import Scale
from tinyctl.layers.screen import Screen
from tinyctl.layers.sigmoid import Sigmoid
from tinyctl.layers.softsign import Softsign
from tinyctl.layers.tanh import Tanh
from tinyctl.layers.unit_delay import UnitDelay
from tinyctl.layers.vote import Vote
from tinyctl.network import Node, chain
from tinyctl.policy import Policy
from tinyctl.quantizer import everywhere, quantize, random_sequences


def dense(rng: np.random.Generator, n_in: int, n_out: int, gain: float = 1.0) -> Dense:
    """Random weights of the size that keeps the spread of the values."""
    weight = rng.standard_normal((n_out, n_in)) * gain / np.sqrt(n_in)
    return Dense(weight.astype(F32), (0.2 * rng.standard_normal(n_out)).astype(F32))


def floats(*values: float) -> Array:
    return np.array(values, F32)


def tiny_contract() -> Contract:
    """Three inputs, one of them the applied action, and one output."""
    return Contract(
        inputs=(
            Input("angle", "rad", "world", -3.5, 3.5),
            Input("speed", "rad/s", "world", -8.0, 8.0, 0.5),
            Input("torque", "N m", "", -1.0, 1.0, 0.25, "applied_action"),
        ),
        outputs=(Output("torque", "N m", "", -1.0, 1.0),),
        rate_hz=50.0,
    )


def tiny(seed: int = 0) -> Policy:
    """A 3-4-1 policy with memory: the lag of the torque and the integral of the angle are columns four and five."""
    rng = np.random.default_rng(seed)
    contract = tiny_contract()
    return Policy(
        contract,
        chain(
            [
                ("screen", Screen.of(contract)),
                ("lag", Lag(3, (2,), 0.1, floats(0.25))),
                ("integral", Integral(4, (0,), floats(0.5))),
                ("scale", Scale(floats(0.5, 0.25, 1.0, 1.0, 2.0), floats(0.0, 0.1, 0.0, 0.0, 0.0))),
                ("hidden", dense(rng, 5, 4)),
                ("tanh", Tanh(4)),
                ("out", dense(rng, 4, 1)),
                ("clip", Clip.of(contract)),
            ]
        ),
    )


def memories(every: int = 2) -> Policy:
    """`tiny` with all three memories, each read with a weight of its own. The lowest speed lies between two integers,
    so one that is remembered may stand for a lower one."""
    rng = np.random.default_rng(7)
    angle, speed, torque = tiny_contract().inputs
    contract = replace(tiny_contract(), inputs=(angle, replace(speed, low=-4.9), torque))
    layers: list[tuple[str, Layer]] = [
        ("screen", Screen.of(contract)),
        ("lag", Lag(3, (2,), 0.1, floats(0.25))),
        ("integral", Integral(4, (0,), floats(0.5))),
        ("history", History(5, (1, 3), 3, every, floats(0.5, 0.0))),
        ("scale", Scale(floats(0.2, 0.1, 1.0, 1.0, 2.0, *3 * (0.1, 1.0)), np.zeros(11, F32))),
        ("hidden", dense(rng, 11, 8)),
        ("tanh", Tanh(8)),
        ("out", dense(rng, 8, 1, gain=0.5)),
        ("clip", Clip.of(contract)),
    ]
    return Policy(contract, chain(layers))


def memories_in(format_name: str) -> tuple[Policy, Graph]:
    """Those memories in integers, calibrated over the contract's ranges, so that nothing saturates."""
    policy = memories()
    return policy, quantize(policy, everywhere(policy, format_name), random_sequences(policy.contract, -8.0, 8.0))


def all_layers_contract() -> Contract:
    """Five observations with lopsided ranges, three outputs, the applied actions of two of them in another order."""
    return Contract(
        inputs=(
            Input("a", "m", "world", -2.0, 3.0),
            Input("b", "m/s", "body", -4.0, 1.5, -0.25),
            Input("c", "1", "", 0.0, 1.0, 1.0),
            Input("d", "rad", "body to world", -0.001, 0.001),
            Input("e", "%", "", -100.0, 250.0, 3.0),
            Input("w", "V", "", -1.0, 1.0, 0.5, "applied_action"),
            Input("u", "V", "", -2.0, 2.0, -0.5, "applied_action"),
        ),
        outputs=(
            Output("u", "V", "", -1.0, 2.0, 0.1),
            Output("v", "N", "body", -0.3, 0.3, 0.2),
            Output("w", "V", "", -1.0, 1.0, -0.1),
        ),
        rate_hz=333.0,
        latency_s=0.001,
    )


def all_layers(seed: int = 1) -> Policy:
    """Every float layer, some of them twice and in odd places, with odd widths."""
    rng = np.random.default_rng(seed)
    contract = all_layers_contract()
    return Policy(
        contract,
        chain(
            [
                ("screen", Screen.of(contract)),
                (
                    "scale_in",
                    Scale(floats(0.4, -0.5, 2.0, 900.0, 0.01, 1.0, 0.5), floats(-0.2, 0.1, -1.0, 0.0, -0.75, 0.0, 0)),
                ),
                ("lag", Lag(7, (6, 5), 0.02, floats(-0.25, 0.5))),
                ("integral", Integral(9, (3, 0), floats(0.2, 1.5))),
                ("first", dense(rng, 11, 13)),
                ("relu", Relu(13)),
                ("second", dense(rng, 13, 7, gain=2.0)),
                ("tanh", Tanh(7)),
                ("third", dense(rng, 7, 5, gain=2.0)),
                ("clip_middle", Clip(np.full(5, -0.9, F32), np.full(5, 1.1, F32))),
                ("lag_middle", Lag(5, (4,), 0.5, floats(0.0))),
                ("scale_middle", Scale(np.linspace(-1.5, 1.5, 6).astype(F32), np.full(6, 0.1, F32))),
                ("tanh_float", Tanh(6)),
                ("fourth", dense(rng, 6, 9)),
                ("tanh_last", Tanh(9)),
                ("fast_tanh", FastTanh(9)),
                ("fifth", dense(rng, 9, 3, gain=1.5)),
                ("scale_out", Scale(floats(1.2, -0.3, 0.9), floats(0.2, 0.0, 0.05))),
                ("clip", Clip.of(contract)),
            ]
        ),
    )


def demo_size(seed: int = 2) -> Policy:
    """The shape of the demo's policy: 22 inputs of which 4 applied, lag, integral, 64-64 tanh, 4 outputs."""
    rng = np.random.default_rng(seed)
    motors = tuple(f"motor_{i}" for i in range(1, 5))
    contract = Contract(
        inputs=(
            *(Input(f"x{i}", "1", "", -1.0 - i, 1.0 + i) for i in range(18)),
            *(Input(m, "1", "", -1.0, 1.0, 0.3, "applied_action") for m in motors),
        ),
        outputs=tuple(Output(m, "1", "", -1.0, 1.0, -1.0) for m in motors),
        rate_hz=100.0,
    )
    gain = np.array([1 / (1 + i) for i in range(18)] + 4 * [1.0] + 4 * [1.0] + 3 * [2.0], F32)
    return Policy(
        contract,
        chain(
            [
                ("screen", Screen.of(contract)),
                ("lag", Lag(22, (18, 19, 20, 21), 0.15, np.full(4, 0.3, F32))),
                ("integral", Integral(26, (0, 1, 2), np.full(3, 0.5, F32))),
                ("scale", Scale(gain, np.zeros(29, F32))),
                ("hidden1", dense(rng, 29, 64)),
                ("tanh1", Tanh(64)),
                ("hidden2", dense(rng, 64, 64)),
                ("tanh2", Tanh(64)),
                ("out", dense(rng, 64, 4)),
                ("clip", Clip.of(contract)),
            ]
        ),
    )


def in_format(policy: Policy, formats: str | Mapping[str, str]) -> Graph:
    """The graph of a policy, calibrated on standard-normal observations."""
    return quantize(policy, formats, random_sequences(policy.contract, None, None))


def branching(seed: int = 3) -> Policy:
    """Values that are read again after others were made, and values that nobody reads."""
    rng = np.random.default_rng(seed)
    contract = all_layers_contract()
    layers = {
        "screen": (Screen.of(contract), None),
        "early": (dense(rng, 7, 6), "screen"),
        "relu": (Relu(6), "early"),  # must not overwrite `early`
        "unread": (dense(rng, 6, 9), "relu"),
        "again": (dense(rng, 6, 5), "early"),
        "tanh": (Tanh(5), "again"),
        "lag": (Lag(5, (0,), 0.03, floats(0.1)), "again"),  # nor this one `again`
        "unread_tanh": (Tanh(9), "unread"),
        "late": (dense(rng, 6, 5), "lag"),
        "also_unread": (dense(rng, 5, 4), "tanh"),
        "out": (dense(rng, 5, 3), "late"),
        "clip": (Clip.of(contract), "out"),
    }
    return Policy(contract, tuple(Node(n, layer, (reads,) if reads else ()) for n, (layer, reads) in layers.items()))


def ties() -> Graph:
    """Integer nodes made by hand so that results fall exactly between two integers, saturate, and fill 32 bits."""
    contract = Contract(
        inputs=(Input("a", "1", "", -40000.0, 40000.0), Input("b", "1", "", -50.0, 50.0)),
        outputs=(Output("u", "1", "", -64.0, 64.0), Output("v", "1", "", -64.0, 64.0)),
        rate_hz=100.0,
    )
    ones = np.ones(2, F32)
    first = IntegerDense(
        "int16",
        np.array([[1, 0], [0, 1], [-1, 1], [3, -2], [1, 1], [-1, -1], [0, 5]], np.int16),
        np.array([0, 1, -1, 2, 2**31 - 1 - 2**16, -(2**31) + 1 + 2**16, 0], np.int32),
        np.array([2**30, 2**30, 2**30, 2**29, 2**30, 70000, 2**31 - 1], np.int32),
    )
    second = IntegerDense(
        "int16",
        np.array([[1, 1, 0, 0, 1, 0, 0], [0, 0, 1, -1, 0, 1, 1]], np.int16),
        np.zeros(2, np.int32),
        np.full(2, 2**30, np.int32),
    )
    screen = Node("screen", Screen.of(contract), ())
    nodes = [
        ("encode", Encode("int16", ones, 0 * ones)),
        ("first", first),
        ("decode", Decode(np.full(7, 1.0, F32))),
        ("halve", Encode("int16", np.full(7, 0.5, F32), np.zeros(7, F32))),
        ("second", second),
        ("out", Decode(np.full(2, 2.0**-9, F32))),
    ]
    made = [screen]
    for name, layer in nodes:
        made.append(Node(name, layer, (made[-1].name,), "w16a16"))
    return Graph(contract, (*made, Node("clip", Clip.of(contract), ("out",))))


def curves() -> Graph:
    """Integer curves that rise and fall, saturate or not, and share their knots or not; lines that bend or not."""
    contract = Contract(
        inputs=tuple(Input(n, "1", "", -5.0, 5.0) for n in "abc"),
        outputs=tuple(Output(n, "1", "", -4.0, 4.0) for n in "uvw"),
        rate_hz=100.0,
    )
    wave = np.floor(20000 * np.sin(np.linspace(-9, 9, 513))).astype(np.int16)
    line = np.linspace(-32768, 32766, 513).astype(np.int16)
    nodes: list[tuple[str, Layer, str]] = [
        ("encode", Encode("int16", np.full(3, 9000, F32), np.zeros(3, F32)), "w8a16"),
        ("wave", IntegerCurve(3, 24576, 13, 8, 0, 0, wave), "w8a16"),
        ("again", IntegerCurve(3, 20000, 15, 8, 0, 0, wave), "w8a16"),
        ("line", IntegerCurve(3, 1, 0, 7, 1, 2**14, line), "w16a16"),
        ("shift", IntegerBend.of(np.array([1.5, -0.3, 2.0]), np.array([-20_000.0, 9000.0, 0.25])), "w16a16"),
        ("bend", IntegerBend.of(np.array([1.0, -0.7, 3.0]), np.zeros(3), 0.125), "w8a16"),
        ("out", Decode(np.full(3, 2.0**-13, F32)), "w8a16"),
    ]
    made = [Node("screen", Screen.of(contract), ())]
    for name, layer, format_name in nodes:
        made.append(Node(name, layer, (made[-1].name,), format_name))
    return Graph(contract, (*made, Node("clip", Clip.of(contract), ("out",))))


def mixed(seed: int = 6) -> Graph:
    """Formats that differ from layer to layer, and outputs that are decoded each with its own scale."""
    rng = np.random.default_rng(seed)
    contract = all_layers_contract()
    names = ("first", "bend", "second", "fold", "third", "soft", "fourth")
    layers = (dense(rng, 7, 9), Tanh(9), dense(rng, 9, 6), Relu(6), dense(rng, 6, 5), Tanh(5), dense(rng, 5, 3))
    chosen = dict(zip(names[::2], ("w16a16", "w8a8", "w8a16", "w8a8"), strict=True))
    named = [("screen", Screen.of(contract)), *zip(names, layers, strict=True), ("clip", Clip.of(contract))]
    return quantize(Policy(contract, chain(named)), chosen, random_sequences(contract, None, None))


def widths(seed: int = 4) -> Policy:
    """Dense layers of all the widths around which kernels change their loops: blocks of rows, columns a turn."""
    rng = np.random.default_rng(seed)
    contract = tiny_contract()
    layers: list[tuple[str, Layer]] = [("screen", Screen.of(contract))]
    n_in = 3
    for k, n_out in enumerate((1, 2, 16, 17, 8, 1, 9, 15, 4, 10, 5, 7, 24, 6, 3, 1)):
        layers += [(f"dense{k}", dense(rng, n_in, n_out, gain=1.5)), (f"tanh{k}", Tanh(n_out))]
        n_in = n_out
    return Policy(contract, chain([*layers, ("clip", Clip.of(contract))]))


def activations(seed: int = 4) -> Policy:
    """The activations that compute in float32 only, first of all on the raw columns with their zeros and subnormals;
    and one layer wide enough for the long loops of the integer kernels."""
    rng = np.random.default_rng(seed)
    contract = all_layers_contract()
    return Policy(
        contract,
        chain(
            [
                ("screen", Screen.of(contract)),
                ("leaky_first", LeakyRelu(7, 0.01)),
                ("softsign", Softsign(7)),
                ("elu_first", Elu(7, 1.0)),
                ("sigmoid_first", Sigmoid(7)),
                ("first", dense(rng, 7, 37)),
                ("leaky", LeakyRelu(37, 0.2)),
                ("second", dense(rng, 37, 18, gain=3.0)),
                ("elu", Elu(18, 0.7)),
                ("third", dense(rng, 18, 6, gain=3.0)),
                ("sigmoid", Sigmoid(6)),
                ("fourth", dense(rng, 6, 3, gain=2.0)),
                ("softsign_last", Softsign(3)),
                ("clip", Clip.of(contract)),
            ]
        ),
    )


def joins(seed: int = 5) -> Policy:
    """Nodes that read several values: skips around layers, the same value twice, three values side by side; and past
    values."""
    rng = np.random.default_rng(seed)
    contract = all_layers_contract()
    layers: dict[str, tuple[Layer, tuple[str, ...]]] = {
        "screen": (Screen.of(contract), ()),
        "past": (History(7, (6, 5), 5, 3, floats(0.1, -0.2)), ("screen",)),
        "last": (History(17, (0,), 1, 1, floats(0.5)), ("past",)),
        "first": (dense(rng, 18, 6), ("last",)),
        "bend": (Tanh(6), ("first",)),
        "second": (dense(rng, 6, 6), ("bend",)),
        "skip": (Add(6), ("second", "bend")),
        "twice": (Add(6), ("skip", "skip")),
        "fold": (Relu(6), ("twice",)),
        "wide": (Concat((6, 7, 6)), ("fold", "screen", "bend")),
        "third": (dense(rng, 19, 3), ("wide",)),
        "direct": (dense(rng, 7, 3), ("screen",)),
        "sum": (Add(3), ("third", "direct")),
        "clip": (Clip.of(contract), ("sum",)),
    }
    return Policy(contract, tuple(Node(name, layer, reads) for name, (layer, reads) in layers.items()))


def recurrent(seed: int = 7) -> Policy:
    """A GRU, an LSTM behind it, and the head's own value before."""
    rng = np.random.default_rng(seed)
    contract = tiny_contract()
    n_in = len(contract.inputs)

    def weights(*shape: int) -> Array:
        return (rng.standard_normal(shape) * 0.4).astype(F32)

    screen = Node("screen", Screen.of(contract), ())
    n_act = contract.n_act
    return Policy(
        contract,
        (
            screen,
            *gru("gru", "screen", weights(15, n_in), weights(15, 5), weights(15), weights(15)),
            *lstm("lstm", "gru_out", weights(12, 5), weights(12, 3), weights(12), limit=4.0),
            Node("before", UnitDelay(np.full(n_act, 0.25, F32), np.full(n_act, 0.5, F32)), ("head",)),
            Node("beside", Concat((3, n_act)), ("lstm_out", "before")),
            Node("head", dense(rng, 3 + n_act, n_act), ("beside",)),
            Node("clip", Clip.of(contract), ("head",)),
        ),
    )


def votes(seed: int = 9) -> Policy:
    """Two values that a vote over five bins each corrects, and one over two bins."""
    rng = np.random.default_rng(seed)
    contract = tiny_contract()
    layers: dict[str, tuple[Layer, tuple[str, ...]]] = {
        "screen": (Screen.of(contract), ()),
        "small": (Scale(floats(0.3, 0.125, 1.0), floats(0.1, 0.0, 0.0)), ("screen",)),
        "values": (dense(rng, 3, 2, gain=0.9), ("small",)),
        "logits": (dense(rng, 3, 10, gain=4.0), ("small",)),
        "vote": (Vote(2, 5, 0.5, 1.5), ("values", "logits")),
        "value": (dense(rng, 2, 1, gain=0.7), ("vote",)),
        "either": (dense(rng, 2, 2, gain=3.0), ("vote",)),
        "last": (Vote(1, 2, 0.0, 0.5), ("value", "either")),
        "clip": (Clip.of(contract), ("last",)),
    }
    return Policy(contract, tuple(Node(name, layer, reads) for name, (layer, reads) in layers.items()))


def dictionary(seed: int = 8) -> Policy:
    """Monomials up to the third degree that share factors, where their input is read again and where it is not."""
    rng = np.random.default_rng(seed)
    contract = tiny_contract()
    layers: dict[str, tuple[Layer, tuple[str, ...]]] = {
        "screen": (Screen.of(contract), ()),
        "small": (Scale(floats(0.3, 0.125, 1.0), floats(0.1, 0.0, 0.0)), ("screen",)),
        "monomials": (Products(3, (0, 0, 1, 3, 4, 2), (0, 1, 2, 0, 4, 6)), ("small",)),
        "terms": (dense(rng, 9, 4), ("monomials",)),
        "squares": (Products(4, (0, 3, 4), (0, 3, 5)), ("terms",)),
        "beside": (Concat((7, 3)), ("squares", "small")),
        "head": (dense(rng, 10, 1, gain=0.7), ("beside",)),
        "clip": (Clip.of(contract), ("head",)),
    }
    return Policy(contract, tuple(Node(name, layer, reads) for name, (layer, reads) in layers.items()))


def state_space(seed: int = 8) -> Policy:
    """A layer of S5 with an odd number of pairs, and an LSTM behind it that starts anew with the first input."""
    rng = np.random.default_rng(seed)
    contract = tiny_contract()
    n, pairs = len(contract.inputs), 5

    def weights(*shape: int) -> Array:
        return (rng.standard_normal(shape) * 0.4).astype(F32)

    factor = np.exp(rng.uniform(-0.3, -0.01, pairs) + 1j * rng.uniform(0, 1, pairs))
    w_in, w_out = weights(pairs, n) + 1j * weights(pairs, n), weights(n, pairs) + 1j * weights(n, pairs)
    return Policy(
        contract,
        (
            Node("screen", Screen.of(contract), ()),
            *s5("s5", "screen", factor, w_in, w_out, weights(n), weights(n, n), weights(n)),
            *restart("restart", "screen", n, 0, 1.0, 4),
            *lstm("lstm", "s5_out", weights(16, n), weights(16, 4), weights(16), kept="restart_kept"),
            Node("head", dense(rng, 4, contract.n_act), ("lstm_out",)),
            Node("clip", Clip.of(contract), ("head",)),
        ),
    )


def sparse(storage: str, seed: int = 6) -> Policy:
    """Dense layers with many zero weights: rows and columns of nothing but zeros, negative zeros among the biases, more
    columns than a byte can number, blocks of rows and batches of terms that are not full."""
    rng = np.random.default_rng(seed)
    contract = all_layers_contract()
    layers: list[tuple[str, Layer]] = [("screen", Screen.of(contract))]
    widths = (7, 18, 259, 5, 3)
    for k, (n_in, n_out) in enumerate(itertools.pairwise(widths)):
        full = dense(rng, n_in, n_out, gain=2.0)
        weight = np.where(rng.random(full.weight.shape) < 0.3, full.weight, F32(0))
        weight[1], weight[:, 2] = 0, 0
        bias = np.where(np.arange(n_out) % 4 == 1, F32(-0.0), full.bias)
        layers.append((f"dense{k}", Dense(weight, bias, storage)))
        if k < len(widths) - 2:
            layers.append((f"relu{k}", Relu(n_out)))
    return Policy(contract, chain([*layers, ("clip", Clip.of(contract))]))


def random_integer_dense(r: np.random.Generator) -> IntegerDense:
    return IntegerDense(
        "int16",
        r.integers(-9000, 9000, (3, 5)).astype(np.int16),
        r.integers(-(2**28), 2**28, 3).astype(np.int32),
        r.integers(0, 2**20, 3).astype(np.int32),
    )


def random_curve(r: np.random.Generator) -> IntegerCurve:
    knots = np.cumsum(r.integers(-60, 61, 513)).astype(np.int16)
    return IntegerCurve(5, int(r.integers(1, 2**15)), int(r.integers(10, 17)), 8, 1, 2**14, knots)


def random_bend(r: np.random.Generator) -> IntegerBend:
    return IntegerBend.of(r.uniform(-3, 3, 5), np.zeros(5), float(r.uniform(-1, 2)))
