"""`tinyctl import`: a network that was trained elsewhere becomes a policy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tinyctl import api
from tinyctl.cli.base import Json, as_json, people, results, table


def command(
    file: Path,
    contract: Annotated[Path | None, typer.Option(help="contract.toml: what the columns mean.")] = None,
    rate_hz: Annotated[float | None, typer.Option(help="Control rate, where no contract tells it.")] = None,
    layers: Annotated[
        str | None, typer.Option(help="Layers of a state_dict in order: dense,tanh,dense,tanh,dense.")
    ] = None,
    output: Annotated[str | None, typer.Option(help="The action, where an ONNX file has several outputs.")] = None,
    normalize: Annotated[
        Path | None, typer.Option(help="mean, var and clip of the observations' normaliser: .npz or .json.")
    ] = None,
    no_normalize: Annotated[
        bool, typer.Option("--no-normalize", help="The network was trained on raw observations.")
    ] = False,
    joint_targets: Annotated[
        bool,
        typer.Option("--joint-targets", help="Isaac Lab, mjlab: default_joint_pos + action_scale * action."),
    ] = False,
    out: Annotated[Path, typer.Option()] = Path("policy.tctl"),
    as_object: Json = False,
) -> None:
    """Import a trained network: ONNX, PyTorch, CleanRL, Stable-Baselines3, Keras, TensorFlow Lite, rl-tools."""
    made = api.import_policy(
        file,
        contract=contract,
        rate_hz=rate_hz,
        layers=tuple(layers.replace(" ", "").split(",")) if layers else (),
        output=output,
        normalize=normalize,
        unnormalized=no_normalize,
        joint_targets=joint_targets,
    )
    api.save(made.policy, out)
    for warning in made.warnings:
        people.print(f"warning: {warning}", style="yellow", markup=False, highlight=False)
    for note in made.notes:
        people.print(f"note: {note}", markup=False, highlight=False)
    policy = made.policy
    if as_object:
        record = {
            "schema": 1,
            "source": made.source,
            "kind": policy.kind,
            "contract_hash": policy.contract.hash,
            "graph_hash": policy.hash,
            "layers": [node.layer.kind for node in policy.nodes],
            "warnings": list(made.warnings),
            "notes": list(made.notes),
        }
        print(as_json(record))
        return
    rows = [
        ("source", made.source),
        ("columns", f"{len(policy.contract.inputs)} in, {policy.contract.n_act} out, {policy.contract.rate_hz:g} Hz"),
        ("layers", ", ".join(node.layer.kind for node in policy.nodes)),
        (policy.kind, str(out)),
    ]
    results.print(table(f"Imported {file.name}", rows))
