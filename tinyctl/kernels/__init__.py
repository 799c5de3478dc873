"""Kernels, found by listing this folder: `screen_f32.py` serves screen nodes in the format f32, with the template
`codegen/kernels/screen_f32.c.j2`; `dense_csr_f32.py` dense nodes stored in compressed rows. Where no kernel has the
name of the format, one may have that of its activation type (`tanh_a16.py`, `tanh_a8.py`) or serve all integers
(`clip_int.py`). Each file has one function `kernel(layer, contract) -> Kernel`."""

from __future__ import annotations

import sys

from tinyctl.contract import Contract
from tinyctl.errors import TinyctlError
from tinyctl.folders import modules
from tinyctl.formats import find_format
from tinyctl.kernels.base import Kernel
from tinyctl.layers.dense import storage_of
from tinyctl.network import Node

KERNELS = modules(sys.modules[__name__])


def kernel_name(node: Node) -> str:
    """The file name, without ending, of the kernel and template of a node; raises `TinyctlError` when there is none."""
    word = node.layer.kind.removeprefix("integer_").removeprefix("byte_")
    if storage_of(node.layer) not in (None, "dense"):
        word += f"_{storage_of(node.layer)}"
    suffixes = {"float32": (), "int16": ("a16", "int"), "int8": ("a8", "int")}[find_format(node.format).activation]
    names = [f"{word}_{suffix}" for suffix in (node.format, *suffixes)]
    for name in names:
        if name in KERNELS:
            return name
    raise TinyctlError(f"there is no C kernel {' or '.join(names)}", where=f"node {node.name}")


def kernel(node: Node, contract: Contract) -> Kernel:
    """The constants and helpers of one node's C function."""
    made: Kernel = KERNELS[kernel_name(node)].kernel(node.layer, contract)
    return made
