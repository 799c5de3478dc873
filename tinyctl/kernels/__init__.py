"""Kernels, found by listing this folder: `screen_f32.py` serves screen nodes in the format f32, with the template
`codegen/kernels/screen_f32.c.j2`; `dense_csr_f32.py` dense nodes stored in compressed rows. Each file has one function
`kernel(layer, contract) -> Kernel`."""

from __future__ import annotations

import sys

from tinyctl.contract import Contract
from tinyctl.errors import TinyctlError
from tinyctl.folders import modules
from tinyctl.kernels.base import Kernel
from tinyctl.layers.dense import storage_of
from tinyctl.network import Node

KERNELS = modules(sys.modules[__name__])


def kernel_name(node: Node) -> str:
    """The file name, without ending, of the kernel and template of a node; raises `TinyctlError` when there is none."""
    stem = node.layer.kind.removeprefix("integer_").removeprefix("byte_")
    storage = storage_of(node.layer)
    name = f"{stem}_{node.format}" if storage in (None, "dense") else f"{stem}_{storage}_{node.format}"
    if name not in KERNELS:
        raise TinyctlError(f"there is no C kernel {name}", where=f"node {node.name}")
    return name


def kernel(node: Node, contract: Contract) -> Kernel:
    """The constants and helpers of one node's C function."""
    made: Kernel = KERNELS[kernel_name(node)].kernel(node.layer, contract)
    return made
