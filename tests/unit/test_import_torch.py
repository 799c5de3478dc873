"""PyTorch files: equal to the module, CleanRL's actors with their normaliser, hostile pickles refused."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import tinyctl
from tinyctl.contract import Contract, Input, Output
from tinyctl.errors import TinyctlError
from tinyctl.importers import Imported, Request, read
from tinyctl.importers.parts.normalizer import Normalizer
from tinyctl.layers.base import Array
from tinyctl.network import Network

RNG = np.random.default_rng(3)


@pytest.fixture(scope="module", autouse=True)
def torch(require_package: Callable[[str], ModuleType]) -> Any:
    found: Any = require_package("torch")
    found.manual_seed(0)
    return found


def run(network: Network, x: Array) -> Array:
    return network.run(x, network.init(len(x)))[0]


def saved(torch: Any, path: Path, value: Any, **extra: Any) -> Imported:
    torch.save(value, path)
    return read(Request(path, **{"rate_hz": 50.0, **extra}))


def there(torch: Any, module: Any, x: Array) -> Array:
    with torch.no_grad():
        return np.asarray(module(torch.from_numpy(x)))


def test_a_sequential_equals_torch(tmp_path: Path, torch: Any) -> None:
    nn = torch.nn
    net = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 8, bias=False), nn.Tanh(), nn.Linear(8, 3))
    policy = saved(
        torch, tmp_path / "net.pt", net.state_dict(), layers=("dense", "relu", "dense", "tanh", "dense")
    ).policy
    x = RNG.standard_normal((1000, 6)).astype(np.float32)
    np.testing.assert_allclose(run(policy, x), there(torch, net, x), atol=2e-6)


def ppo(torch: Any) -> tuple[dict[str, Any], Any]:
    """What CleanRL's ppo_continuous_action.py saves, and the actor's mean."""
    nn = torch.nn
    actor = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 2))
    critic = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 1))
    agent = nn.ModuleDict({"critic": critic, "actor_mean": actor})
    return {**agent.state_dict(), "actor_logstd": torch.zeros(1, 2)}, actor


def test_cleanrl_ppo_wants_its_normaliser(tmp_path: Path, torch: Any) -> None:
    state, actor = ppo(torch)
    path = tmp_path / "ppo.cleanrl_model"
    with pytest.raises(TinyctlError, match="does not save the statistics; give --normalize"):
        saved(torch, path, state)
    x = (5 * RNG.standard_normal((1000, 4))).astype(np.float32)
    plain = saved(torch, path, state, unnormalized=True).policy
    np.testing.assert_allclose(run(plain, x), there(torch, actor, x), atol=2e-6)
    normalizer = Normalizer(RNG.standard_normal(4), RNG.uniform(0.1, 2, 4), clip=1.5)
    policy = saved(torch, path, state, normalizer=normalizer).policy
    seen = np.clip((x - normalizer.mean) / np.sqrt(normalizer.var + 1e-8), -1.5, 1.5).astype(np.float32)
    np.testing.assert_allclose(run(policy, x), there(torch, actor, seen), atol=5e-6)
    with pytest.raises(TinyctlError, match="normaliser has 3 columns, the network 4"):
        saved(torch, path, state, normalizer=Normalizer(np.zeros(3), np.ones(3)))


@pytest.mark.parametrize(("last", "source"), [("fc_mu", "CleanRL TD3 or DDPG"), ("fc_mean", "CleanRL SAC")])
def test_cleanrl_squashed_actors(tmp_path: Path, torch: Any, last: str, source: str) -> None:
    nn = torch.nn
    layers = {"fc1": nn.Linear(3, 8), "fc2": nn.Linear(8, 8), last: nn.Linear(8, 2)}
    state = {f"{n}.{k}": v for n, layer in layers.items() for k, v in layer.state_dict().items()}
    state |= {"action_scale": torch.tensor([2.0, 0.5]), "action_bias": torch.tensor([1.0, 0.0])}
    if last == "fc_mean":
        state |= {"fc_logstd.weight": torch.zeros(2, 8), "fc_logstd.bias": torch.zeros(2)}
    found = saved(torch, tmp_path / "a.cleanrl_model", (state, {}, {}))
    assert found.source == source
    x = RNG.standard_normal((500, 3)).astype(np.float32)
    chain = nn.Sequential(layers["fc1"], nn.ReLU(), layers["fc2"], nn.ReLU(), layers[last], nn.Tanh())
    wanted = there(torch, chain, x) * np.array([2.0, 0.5]) + np.array([1.0, 0.0])
    np.testing.assert_allclose(run(found.policy, x), wanted, atol=3e-6)
    assert [(s.low, s.high) for s in found.policy.contract.outputs] == [(-1.0, 3.0), (-0.5, 0.5)]


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ((), "give --layers"),
        (("dense",), "layer list has 1 layers with weights .*, the file 2"),
        (("dense", "gelu", "dense"), "gelu is not a layer"),
        (("dense", "*/\n", "dense"), "is not a layer"),
    ],
)
def test_the_layer_list_must_fit(tmp_path: Path, torch: Any, layers: tuple[str, ...], message: str) -> None:
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 1))
    with pytest.raises(TinyctlError, match=message):
        saved(torch, tmp_path / "net.pt", net.state_dict(), layers=layers)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda t: t.nn.Linear(3, 1), "holds more than tensors"),
        (lambda t: {"a.weight": t.zeros(1).expand(2**40)}, "too many"),
        (lambda t: {"a.weight": t.zeros(2, 3, 4)}, "is no weight"),
        (lambda t: {"rnn.weight_ih_l0": t.zeros(2, 3)}, "without both weights"),
        (lambda t: {"a.weight": t.full((2, 3), float("nan"))}, "not finite"),
        (lambda t: {"a.weight": t.zeros(2, 3), "a.bias": t.zeros(3)}, "does not fit"),
        (lambda t: {"a.weight": "*/"}, "not a plain tensor"),
        (lambda t: {7: t.zeros(1)}, "not a string"),
        (lambda t: [[[[]]]], "not a state_dict"),
        (lambda t: {"n": t.zeros(1, dtype=t.int64)}, "no linear layer inside"),
        (lambda t: {"s.weight": t.zeros(2, 3).to_sparse()}, "not a plain tensor"),
    ],
)
def test_what_is_not_a_small_state_dict_is_refused(
    tmp_path: Path, torch: Any, make: Callable[[Any], Any], message: str
) -> None:
    with pytest.raises(TinyctlError, match=message) as raised:
        saved(torch, tmp_path / "net.pt", make(torch), layers=("dense",))
    assert str(raised.value).isprintable()


class Bomb:
    """Makes a file when unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.target),)


