"""Networks with memory in torch, each with the nodes that compute the same step by step.

`memory(inputs, begins)` maps (batch, steps, n_in) to (batch, steps, n_out) from a state of zero, which it takes again
where `begins` (batch, steps) bool is true; `memory.nodes(source, kept)` are the nodes behind node `source`, whose
recalled values are multiplied by those of node `kept` (`cells.restart`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from tinyctl.cells import gru, lstm
from tinyctl.errors import TinyctlError
from tinyctl.layers.dense import Dense
from tinyctl.network import Node
from tinyctl.trainers.s5 import S5

Tensor = Any  # torch.Tensor


def memory(cell: str, n_in: int, width: int, steps: int) -> Any:
    """The memory called `cell` for sequences of about so many steps."""
    makers: dict[str, Callable[[], Any]] = {
        "lstm": lambda: Gated("lstm", n_in, width, steps),
        "gru": lambda: Gated("gru", n_in, width, steps),
        "s5": lambda: StateSpace(n_in, width),
    }
    return makers[cell]()


class Gated(nn.Module):  # type: ignore[misc]
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


class StateSpace(nn.Module):  # type: ignore[misc]
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
