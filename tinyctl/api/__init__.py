"""The verbs: each a function from one record to the next. `tinyctl.train(...)`, `tinyctl.emit(...)` and so on.

    plant ──train──▶ Policy ──quantize──▶ Graph ──emit──▶ Unit ──build──▶ Image ──check──▶ TimingReport
                        └────────── fly: graph, C, emulated image or board ──┴──────▶ FlightReport

Packages that a verb needs beyond the core are imported when it is called.
"""

from __future__ import annotations

from tinyctl import archive, certificate, emitter
from tinyctl.api.common import DEFAULT_BOARD, FORMS, environment, plant, plant_of, require_train
from tinyctl.api.deploying import TOO_DEAR, build, build_with_platformio, check, flash, guard, quantize
from tinyctl.api.flying import (
    Flyable,
    failures,
    fly,
    fly_environment,
    fly_expert,
    flyable,
    frequency,
    hil,
    image_of,
    mine,
    studio_files,
)
from tinyctl.api.learning import (
    DEAREST_SPARSE,
    export_onnx,
    from_torch,
    import_policy,
    prune,
    sparsify,
    train,
    train_dynamics,
    train_environment,
)

certify = certificate.certify
load = archive.load
save = archive.save
emit = emitter.emit

__all__ = [
    "DEAREST_SPARSE",
    "DEFAULT_BOARD",
    "FORMS",
    "TOO_DEAR",
    "Flyable",
    "build",
    "build_with_platformio",
    "certify",
    "check",
    "emit",
    "environment",
    "export_onnx",
    "failures",
    "flash",
    "fly",
    "fly_environment",
    "fly_expert",
    "flyable",
    "frequency",
    "from_torch",
    "guard",
    "hil",
    "image_of",
    "import_policy",
    "load",
    "mine",
    "plant",
    "plant_of",
    "prune",
    "quantize",
    "require_train",
    "save",
    "sparsify",
    "studio_files",
    "train",
    "train_dynamics",
    "train_environment",
]
