"""Few-step flow policies on the cart-pole's swing-up: three steps from the last period's actions, beside all ten."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

import tinyctl
from controller_rows import Figure, cost, kept_policy, returns, swing_up_net
from tinyctl.policy import Policy
from tinyctl.trainers.flow import Config, train

WORTH = 0.95
SOURCES = ["sims/plants/cartpole.py", "tinyctl/trainers/flow.py", "tinyctl/trainers/imitate.py"]


def figures() -> Iterator[Figure]:
    plant, net = tinyctl.plant("cartpole"), swing_up_net()
    with tempfile.TemporaryDirectory() as scratch:
        teacher = Path(scratch) / "net.tctl"
        tinyctl.save(net, teacher)
        warm = Config(teacher=str(teacher))
        whole = replace(warm, steps=warm.whole)

        def made_by(config: Config) -> Policy:
            lasting = replace(config, teacher=net.hash)
            return kept_policy(f"flow-{config.steps}", lambda: train(plant, config=config).policy, lasting, SOURCES)

        few, all_ = made_by(warm), made_by(whole)
    least, most = (float(np.median(returns(policy, plant))) for policy in (few, all_))
    yield Figure(f"median return of {warm.steps} warm steps over that of {warm.whole}", f"{least:.3f} / {most:.3f} = "
                 f"{least / most:.3f}", f"at least {WORTH}", least >= WORTH * most)  # fmt: skip
    yield Figure("the network's own", f"{float(np.median(returns(net, plant))):.3f}")
    yield Figure(f"{warm.steps} steps on the board", cost(few))
    yield Figure(f"{warm.whole} steps on the board", cost(all_))