def test_no_pickle_is_run(tmp_path: Path, torch: Any) -> None:
    with pytest.raises(TinyctlError, match="holds more than tensors"):
        saved(torch, tmp_path / "net.pt", {"a.weight": Bomb(tmp_path / "owned")})
    (tmp_path / "raw.pt").write_bytes(pickle.dumps(Bomb(tmp_path / "owned")))
    with pytest.raises(TinyctlError, match=r"not a file of torch\.save"):
        read(Request(tmp_path / "raw.pt", rate_hz=1.0))
    assert not (tmp_path / "owned").exists()


def test_nested_sharing_is_not_walked(tmp_path: Path, torch: Any) -> None:
    """2^60 leaves by reference: whoever looks at them all never ends."""
    value: Any = []
    for _ in range(60):
        value = [value, value]
    with pytest.raises(TinyctlError, match=r"not a plain tensor|not a state_dict"):
        saved(torch, tmp_path / "net.pt", {"a.weight": value})


@pytest.mark.filterwarnings("ignore")  # of torch.export about itself
@pytest.mark.parametrize("batch", ["one", "dynamic"])
def test_an_exported_program_equals_its_module(tmp_path: Path, torch: Any, batch: str) -> None:
    actor = (
        normalized_actor(torch).eval()
        if batch == "one"
        else torch.nn.Sequential(
            torch.nn.Linear(5, 8), torch.nn.ELU(0.5), torch.nn.Linear(8, 3), torch.nn.Hardtanh(-0.5, 2.0)
        )
    )
    shapes = None if batch == "one" else ({0: torch.export.Dim("n", min=1, max=64)},)
    first = torch.zeros(1 if batch == "one" else 2, 5)
    torch.export.save(torch.export.export(actor, (first,), dynamic_shapes=shapes), tmp_path / "actor.pt2")
    found = read(Request(tmp_path / "actor.pt2", rate_hz=50.0))
    assert found.source == "PyTorch program"
    x = (3 * RNG.standard_normal((200, 5))).astype(np.float32)
    wanted = np.concatenate([there(torch, actor, row[None]) for row in x])
    np.testing.assert_allclose(run(found.policy, x), wanted, atol=5e-6)


