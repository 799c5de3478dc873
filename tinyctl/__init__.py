"""Tiny learned controllers, from a laptop to a microcontroller: see `tinyctl.api` for the verbs."""

from tinyctl.api import (
    build,
    certify,
    check,
    emit,
    export_onnx,
    flash,
    fly,
    from_torch,
    guard,
    import_policy,
    load,
    mine,
    plant,
    prune,
    quantize,
    save,
    sparsify,
    train,
    train_dynamics,
)
from tinyctl.contract import Contract, Input, Output
from tinyctl.errors import TinyctlError
from tinyctl.graph import Graph
from tinyctl.policy import Policy
from tinyctl.version import VERSION

__version__ = VERSION

__all__ = [
    "Contract",
    "Graph",
    "Input",
    "Output",
    "Policy",
    "TinyctlError",
    "__version__",
    "build",
    "certify",
    "check",
    "emit",
    "export_onnx",
    "flash",
    "fly",
    "from_torch",
    "guard",
    "import_policy",
    "load",
    "mine",
    "plant",
    "prune",
    "quantize",
    "save",
    "sparsify",
    "train",
    "train_dynamics",
]
