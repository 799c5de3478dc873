"""The standard policy as trainers hold it: front layers, then dense and tanh layers as torch weights.

Buffers are (columns, lanes), so that a matrix product needs no transpose and kernels run over contiguous lanes. They
come from torch, whose allocations are aligned: the bits of a matrix product may depend on that.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import casadi
import numpy as np
import torch

from tinyctl.contract import Contract
from tinyctl.layers.base import F32, Array, Layer
from tinyctl.layers.clip import Clip
from tinyctl.layers.dense import Dense
from tinyctl.layers.integral import Integral
from tinyctl.layers.lag import Lag
from tinyctl.layers.products import Products
from tinyctl.layers.scale import Scale
from tinyctl.layers.screen import Screen
from tinyctl.layers.tanh import CLAMP, DENOMINATOR, NUMERATOR, Tanh
from tinyctl.network import chain
from tinyctl.policy import Policy
from tinyctl.sims.functions import vjp
from tinyctl.sims.kernel import Kernel
from tinyctl.sims.plant import Task

try:
    import resource
except ImportError:  # not a POSIX system
    resource = None  # type: ignore[assignment]

Tensor = Any  # torch.Tensor
Front = list[tuple[str, Layer]]


def front_layers(task: Task) -> Front:
    """What stands before the first dense layer: screen, then the memory the task asks for, then scaling."""
    contract = task.contract
    layers: Front = [("screen", Screen.of(contract))]
    start = np.array(contract.initial_applied(), F32)[list(contract.applied_outputs)]
    gain = [1 / t for t in task.typical] + [1.0] * len(start)
    centre = [0.0] * contract.n_obs + list(start)
    width = len(contract.inputs)
    if task.lag_s is not None:
        layers.append(("lag", Lag(width, tuple(range(contract.n_obs, width)), task.lag_s, start)))
        gain, centre, width = gain + [1.0] * len(start), centre + list(start), width + len(start)
    if task.integral_limits:
        index = {s.name: i for i, s in enumerate(contract.inputs[: contract.n_obs])}
        columns = tuple(index[name] for name in task.integral_limits)
        layers.append(("integral", Integral(width, columns, np.array([*task.integral_limits.values()], F32))))
        gain, centre = gain + [1 / task.typical[c] for c in columns], centre + [0.0] * len(columns)
    gains = np.array(gain, F32)
    return [*layers, ("scale", Scale(gains, -gains * np.array(centre, F32)))]


def policy_functions(task: Task, front: Front) -> list[Any]:
    """The casadi.Functions that `Pass` needs beside the plant's: an argument of `compile_plant`."""
    prepare = prepare_function(task, front)
    return [prepare, vjp(prepare, ("obs", "last", "memory")), clip_back_function(task), *tanh_functions()]


def policy_of(task: Task, front: Front, weights: list[Tensor], bend: Callable[[int], Layer] = Tanh) -> Policy:
    """The policy that these layers and weights are, with the layer `bend` of each hidden width."""
    return Policy(task.contract, chain([*front, *_dense_layers(weights, bend), ("clip", Clip.of(task.contract))]))


def prepare_function(task: Task, front: Front) -> Any:
    """`prepare(obs, last, memory)`: the front layers as one SX function, for batches and gradients.

    `last` (n_act,) is the action applied before; `memory` the states of lag and integral, one unused row if there are
    none. Returns the scaled columns followed by the next memory.
    """
    contract, memory_rows = task.contract, sum(slot.initial.size for slot in _slots(front))
    obs, last = casadi.SX.sym("obs", contract.n_obs), casadi.SX.sym("last", contract.n_act)
    memory = casadi.SX.sym("memory", max(memory_rows, 1))
    x, kept, row = casadi.vertcat(obs, *(last[i] for i in contract.applied_outputs)), [], 0
    for _, layer in front:
        if isinstance(layer, Screen):
            x = casadi.fmin(casadi.fmax(x, casadi.DM(layer.low)), casadi.DM(layer.high))
        elif isinstance(layer, Scale):
            x = x * casadi.DM(layer.gain) + casadi.DM(layer.offset)
        elif isinstance(layer, Products):
            for a, b in layer.pairs:
                x = casadi.vertcat(x, x[a] * x[b])
        elif isinstance(layer, Lag | Integral):
            old = memory[row : row + len(layer.columns)]
            read = casadi.vertcat(*(x[c] for c in layer.columns))
            if isinstance(layer, Lag):
                new = old + float(layer.alpha(contract.rate_hz)) * (read - old)
            else:
                limit = casadi.DM(layer.limit)
                new = casadi.fmin(casadi.fmax(old + float(layer.period(contract.rate_hz)) * read, -limit), limit)
            x, row = casadi.vertcat(x, new), row + len(layer.columns)
            kept.append(new)
    y = casadi.densify(casadi.vertcat(x, *(kept or [memory])))
    return casadi.Function("prepare", [obs, last, memory], [y], ["obs", "last", "memory"], ["y"])


