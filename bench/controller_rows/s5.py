"""S5 against a GRU of the same width: its scan against its steps, cycles on the board, and the time of a gradient."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
import torch

from controller_rows import Figure, timed
from tinyctl.cells import gru
from tinyctl.contract import Contract, Input, Output
from tinyctl.layers.base import F32
from tinyctl.layers.clip import Clip
from tinyctl.layers.screen import Screen
from tinyctl.network import Node
from tinyctl.policy import Policy
from tinyctl.trainers.s5 import S5
from tinyctl.trainers.threads import one_thread

WIDTH, PAIRS, LENGTH, BATCH, REPEATS = 64, 32, 1024, 4, 5
FURTHEST, SHARE, FASTER = 1e-5, 0.5, 5.0


@one_thread()
def figures() -> Iterator[Figure]:
    torch.manual_seed(0)
    layer, gated = S5(WIDTH, PAIRS), torch.nn.GRU(WIDTH, WIDTH, batch_first=True)
    state_space = _policy(layer.nodes("s5", "screen"))
    off = _difference(layer, state_space)
    yield Figure("scan from steps, largest difference", f"{off:.1e}", f"at most {FURTHEST:g}", off <= FURTHEST)
    recurrent = _policy(gru("gru", "screen", *(p.detach().numpy() for p in gated.parameters())))
    ours, theirs = (timed(policy).cycles_worst for policy in (state_space, recurrent))
    share = ours / theirs
    yield Figure("cycles of a step over GRU's", f"{ours:,} / {theirs:,} = {share:.4f}", f"at most {SHARE:g}",
                 share <= SHARE)  # fmt: skip
    u = torch.randn(BATCH, LENGTH, WIDTH)
    slow, fast = _seconds(lambda: gated(u)[0]), _seconds(lambda: layer(u))
    yield Figure(f"gradients a second over GRU's, {BATCH} sequences of {LENGTH}", f"{slow / fast:.1f}",
                 f"at least {FASTER:g}", slow / fast >= FASTER)  # fmt: skip


def _policy(cell: tuple[Node, ...]) -> Policy:
    contract = Contract(
        tuple(Input(f"x{i}", "1", "", -4.0, 4.0) for i in range(WIDTH)),
        tuple(Output(f"y{i}", "1", "", -20.0, 20.0) for i in range(WIDTH)),
        100.0,
    )
    ends = Node("screen", Screen.of(contract), ()), Node("clip", Clip.of(contract), (cell[-1].name,))
    return Policy(contract, (ends[0], *cell, ends[1]))


def _difference(layer: S5, policy: Policy) -> float:
    """The largest between chunks in torch and the graph's steps, with resets."""
    u = torch.randn(2, LENGTH, WIDTH).clamp(-4, 4)
    begins = torch.rand(2, LENGTH) < 0.005
    with torch.no_grad():
        expected = layer(u, begins).numpy()
    state, most = policy.init(2), 0.0
    for k in range(LENGTH):
        state = policy.reset(state, begins[:, k].numpy())
        act, state = policy.run(u[:, k].numpy().astype(F32), state)
        most = max(most, float(np.abs(act - expected[:, k]).max()))
    return most


def _seconds(run: Callable[[], torch.Tensor]) -> float:
    """Processor time of a forward and a backward pass, the median of some."""
    taken = []
    for _ in range(REPEATS + 1):
        start = time.process_time()
        run().square().mean().backward()
        taken.append(time.process_time() - start)
    return float(np.median(taken[1:]))
