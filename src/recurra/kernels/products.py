"""A cell's own learned matrices, which lie one after the other in one tensor, `Weights.products`."""

import math
from collections.abc import Callable
from functools import partial

from torch import Tensor
from torch.nn.functional import linear

from recurra.cells import Cell, Product
from recurra.errors import ShapeError

__all__ = ["fixed_matrix", "product_functions", "product_shapes", "unpacked_products"]


def product_shapes(cell: Cell, hidden_size: int) -> dict[str, tuple[int, ...]]:
    """The shapes of the parameters of a cell's products, by name and in the order in which they are packed."""
    shapes: dict[str, tuple[int, ...]] = {}
    for name, product in cell.products().items():
        if product.fixed is not None:
            continue
        rows = product.rows or hidden_size
        shapes[f"weight_{name}"] = (rows, product.columns or hidden_size)
        if product.bias is not None:
            shapes[f"bias_{name}"] = (rows,)
    return shapes


def unpacked_products(cell: Cell, packed: Tensor, hidden_size: int) -> dict[str, tuple[Tensor, Tensor | None]]:
    """The weight (rows, columns) and the bias (rows,) or None of each product, by its name, from all in one (N,)."""
    shapes = product_shapes(cell, hidden_size)
    parts = packed.split([math.prod(shape) for shape in shapes.values()])
    parameters = {name: part.view(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}
    products = cell.products()
    parameters |= {
        f"weight_{name}": fixed_matrix(product, hidden_size).to(packed)
        for name, product in products.items()
        if product.fixed is not None
    }
    return {name: (parameters[f"weight_{name}"], parameters.get(f"bias_{name}")) for name in products}


def fixed_matrix(product: Product, hidden_size: int) -> Tensor:
    """The matrix (rows, columns) of a product that is not learned, in float64."""
    if isinstance(product.fixed, Tensor):
        return product.fixed
    return product.fixed(hidden_size)  # type: ignore[no-any-return]


def product_functions(cell: Cell, packed: Tensor, hidden_size: int) -> dict[str, Callable[[Tensor], Tensor]]:
    """The products by name, each W v + b (B, rows) from v (B, columns)."""
    unpacked = unpacked_products(cell, packed, hidden_size)
    return {name: partial(_product, name, weight, bias) for name, (weight, bias) in unpacked.items()}


def _product(name: str, weight: Tensor, bias: Tensor | None, values: Tensor) -> Tensor:
    if values.shape[-1] != weight.shape[1]:
        expected = f"{weight.shape[1]} columns, as `products` of the cell says"
        raise ShapeError(f"argument of the product {name}", expected, f"{values.shape[-1]}")
    return linear(values, weight, bias)
