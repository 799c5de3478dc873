"""Products, float32: straight-line code without tables."""

from tinyctl.contract import Contract
from tinyctl.kernels.base import Kernel
from tinyctl.layers.products import Products, ProductsLayer


def kernel(layer: Products, contract: Contract) -> Kernel:
    return Kernel((), {"pairs": factors(layer)})


def factors(layer: ProductsLayer) -> list[tuple[str, str]]:
    """The two factors of each product: columns of the input, or earlier ones of the result."""

    def column(i: int) -> str:
        return f"{'x' if i < layer.width else 'y'}[{i}]"

    return [(column(a), column(b)) for a, b in layer.pairs]
