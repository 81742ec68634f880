"""The parameters of one layer in one direction: their names, shapes and first values."""

import math
from collections.abc import Iterable
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor, nn

from recurra.cells import Cell, Gates, PerUnit, State
from recurra.codegen import trace
from recurra.errors import CellError, InPlaceError, ParameterError, ShapeError
from recurra.kernels import BACKENDS, Weights, fixed_matrix, product_functions, product_shapes
from recurra.layers.torch_words import check_projection, check_size
from recurra.shapes import check_positive, check_probability

__all__ = [
    "as_weights",
    "check_backend",
    "check_cell",
    "check_elapsed_size",
    "check_zoneout",
    "first_value_of_product",
    "first_values",
    "parameter_shapes",
    "parameters_by_name",
    "state_sizes",
    "weight_shapes",
]


def check_cell(cell: Cell, input_size: int, hidden_size: int, proj_size: int) -> None:
    """Refuse a cell whose options are not fields or that changes its arguments, and sizes that do not fit it.

    Raises:
        ParameterError: naming the parameter.
        InPlaceError: naming the line.
        CellError: naming the part of the state that the equations give another width.
        ShapeError: naming the product whose argument has another width.
    """
    if not isinstance(cell, Cell):
        raise ParameterError("cell", "a Cell such as recurra.cells.LSTM()", cell)
    if others := vars(cell).keys() - {field.name for field in fields(cell)}:
        expected = "options that are fields: @dataclass(frozen=True) over the class, and a line as `scale: float = 1.0`"
        raise ParameterError(f"{type(cell).__name__}.{min(others)}", expected, vars(cell)[min(others)])
    check_size("input_size", input_size)
    check_size("hidden_size", hidden_size)
    _check_products(cell, hidden_size)
    _check_own_sizes(cell)
    try:
        trace(cell)
        compiled = True
    except InPlaceError:
        raise
    except CellError:
        compiled = False  # it runs on the reference kernel, and a warning is logged
    if cell.output_nonlinearity is None:
        check_projection(proj_size, hidden_size)
    else:
        check_positive("proj_size", proj_size, at_least=0)
    if hidden_size % cell.heads:
        raise ParameterError("hidden_size", f"a multiple of the cell's {cell.heads} heads", hidden_size)
    if not compiled or cell.products() or cell.widths():  # other equations work by unit: each part of their state has H
        _check_widths(cell, hidden_size)
    if not proj_size and cell.output_nonlinearity is None:
        return
    if cell.recurrence not in ("dense", "none") or cell.second_stage_gates or cell.products() or cell.widths():
        reason = f"as the recurrent weights of {cell!r} read its units"
    elif _reads_output(cell):
        reason = f"as {cell!r} mixes its last output with its gates"
    else:
        return
    if proj_size:
        raise ParameterError("proj_size", f"0, {reason}", proj_size)
    raise ParameterError("cell", f"no output_nonlinearity, {reason}", cell)


def check_backend(backend: str) -> None:
    """Refuse what is not the name of a backend.

    Raises:
        ParameterError: naming the backends.
    """
    if backend not in BACKENDS:
        raise ParameterError("backend", f"one of {', '.join(BACKENDS)}", backend)


def check_zoneout(cell: Cell, zoneout: float | tuple[float, ...]) -> tuple[float, ...]:
    """The probability for each part of the state.

    Raises:
        ParameterError: if `zoneout` is neither one probability nor one for each part.
    """
    probabilities = tuple(zoneout) if isinstance(zoneout, tuple | list) else (zoneout,) * len(cell.state)
    if len(probabilities) != len(cell.state):
        raise ParameterError("zoneout", f"one number, or one for each of {', '.join(cell.state)}", zoneout)
    for probability in probabilities:
        check_probability("zoneout", probability)
    return tuple(map(float, probabilities))


def check_elapsed_size(cell: Cell, elapsed_size: int) -> None:
    """Refuse a number of times that the cell does not read.

    Raises:
        ParameterError: if it is not a positive number, or not 1 for a cell that reads one time.
    """
    check_size("elapsed_size", elapsed_size)
    if elapsed_size > 1 and cell.elapsed != "weighted":
        reason = "reads one time" if cell.elapsed == "same" else "does not read the time"
        raise ParameterError("elapsed_size", f"1, as {cell!r} {reason}", elapsed_size)


def parameter_shapes(
    cell: Cell, input_size: int, hidden_size: int, bias: bool, proj_size: int, elapsed_size: int = 1
) -> dict[str, tuple[int, ...]]:
    """The shape of each parameter of a layer by name, in torch's order; those of a weighted time follow.

    A gate that does not read the input has no rows in the input weights, and the time no rows in the recurrent weights.
    """
    rows = {
        "ih": sum(cell.sizes(cell.input_gates(), hidden_size)),
        "hh": sum(cell.sizes(cell.recurrent_gates(), hidden_size)),
    }
    shapes = {
        name: (rows.get(name.partition("_")[2], shape[0]), *shape[1:])
        for name, shape in weight_shapes(cell, input_size, hidden_size, bias, proj_size).items()
    }
    if cell.elapsed == "weighted":
        shapes["weight_eh"] = (hidden_size, elapsed_size)
        if bias:
            shapes["bias_eh"] = (hidden_size,)
    return shapes


