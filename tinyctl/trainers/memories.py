"""Networks with memory in torch, each with the nodes that compute the same step by step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from tinyctl.cells import gru, lstm
from tinyctl.errors import TinyctlError
from tinyctl.layers.base import F32, Array
from tinyctl.layers.clip import Clip
from tinyctl.layers.dense import Dense
from tinyctl.network import Node
from tinyctl.trainers import reservoir
from tinyctl.trainers.convex import ConvexRnn
from tinyctl.trainers.s5 import S5
from tinyctl.trainers.shplrnn import ShallowPlrnn

REACH = 20.0  # of the scaled inputs: a shallow piecewise-linear network's state is bounded for no larger ones
CELLS = ("lstm", "gru", "s5", "shplrnn", "convex", "reservoir")
Tensor = Any  # torch.Tensor


class Memory(nn.Module):  # type: ignore[misc]
    """`memory(inputs, begins)` maps (batch, steps, n_in) to (batch, steps, width) from a state of zero, which it takes
    again where `begins` (batch, steps) bool is true. Its head is solved for where it is `free_head`."""

    free_head = True

    def nodes(self, source: str, kept: str | None = None) -> tuple[Node, ...]:
        """The nodes behind node `source`; what they recall is multiplied by the value of node `kept` (`restart`)."""
        raise NotImplementedError

    def prepare(self, inputs: Array) -> None:
        """Told, before the first gradient step, what comes in (steps, n_in)."""

    def project(self, head: Any) -> None:
        """Told after each gradient step, with the layer behind it."""


def memory(cell: str, n_in: int, width: int, steps: int) -> Memory:
    """The memory called `cell` for sequences of about so many steps."""
    makers: dict[str, Callable[[], Memory]] = {
        "lstm": lambda: Gated("lstm", n_in, width, steps),
        "gru": lambda: Gated("gru", n_in, width, steps),
        "s5": lambda: StateSpace(n_in, width),
        "shplrnn": lambda: Shallow(n_in, width),
        "convex": lambda: Convex(n_in, width),
        "reservoir": lambda: Fixed(n_in, width),
    }
    return makers[cell]()


class Gated(Memory):
    """An LSTM or a GRU; the LSTM's forget gates begin with times spread up to `steps` (Tallec and Ollivier, Can
    recurrent neural networks warp time?, 2018)."""

    def __init__(self, kind: str, n_in: int, n: int, steps: int) -> None:
        super().__init__()
        self.kind, self.cell = kind, getattr(nn, kind.upper())(n_in, n, batch_first=True)
        if kind == "lstm":
            with torch.no_grad():
                bias = torch.empty(n).uniform_(1, max(2, steps - 1)).log()
                self.cell.bias_hh_l0.zero_()
                self.cell.bias_ih_l0[: 2 * n] = torch.cat([-bias, bias])

    def forward(self, inputs: Tensor, begins: Tensor | None = None) -> Tensor:
        if begins is None or not begins[:, 1:].any():
            return self.cell(inputs)[0]
        return pieces(lambda x: self.cell(x)[0], inputs, begins)

    def nodes(self, source: str, kept: str | None = None) -> tuple[Node, ...]:
        w_x, w_h, b_x, b_h = (p.detach().numpy() for p in self.cell.parameters())
        if self.kind == "lstm":
            return lstm("lstm", source, w_x, w_h, b_x + b_h, kept=kept)
        return gru("gru", source, w_x, w_h, b_x, b_h, kept=kept)


class StateSpace(Memory):
    """A dense layer into a layer of S5 with half as many pairs of states as columns."""

    def __init__(self, n_in: int, n: int) -> None:
        super().__init__()
        self.encoder, self.layer = nn.Linear(n_in, n), S5(n, max(1, n // 2))

    def forward(self, inputs: Tensor, begins: Tensor | None = None) -> Tensor:
        return self.layer(self.encoder(inputs), begins)

    def nodes(self, source: str, kept: str | None = None) -> tuple[Node, ...]:
        if kept is not None:
            raise TinyctlError("an S5 starts anew with its controller only", fix="reset=none, or another cell")
        weight, bias = (p.detach().numpy().copy() for p in self.encoder.parameters())
        return (Node("encoder", Dense(weight, bias), (source,)), *self.layer.nodes("s5", "encoder"))


class Shallow(Memory):
    """A shallow piecewise-linear network with four bends a state."""

    def __init__(self, n_in: int, n: int) -> None:
        super().__init__()
        self.net = ShallowPlrnn(n, 4 * n, n_in)

    def forward(self, inputs: Tensor, begins: Tensor | None = None) -> Tensor:
        return self.net(inputs.clamp(-REACH, REACH), begins)

    def nodes(self, source: str, kept: str | None = None) -> tuple[Node, ...]:
        n_in = self.net.w_in.shape[1]
        clip = Node("reach", Clip(np.full(n_in, -REACH, F32), np.full(n_in, REACH, F32)), (source,))
        return (clip, *self.net.nodes("shplrnn", "reach", np.full(n_in, REACH), kept=kept))


class Convex(Memory):
    """The hidden layers of an input-convex network; the head stays positive, so the policy is convex too."""

    free_head = False

    def __init__(self, n_in: int, n: int) -> None:
        super().__init__()
        self.net = ConvexRnn(n_in, n, n)

    def forward(self, inputs: Tensor, begins: Tensor | None = None) -> Tensor:
        return self.net(inputs) if begins is None else pieces(self.net, inputs, begins)

    def nodes(self, source: str, kept: str | None = None) -> tuple[Node, ...]:
        return self.net.nodes(source, kept)

    def project(self, head: Any) -> None:
        self.net.project()
        head.weight.clamp_(min=0)


class Fixed(Memory):
    """A reservoir that has adapted to the first inputs; only the layer behind it is trained."""

    def __init__(self, n_in: int, n: int) -> None:
        super().__init__()
        self.config = reservoir.Config(units=n)
        self.made = reservoir.make(self.config, n_in, int(torch.randint(2**31, ())))

    def prepare(self, inputs: Array) -> None:
        self.made = reservoir.adapted(self.made, inputs, self.config)

    def forward(self, inputs: Tensor, begins: Tensor | None = None) -> Tensor:
        w, w_in, bias = (torch.from_numpy(a.astype(F32)) for a in self.made.weights())
        x, seen = torch.zeros(len(inputs), len(bias)), []
        for k in range(inputs.shape[1]):
            if begins is not None:
                x = x * ~begins[:, k, None]
            x = (1 - self.made.leak) * x + self.made.leak * torch.sigmoid(x @ w.T + inputs[:, k] @ w_in.T + bias)
            seen.append(x)
        return torch.stack(seen, dim=1)

    def nodes(self, source: str, kept: str | None = None) -> tuple[Node, ...]:
        return self.made.nodes("reservoir", source, kept)


def pieces(run: Callable[[Tensor], Tensor], inputs: Tensor, begins: Tensor) -> Tensor:
    """`run` on each piece of the sequences (batch, steps, columns), which end where another one begins: they stand
    below each other, filled up with zeros to the longest."""
    batch, steps = inputs.shape[:2]
    first = torch.ones(batch, 1, dtype=torch.bool)
    starts = torch.cat([first, begins[:, 1:]], dim=1).flatten().nonzero()[:, 0]
    piece = torch.cumsum(torch.zeros(batch * steps, dtype=torch.long).index_fill(0, starts, 1), 0) - 1
    place = torch.arange(batch * steps) - starts[piece]
    laid = torch.zeros(len(starts), int(place.max()) + 1, inputs.shape[2])
    laid = laid.index_put((piece, place), inputs.flatten(0, 1))
    return run(laid)[piece, place].unflatten(0, (batch, steps))
