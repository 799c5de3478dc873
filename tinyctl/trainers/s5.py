"""S5 in torch: a diagonal state space model whose sequences are computed side by side, resets included.

The recurrence x_k = (1 - r_k) f x_{k-1} + b_k, with r_k = 1 where a sequence begins anew, is cut into about sqrt(T)
chunks that are stepped together, each from zero; then the state at each chunk's start is carried through. Its gradient
is the same recurrence backwards. Equations, initial values and resets: Smith et al., Simplified State Space Layers for
Sequence Modeling, 2023, and Lu et al., Structured State Space Models for In-Context Reinforcement Learning, 2023.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import nn

from tinyctl.cells import s5
from tinyctl.layers.base import Array
from tinyctl.network import Node

FASTEST, SLOWEST = 1e-1, 1e-3  # steps of the discretisation, in control periods
Tensor = Any  # torch.Tensor


class S5(nn.Module):  # type: ignore[misc]
    """A layer of `n` columns with `pairs` conjugate pairs of states, gated and bypassed (`cells.s5`)."""

    def __init__(self, n: int, pairs: int) -> None:
        super().__init__()
        poles, basis = legs(pairs)
        self.decay = nn.Parameter(torch.from_numpy(np.log(-poles.real)))
        self.turn = nn.Parameter(torch.from_numpy(poles.imag.copy()))
        self.log_step = nn.Parameter(torch.empty(pairs).uniform_(math.log(SLOWEST), math.log(FASTEST)))
        w_in = torch.randn(2 * pairs, n) / math.sqrt(n)
        w_out = torch.randn(n, 2 * pairs) / math.sqrt(2 * pairs)
        onto = torch.from_numpy(basis)
        self.w_in = nn.Parameter(torch.view_as_real(onto.conj().T @ w_in.to(onto.dtype)).clone())
        self.w_out = nn.Parameter(torch.view_as_real(w_out.to(onto.dtype) @ onto).clone())
        self.direct = nn.Parameter(torch.randn(n))
        self.gate = nn.Linear(n, n)

    def discrete(self) -> tuple[Tensor, Tensor]:
        """The factor (pairs,) and the input weights (pairs, n), complex, after zero-order hold."""
        poles = torch.complex(-torch.exp(self.decay), self.turn)
        factor = torch.exp(poles * torch.exp(self.log_step))
        return factor, ((factor - 1) / poles)[:, None] * torch.view_as_complex(self.w_in)

    def forward(self, u: Tensor, begins: Tensor | None = None) -> Tensor:
        """(batch, steps, n) to the same; the state starts anew where `begins` (batch, steps) bool says so."""
        factor, w_in = self.discrete()
        driven = torch.complex(u @ w_in.real.T, u @ w_in.imag.T)
        state = scan(factor, driven, begins)
        w_out = torch.view_as_complex(self.w_out)
        value = 2 * (state.real @ w_out.real.T - state.imag @ w_out.imag.T) + self.direct * u
        return u + value * torch.sigmoid(self.gate(value))

    def nodes(self, name: str, source: str) -> tuple[Node, ...]:
        """The layer as nodes of a network, discretised."""
        with torch.no_grad():
            factor, w_in = self.discrete()
            parts = (factor, w_in, torch.view_as_complex(self.w_out), self.direct, self.gate.weight, self.gate.bias)
            return s5(name, source, *(part.numpy().copy() for part in parts))


def legs(pairs: int) -> tuple[Array, Array]:
    """The poles (pairs,) with positive imaginary part of the normal part of HiPPO-LegS of twice the size, complex64,
    and their eigenvectors (2 pairs, pairs)."""
    root = np.sqrt(np.arange(2 * pairs) + 0.5)
    lower = np.tril(np.outer(root, root), -1)
    values, vectors = np.linalg.eigh(-1j * (lower.T - lower))  # skew-symmetric; with it -1/2 on the diagonal
    upper = values > 0
    return (-0.5 + 1j * values[upper]).astype(np.complex64), vectors[:, upper].astype(np.complex64)


def scan(factor: Tensor, driven: Tensor, begins: Tensor | None = None) -> Tensor:
    """The states x (batch, steps, p) of x_k = f x_{k-1} + `driven`_k from zero, with f = 0 where it `begins`."""
    batch, steps, _ = driven.shape
    keeps = torch.ones(batch, steps) if begins is None else (~begins).to(torch.float32)
    return _Scan.apply(factor, driven, keeps)


class _Scan(torch.autograd.Function):  # type: ignore[misc]
    @staticmethod
    def forward(ctx: Any, factor: Tensor, driven: Tensor, keeps: Tensor) -> Tensor:
        x = _chunked(factor, driven, keeps)
        ctx.save_for_backward(factor, keeps, x)
        return x

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, Tensor, None]:
        factor, keeps, x = ctx.saved_tensors
        # g_k + conj(f) keeps_{k+1} G_{k+1}: the recurrence from the last step to the first
        later = torch.cat([torch.zeros_like(keeps[:, :1]), keeps[:, 1:].flip(1)], dim=1)
        total = _chunked(factor.conj(), g.flip(1), later).flip(1)
        to_factor = (total[:, 1:] * x[:, :-1].conj() * keeps[:, 1:, None]).sum(dim=(0, 1))
        return to_factor, total, None


def _chunked(factor: Tensor, driven: Tensor, keeps: Tensor) -> Tensor:
    batch, steps, p = driven.shape
    length = math.isqrt(steps - 1) + 1  # of a chunk
    chunks = -(-steps // length)
    room = chunks * length - steps
    # (length, batch, chunks, p): what is stepped together lies together
    b = nn.functional.pad(driven, (0, 0, 0, room)).view(batch, chunks, length, p).permute(2, 0, 1, 3).contiguous()
    kept = nn.functional.pad(keeps, (0, room)).view(batch, chunks, length).permute(2, 0, 1)[..., None]
    a = factor * kept
    since = torch.cumprod(kept, dim=0) * factor.pow(torch.arange(1, length + 1)[:, None])[:, None, None]
    for k in range(1, length):
        b[k].addcmul_(a[k], b[k - 1])
    start = torch.zeros_like(b[0])
    for c in range(1, chunks):
        start[:, c] = b[-1, :, c - 1] + since[-1, :, c - 1] * start[:, c - 1]
    b.addcmul_(since, start)
    return b.permute(1, 2, 0, 3).reshape(batch, chunks * length, p)[:, :steps]