def weight_shapes(
    cell: Cell, input_size: int, hidden_size: int, bias: bool, proj_size: int
) -> dict[str, tuple[int, ...]]:
    """The shape of each weight that a kernel reads by name, in torch's order."""
    rows, size = sum(cell.sizes(cell.gates, hidden_size)), proj_size or hidden_size
    columns = {"dense": size, "block_diagonal": hidden_size // cell.heads, "diagonal": 1, "none": 0}[cell.recurrence]
    projects = proj_size > 0 or cell.output_nonlinearity is not None
    shapes: dict[str, tuple[int, ...]] = {"weight_ih": (rows, input_size)}
    if columns:
        shapes["weight_hh"] = (rows, columns)
    if bias:
        shapes["bias_ih"] = (rows,)
    if bias and columns:
        shapes["bias_hh"] = (rows,)
    if projects:
        shapes["weight_hr"] = (size, hidden_size)
    if bias and cell.output_nonlinearity is not None:
        shapes["bias_hr"] = (size,)
    if cell.layer_norm:
        shapes |= {"norm_ih": (rows,), "norm_hh": (rows,)}
    shapes |= {name: (1,) if name in cell.scalars else (hidden_size,) for name in cell.per_unit}
    return shapes | product_shapes(cell, hidden_size)


def parameters_by_name(module: nn.Module, names: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """The parameters, by their names in `Weights`, from pairs of that name and the module's name.

    They are read from torch's own dict, as this runs at every step of a stream. What replaces one is an attribute.
    """
    own = module._parameters
    return {name: own[full] if full in own else getattr(module, full) for name, full in names}


def as_weights(cell: Cell, parameters: dict[str, Any], reads_elapsed: bool = False) -> Weights:
    """The weights from the parameters by name; per-unit parameters are removed and stacked, (P, H), products packed.

    With `reads_elapsed` the input weights have E more columns, which read the times of a step after its inputs. Without
    it every time is 1, and part of the biases.
    """
    has_all_rows = cell.elapsed == "none" and not cell.recurrent_only and not cell.input_only
    products = cell.products()
    if has_all_rows and not cell.per_unit and not products:
        return Weights(**parameters)
    hidden = cell.units(cell.input_gates(), parameters["weight_ih"].shape[0])
    if products:
        packed = [parameters.pop(name).flatten() for name in product_shapes(cell, hidden)]
        parameters["products"] = torch.cat([parameters["weight_ih"].new_empty(0), *packed])
    if cell.per_unit:
        parameters["per_unit"] = torch.stack([parameters.pop(name).expand(hidden) for name in cell.per_unit])
    if not has_all_rows:
        parameters = _with_all_rows(cell, parameters, hidden, reads_elapsed)
    return Weights(**parameters)


def _with_all_rows(cell: Cell, parameters: dict[str, Any], hidden: int, reads_elapsed: bool) -> dict[str, Any]:
    """The parameters with rows for all gates, as a kernel reads them: zeros for what a gate does not read."""
    by_name = dict(parameters)
    weight_eh, bias_eh = by_name.pop("weight_eh", None), by_name.pop("bias_eh", None)
    weight_ih = by_name["weight_ih"]
    if cell.elapsed == "same":
        weight_eh = weight_ih.new_ones(hidden, 1)
    own = {"weight_ih": cell.input_gates(), "bias_ih": cell.input_gates()}
    own |= {"weight_hh": cell.recurrent_gates(), "bias_hh": cell.recurrent_gates()}
    for name, gates in own.items():
        if by_name.get(name) is not None:
            rows = dict(zip(gates, by_name[name].split(hidden), strict=True))
            zeros = by_name[name].new_zeros(hidden, *by_name[name].shape[1:])
            by_name[name] = torch.cat([rows.get(gate, zeros) for gate in cell.gates])
    if weight_eh is None:
        return by_name
    others = (len(cell.gates) - 1) * hidden
    at_once = None if reads_elapsed else weight_eh.sum(1)
    shift = at_once if bias_eh is None else bias_eh if at_once is None else at_once + bias_eh
    if shift is not None:
        bias_ih = by_name.get("bias_ih")
        rest = weight_ih.new_zeros(others) if bias_ih is None else bias_ih[hidden:]
        by_name["bias_ih"] = torch.cat([shift, rest])
    if reads_elapsed:
        columns = torch.cat([weight_eh, weight_eh.new_zeros(others, weight_eh.shape[1])])
        by_name["weight_ih"] = torch.cat([by_name["weight_ih"], columns], 1)
    return by_name


@torch.no_grad()
def first_values(cell: Cell, name: str, parameter: Tensor, hidden_size: int) -> None:
    """Sample a parameter: uniform in +-1/sqrt(H), as in torch, except scales (1) and what the cell initialises."""
    if name in ("norm_ih", "norm_hh"):
        nn.init.ones_(parameter)
    elif name in cell.initial:
        parameter.copy_(cell.initial[name](torch.rand_like(parameter)))
    elif (value := first_value_of_product(cell, name)) is not None:
        nn.init.constant_(parameter, value)
    else:
        bound = 1 / math.sqrt(hidden_size)
        nn.init.uniform_(parameter, -bound, bound)


def _check_products(cell: Cell, hidden_size: int) -> None:
    """Refuse products whose names others have, or whose sizes are not positive.

    Raises:
        ParameterError: naming the products.
    """
    taken = {"weight_ih", "weight_hh", "weight_hr", "weight_eh", "bias_ih", "bias_hh", "bias_hr", "bias_eh"}
    for name, product in cell.products().items():
        if {name, f"weight_{name}", f"bias_{name}"} & {*taken, *cell.per_unit}:
            expected = "names other than the parameters' and those of the other weights (ih, hh, hr, eh)"
            raise ParameterError(f"{type(cell).__name__}.products", expected, name)
        for size in (product.rows, product.columns):
            if size is not None:
                check_positive(f"{type(cell).__name__}.products ({name})", size)
        if product.fixed is None:
            continue
        matrix = fixed_matrix(product, hidden_size)
        shape = product.rows or hidden_size, product.columns or hidden_size
        if matrix.shape != shape or product.bias is not None:
            expected = f"a fixed matrix of {shape[0]} x {shape[1]}, its rows and columns, and no bias"
            raise ParameterError(f"{type(cell).__name__}.products ({name})", expected, tuple(matrix.shape))


def _check_own_sizes(cell: Cell) -> None:
    """Refuse sizes of gates and parts of the state that are not positive, or do not go with what the cell declares.

    Raises:
        ParameterError: naming the sizes.
    """
    widths, name = cell.widths(), f"{type(cell).__name__}.widths"
    if not widths:
        return
    named = {*cell.gates, *cell.state} - {cell.state[0], *cell.keeps, *cell.admits}
    if not widths.keys() <= named or widths.keys() >= {*cell.gates}:
        expected = "parts of the state but the output, and some gates but not all, none of keeps and admits"
        raise ParameterError(name, expected, dict(widths))
    for size in widths.values():
        check_positive(name, size)
    others = cell.second_stage_gates or cell.layer_norm or cell.recurrent_only or cell.input_only
    if others or cell.elapsed != "none" or cell.recurrence not in ("dense", "none"):
        expected = "none with second-stage gates, layer normalisation, times, or gates that read one projection only"
        raise ParameterError(name, expected, dict(widths))


def state_sizes(cell: Cell, hidden_size: int, proj_size: int = 0) -> list[int]:
    """The size of each part of the state."""
    return [proj_size or hidden_size, *cell.sizes(cell.state[1:], hidden_size)]


def first_value_of_product(cell: Cell, name: str) -> float | None:
    """The first value of a parameter of one of the cell's products, if that is the same for all elements, else None."""
    kind, _, own = name.partition("_")
    product = cell.products().get(own)
    if product is None or kind not in ("weight", "bias"):
        return None
    return product.bias if kind == "bias" else product.weight


def _check_widths(cell: Cell, hidden_size: int) -> None:
    """Refuse equations that give a part of the state another width than the state before has.

    Equations that fail on zeros say what is wrong when the cell runs.

    Raises:
        CellError: naming the part.
        ShapeError: naming the product whose argument has another width.
    """
    gates, state = (
        dict(zip(names, (torch.zeros(1, size) for size in cell.sizes(names, hidden_size)), strict=True))
        for names in (cell.gates, cell.state)
    )
    zeros = torch.zeros(1, hidden_size)
    sizes = sum(map(math.prod, product_shapes(cell, hidden_size).values()))
    products = product_functions(cell, torch.zeros(sizes), hidden_size) if cell.products() else {}
    try:
        x, u = Gates(**gates), Gates(**gates)
        after = cell.update(x, u, State(**state), PerUnit(**dict.fromkeys(cell.per_unit, zeros), **products))
        parts = {name: getattr(after, name) for name in cell.state}
    except ShapeError:
        raise  # of the argument of a product
    except (AttributeError, LookupError, RuntimeError, TypeError, ValueError):
        return
    for name, part in parts.items():
        if isinstance(part, Tensor) and part.shape != state[name].shape:
            raise CellError(
                f"{type(cell).__name__}.update: the part {name!r} of the state has the shape {tuple(part.shape)} after "
                f"a step of one sequence, and {tuple(state[name].shape)} before it. A part of a state has one number "
                "for each of the H units, or the size that `widths` of the cell gives it."
            )


def _reads_output(cell: Cell) -> bool:
    """Whether the equations read the output of the step before, other than through the recurrent weights."""
    zero = torch.zeros(1, 1)
    gates = Gates(**dict.fromkeys(cell.gates, zero))
    without_output = State(**dict.fromkeys(cell.state[1:], zero))
    try:
        cell.update(gates, gates, without_output, PerUnit(**dict.fromkeys(cell.per_unit, zero)))
    except AttributeError as error:
        if error.obj is not without_output or error.name != cell.state[0]:
            raise
        return True
    return False