def clip_back_function(task: Task) -> Any:
    """`clip_back(raw, g)`: the gradient before the clip to the outputs' ranges, from that after it.

    A command beyond its limit keeps the part of its gradient that leads back inside; without it a saturated motor would
    never learn.
    """
    raw, g = casadi.SX.sym("raw", task.contract.n_act), casadi.SX.sym("g", task.contract.n_act)
    low, high = (casadi.DM([getattr(s, side) for s in task.contract.outputs]) for side in ("low", "high"))
    kept = casadi.if_else(raw > high, casadi.fmax(g, 0), casadi.if_else(raw < low, casadi.fmin(g, 0), g))
    return casadi.Function("clip_back", [raw, g], [kept], ["raw", "g"], ["g_raw"])


def tanh_functions() -> list[Any]:
    """The layer's rational, and the product of a gradient with its slope, 1 - y^2, elementwise."""
    x, y, g = (casadi.SX.sym(name) for name in ("x", "y", "g"))
    t = casadi.fmin(casadi.fmax(x, -float(CLAMP)), float(CLAMP))
    z = t * t
    p, q = (_polynomial(z, coefficients) for coefficients in (NUMERATOR, DENOMINATOR))
    return [casadi.Function("tanh", [x], [t * p / q], ["x"], ["y"]),
            casadi.Function("tanh_back", [y, g], [g * (1 - y * y)], ["y", "g"], ["g_x"])]  # fmt: skip


def _polynomial(z: Any, coefficients: tuple[Any, ...]) -> Any:
    value = casadi.SX(float(coefficients[0]))
    for c in coefficients[1:]:
        value = value * z + float(c)
    return value


def initial_weights(task: Task, n_in: int, hidden: tuple[int, ...], generator: Any) -> list[Tensor]:
    """Weights and biases in turn, (rows, columns) and (rows, 1). The first policy nearly holds the initial action."""
    weights = random_weights([n_in, *hidden, task.contract.n_act], generator)
    weights[-1] = torch.tensor(task.contract.initial_applied())[:, None].clone()
    for w in weights:
        w.grad = torch.zeros_like(w)
    return weights


def random_weights(sizes: list[int], generator: Any) -> list[Tensor]:
    """Uniform weights and zero biases in turn. What comes out is about a tenth of what goes in."""
    weights = []
    for i, (columns, rows) in enumerate(pairwise(sizes)):
        last = i == len(sizes) - 2
        reach = math.sqrt(3 / columns) * (0.1 if last else 1.0)  # variance 1 / columns
        weights += [(2 * torch.rand(rows, columns, generator=generator) - 1) * reach, torch.zeros(rows, 1)]
    return weights


def adam_state(optimiser: Any, weights: list[Tensor]) -> dict[str, Array]:
    """What Adam remembers of each weight, as views to be written into."""
    found: dict[str, Array] = {}
    for i, weight in enumerate(weights):
        moments = optimiser.state.setdefault(weight, {})
        if not moments:  # as Adam makes them at its first step
            moments |= {"step": torch.tensor(0.0), **{k: torch.zeros_like(weight) for k in ("exp_avg", "exp_avg_sq")}}
        found |= {f"{key}_{i}": moments[key].detach().numpy() for key in ("step", "exp_avg", "exp_avg_sq")}
    return found


def _dense_layers(weights: list[Tensor], bend: Callable[[int], Layer]) -> Front:
    layers: Front = []
    for i in range(0, len(weights), 2):
        number = i // 2 + 1
        layers.append((f"dense_{number}", Dense(weights[i].numpy().copy(), weights[i + 1].numpy()[:, 0].copy())))
        if i + 2 < len(weights):
            made = bend(weights[i].shape[0])
            layers.append((f"{made.kind}_{number}", made))
    return layers


def _slots(front: Front) -> list[Any]:
    return [slot for _, layer in front if isinstance(layer, Lag | Integral) for slot in layer.state()]


def first_memory(front: Front) -> Array:
    """(rows, 1): the memory after a reset."""
    values = [slot.initial for slot in _slots(front)] or [np.zeros(1, F32)]
    return np.concatenate(values)[:, None]