@pytest.mark.filterwarnings("ignore")
def test_programs_that_are_more_than_a_network_are_refused(tmp_path: Path, torch: Any) -> None:
    path = tmp_path / "net.pt2"
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.LayerNorm(4))
    torch.export.save(torch.export.export(net, (torch.zeros(1, 3),)), path)
    with pytest.raises(TinyctlError, match=r"node layer_norm: .* is not read; these are"):
        read(Request(path, rate_hz=1.0))
    torch.export.save(torch.export.export(torch.nn.Linear(3, 4), (torch.zeros(2, 3),)), path)
    with pytest.raises(TinyctlError, match="input input: a batch of 2; export with a batch of 1"):
        read(Request(path, rate_hz=1.0))
    path.write_bytes(b"")
    with pytest.raises(TinyctlError, match="not a zip file"):
        read(Request(path, rate_hz=1.0))


def test_a_zip_that_unfolds_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\0" * (80 << 20))
    with pytest.raises(TinyctlError, match="unfolds"):
        read(Request(path, rate_hz=1.0))


def box(n_in: int, n_out: int) -> Contract:
    return Contract(
        tuple(Input(f"x{i}", "1", "", -50.0, 50.0) for i in range(n_in)),
        tuple(Output(f"u{i}", "1", "", -1.5, 1.5) for i in range(n_out)),
        100.0,
    )


def normalized_actor(torch: Any) -> Any:
    """A module with buffers, constants, arithmetic in both orders, a parameter that is computed, and plumbing."""
    nn = torch.nn

    class Actor(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("mean", torch.randn(5))
            self.log_std = nn.Parameter(torch.randn(5) / 3)
            self.net = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 8), nn.Tanh())
            self.out = nn.Linear(8, 2, bias=False)

        def forward(self, x: Any) -> Any:
            seen = torch.clamp((x - self.mean) / self.log_std.exp(), -4, 4)
            y = torch.tanh(self.out(self.net(seen)).reshape(1, 2, 1).flatten(1))
            return 0.25 - nn.functional.hardtanh(2.0 * -y)

    return Actor()


def test_a_module_of_this_process(torch: Any) -> None:
    actor = normalized_actor(torch)
    policy = tinyctl.from_torch(actor, box(5, 2))
    assert actor.training
    actor.eval()
    x = (3 * RNG.standard_normal((200, 5))).astype(np.float32)
    wanted = np.concatenate([there(torch, actor, row[None]) for row in x])
    np.testing.assert_allclose(run(policy, x), np.clip(wanted, -1.5, 1.5), atol=5e-6)


def test_modules_that_are_more_than_a_network_are_refused(torch: Any) -> None:
    nn = torch.nn
    with pytest.raises(TinyctlError, match="layer_norm"):
        tinyctl.from_torch(nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4)), box(3, 4))
    with pytest.raises(TinyctlError, match="softplus"):
        tinyctl.from_torch(nn.Sequential(nn.Linear(3, 4), nn.Softplus()), box(3, 4))
    with pytest.raises(TinyctlError, match="cannot trace it for 2 inputs"):
        tinyctl.from_torch(nn.Linear(3, 4), box(2, 4))
    with pytest.raises(TinyctlError, match="contract has 3 outputs, the module 4"):
        tinyctl.from_torch(nn.Linear(3, 4), box(3, 3))