class Pass:
    """One control step of the policy on `n` lanes: its buffers, forwards and backwards.

    `last` (n_act, n) and `memory` (rows, n) are the buffers it reads the state from, `obs` (n_obs, n) is to be filled;
    `action` and `next_memory` are its results. With `gradients`, `backward` reads `g_action` and `g_next_memory` and
    fills `g_obs`, `g_last` and `g_memory`. `contract` is the policy's where that is not the task's.
    """

    def __init__(self, kernel: Kernel, front: Front, weights: list[Tensor], n: int, last: Array, memory: Array,
                 *, gradients: bool = False, contract: Contract | None = None) -> None:  # fmt: skip
        contract = contract or kernel.task.contract
        n_z, n_memory = front[-1][1].n_out, len(memory)
        self.weights = weights
        self.low, self.high = (torch.tensor([[getattr(s, side)] for s in contract.outputs]) for side in ("low", "high"))
        self.obs = columns(contract.n_obs, n)
        prepared = columns(n_z + n_memory, n)
        self.next_memory = prepared[n_z:]
        self._prepare = kernel.bind("prepare", n, [self.obs.T, last.T, memory.T], [prepared.T])
        self._sums = [torch.zeros(w.shape[0], n) for w in weights[::2]]
        self._values = [torch.from_numpy(prepared[:n_z]), *(torch.zeros_like(s) for s in self._sums)]
        hidden = list(zip(self._sums, self._values[1:], strict=True))[:-1]
        self._tanh = [kernel.bind("tanh", s.numel(), [_flat(s)], [_flat(v)]) for s, v in hidden]
        self.action: Array = self._values[-1].numpy()
        self.inputs: Array = self._values[0].numpy()  # of the first dense layer
        if gradients:
            g_prepared = columns(n_z + n_memory, n)
            self.g_obs, self.g_last = columns(contract.n_obs, n), columns(contract.n_act, n)
            self.g_memory = columns(n_memory, n)
            self.g_next_memory = g_prepared[n_z:]
            self.g_action = columns(contract.n_act, n)
            self._g_values = [torch.from_numpy(g_prepared[:n_z]), *(torch.zeros_like(s) for s in self._sums[:-1])]
            self._g_sums = [torch.zeros_like(s) for s in self._sums]
            self._tanh_back = [
                kernel.bind("tanh_back", y.numel(), [_flat(y), _flat(g)], [_flat(s)])
                for y, g, s in zip(self._values[1:-1], self._g_values[1:], self._g_sums[:-1], strict=True)
            ]
            self._clip_back = kernel.bind("clip_back", n, [self._sums[-1].numpy().T, self.g_action.T],
                                          [self._g_sums[-1].numpy().T])  # fmt: skip
            self._prepare_back = kernel.bind("prepare_vjp", n, [self.obs.T, last.T, memory.T, g_prepared.T],
                                             [self.g_obs.T, self.g_last.T, self.g_memory.T])  # fmt: skip

    def forward(self) -> None:
        """From observations, last action and memory to action and next memory."""
        self._prepare()
        for i, total in enumerate(self._sums):
            torch.addmm(self.weights[2 * i + 1], self.weights[2 * i], self._values[i], out=total)
            if i < len(self._tanh):
                self._tanh[i]()
        torch.clamp(self._sums[-1], self.low, self.high, out=self._values[-1])

    def backward(self) -> None:
        """Add the weights' gradients to their `.grad`, given `g_action` and `g_next_memory`."""
        self._clip_back()
        for i in reversed(range(len(self._sums))):
            weight, bias = self.weights[2 * i], self.weights[2 * i + 1]
            weight.grad.addmm_(self._g_sums[i], self._values[i].t())
            bias.grad.add_(self._g_sums[i].sum(1, keepdim=True))
            torch.mm(weight.t(), self._g_sums[i], out=self._g_values[i])
            if i > 0:
                self._tanh_back[i - 1]()
        self._prepare_back()


def cpu_time() -> float:
    """CPU seconds of this process, all threads, and of the children it has waited for: compilers, for example."""
    if resource is None:
        return time.process_time()
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def columns(rows: int, n: int) -> Array:
    """A zeroed (rows, n) float32 buffer."""
    buffer: Array = torch.zeros(rows, n).numpy()
    return buffer


def _flat(tensor: Tensor) -> Array:
    """All elements as lanes of one column, (elements, 1)."""
    view: Array = tensor.view(-1, 1).numpy()
    return view


class Pilot:
    """The policy in torch as a controller of `sims.loop`, for validation while it trains."""

    def __init__(self, kernel: Kernel, front: Front, weights: list[Tensor], contract: Contract | None = None) -> None:
        self._make, self._start = (kernel, front, weights), first_memory(front)
        self._contract = contract or kernel.task.contract
        self._pass: Pass | None = None

    def reset(self, n: int) -> None:
        kernel, front, weights = self._make
        self._last, self._memory = columns(self._contract.n_act, n), columns(len(self._start), n)
        self._last[:] = np.array(self._contract.initial_applied(), F32)[:, None]
        self._memory[:] = self._start
        self._pass = Pass(kernel, front, weights, n, self._last, self._memory, contract=self._contract)

    def step(self, observations: Array) -> Array:
        assert self._pass is not None, "reset comes first"
        self._pass.obs[:] = observations.T
        self._pass.forward()
        self._last[:] = self._pass.action
        self._memory[:] = self._pass.next_memory
        return self._last.T

    def set_applied(self, action: Array) -> None:
        """Something other than the last action was applied, (n, n_act)."""
        self._last[:] = action.T
