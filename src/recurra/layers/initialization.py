"""First values of recurrent layers that help them learn over long times, and a record of how each was set."""

import re
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from recurra.cells import GRU, LSTM, Cell, Elman
from recurra.errors import ParameterError
from recurra.layers.parameters import first_value_of_product, first_values, parameter_shapes
from recurra.layers.recurrent import Recurrent
from recurra.layers.reservoir import Reservoir
from recurra.layers.stack import Stack
from recurra.layers.step import RecurrentCell
from recurra.shapes import check_positive

__all__ = ["initialize"]

_RECURRENT = ("orthogonal", "identity", "uniform")
_INPUT = ("xavier_uniform", "xavier_normal", "orthogonal", "uniform")
_LAYERS = (Recurrent, RecurrentCell, nn.RNN, nn.LSTM, nn.GRU, nn.RNNCell, nn.LSTMCell, nn.GRUCell)
_FILL: dict[str, Any] = {
    "orthogonal": nn.init.orthogonal_,
    "identity": nn.init.eye_,
    "xavier_uniform": nn.init.xavier_uniform_,
    "xavier_normal": nn.init.xavier_normal_,
}


@torch.no_grad()
def initialize(
    module: nn.Module,
    recurrent: str = "orthogonal",
    input: str = "xavier_uniform",  # noqa: A002 (the name in forward)
    forget_bias: float = 1.0,
    chrono: int | None = None,
) -> dict[str, str]:
    """Sample the parameters of all recurrent layers in a module again, from torch's generator.

    These are the layers and single steps of Recurra and of torch.nn, but no `Reservoir`, which samples its own; other
    modules are left alone. Biases are zero,
    except those of the gates that set how much of the state stays (`keeps` of the cell): these are `forget_bias`, or
    with `chrono` such that units remember for different times. They are in `bias_ih`, to which `bias_hh` adds zero.

    Per-unit parameters, and recurrent weights whose first values the cell gives (IndRNN), are sampled as in a new
    layer; scales of layer normalisation are 1.

    Args:
        module: a module that holds layers, or a layer; changed in place.
        recurrent: of the recurrent weights, for each gate by itself, and each head, and of the cell's products:
            "orthogonal" (Saxe et al. 2014), "identity" (Le et al. 2015, for an Elman network of relu) or "uniform" in
            +-1/sqrt(H), as in a new layer. Weights of a diagonal recurrence are "uniform" unless the cell gives their
            first values.
        input: of the input weights, for each gate by itself, and of the projection of an output: "xavier_uniform",
            "xavier_normal" (Glorot and Bengio 2010), "orthogonal" or "uniform".
        forget_bias: of the forget gate (Gers et al. 2000, Jozefowicz et al. 2015) or the gate in its place, with the
            opposite sign if the gate replaces the state, as minGRU's z does.
        chrono: T, the longest time to remember, in steps, at least 3; instead of `forget_bias` (Tallec and Ollivier
            2018): log u, u uniform in 1 to T - 1 for each unit, and -log u for an input gate (`admits` of the cell).

    Returns:
        How each parameter was set, by its name in the module: "orthogonal per gate", "zero, forget gate f: 1.0".

    Raises:
        ParameterError: for an argument out of its range; if the module holds neither a recurrent layer nor a
            `Stack`, or a parametrized layer; for `chrono` if no layer has a bias that it could set. Nothing is changed
            then.
    """
    if recurrent not in _RECURRENT:
        raise ParameterError("recurrent", f"one of {', '.join(_RECURRENT)}", recurrent)
    if input not in _INPUT:
        raise ParameterError("input", f"one of {', '.join(_INPUT)}", input)
    if isinstance(forget_bias, bool) or not isinstance(forget_bias, int | float) or not abs(forget_bias) < float("inf"):
        raise ParameterError("forget_bias", "a finite number", forget_bias)
    if chrono is not None:
        check_positive("chrono", chrono, at_least=3)
    layers = dict(_layers(module))
    if chrono is not None and not any(_takes_chrono(layer, _cell_of(layer)) for layer in layers.values()):
        raise ParameterError("chrono", "None, as no layer has a bias of a gate that keeps its state", chrono)
    return {
        f"{prefix}.{name}" if prefix else name: done
        for prefix, layer in layers.items()
        for name, done in _initialize_layer(layer, recurrent, input, float(forget_bias), chrono)
    }


def _layers(module: nn.Module) -> Iterator[tuple[str, Any]]:
    if not isinstance(module, nn.Module):
        raise ParameterError("module", "a torch.nn.Module", module)
    any_layer = any(isinstance(part, Stack) for part in module.modules())  # which may have no layer of a cell
    for name, layer in module.named_modules():
        if isinstance(layer, _LAYERS) and not isinstance(layer, Reservoir):
            if is_parametrized(layer):
                hint = "Initialize first, parametrize then."
                raise ParameterError("module", "layers that are not parametrized", name or type(layer), hint)
            any_layer = True
            yield name, layer
    if not any_layer:
        raise ParameterError("module", "a module with recurrent layers", type(module))


def _cell_of(layer: Any) -> Cell:
    """The equations of a layer of Recurra or of torch.nn."""
    if isinstance(layer, Recurrent | RecurrentCell):
        return layer.cell
    if isinstance(layer, nn.LSTM | nn.LSTMCell):
        return LSTM()
    return GRU() if isinstance(layer, nn.GRU | nn.GRUCell) else Elman(layer.nonlinearity)


def _takes_chrono(layer: Any, cell: Cell) -> bool:
    return any(name in cell.per_unit or (name in cell.gates and layer.bias) for name in cell.keeps)


def _initialize_layer(
    layer: Any, recurrent: str, inputs: str, forget_bias: float, chrono: int | None
) -> Iterator[tuple[str, str]]:
    """Sample the parameters of one layer; yields their names and how each was set."""
    cell, hidden_size = _cell_of(layer), layer.hidden_size
    recurrent_weights = {"weight_hh", *(f"weight_{name}" for name in cell.products())}
    known = parameter_shapes(cell, layer.input_size, hidden_size, True, getattr(layer, "proj_size", 0))
    biases: dict[str, dict[str, Tensor]] = {}  # by layer of the stack and direction
    for full, parameter in layer.named_parameters(recurse=False):
        name = full if full in known else re.sub(r"_l\d+(_reverse)?$", "", full)
        if name not in known:
            continue  # a subclass's own
        suffix = full.removeprefix(name)
        if suffix not in biases:
            biases[suffix] = _biases(cell, hidden_size, forget_bias, chrono, parameter)
        if name == "bias_ih" or name in cell.keeps:
            yield full, _fill_bias(cell, name, parameter, biases[suffix], forget_bias, chrono)
        else:
            yield full, _fill(cell, name, parameter, hidden_size, recurrent if name in recurrent_weights else inputs)


def _biases(cell: Cell, hidden_size: int, forget_bias: float, chrono: int | None, like: Tensor) -> dict[str, Tensor]:
    """The biases (H,) that are not zero, by gate."""
    dtype = torch.promote_types(like.dtype, torch.float32)
    if chrono is None:
        bias = torch.full((hidden_size,), forget_bias, dtype=dtype, device=like.device)
        return {gate: sign * bias for gate, sign in cell.keeps.items()}
    # One sample for all gates: the time of a unit is the same in each.
    bias = (1 + (chrono - 2) * torch.rand(hidden_size, dtype=dtype, device=like.device)).log()
    return {gate: sign * bias for gate, sign in cell.keeps.items()} | dict.fromkeys(cell.admits, -bias)


def _fill_bias(
    cell: Cell, name: str, parameter: Tensor, biases: dict[str, Tensor], forget_bias: float, chrono: int | None
) -> str:
    """Fill `bias_ih` (G * H,), or a parameter that is the bias of one gate."""
    steps: list[str] = []
    rows = {name: parameter}
    if name == "bias_ih":
        nn.init.zeros_(parameter)
        gates = cell.input_gates()
        sizes = cell.sizes(gates, cell.units(gates, len(parameter)))
        rows = dict(zip(gates, parameter.split(sizes), strict=True))
        steps.append("zero")
    gates = [gate for gate in biases if gate in rows]
    for gate in gates:
        rows[gate].copy_(biases[gate])
    if chrono is None:
        steps += [f"forget gate {gate}: {cell.keeps[gate] * forget_bias}" for gate in gates]
    elif gates:
        steps.append(f"chrono in {', '.join(gates)}, up to {chrono} steps")
    return ", ".join(steps)


def _fill(cell: Cell, name: str, parameter: Tensor, hidden_size: int, scheme: str) -> str:
    """Fill any other parameter."""
    if name in ("bias_hh", "bias_hr"):
        nn.init.zeros_(parameter)
        return "zero"
    fixed = name in cell.initial or name in ("norm_ih", "norm_hh")
    of_time = name in ("weight_eh", "bias_eh")
    is_diagonal = name == "weight_hh" and cell.recurrence == "diagonal"
    if first_value_of_product(cell, name) is not None:
        first_values(cell, name, parameter, hidden_size)
        return "as the cell says"
    if fixed or of_time or name in cell.per_unit or is_diagonal or scheme == "uniform":
        first_values(cell, name, parameter, hidden_size)
        return "as the cell says" if name in cell.initial else "one" if fixed else "uniform"
    heads = cell.heads if name == "weight_hh" else 1
    gates = {"weight_ih": cell.input_gates(), "weight_hh": cell.recurrent_gates()}.get(name)
    by_gate = [parameter] if gates is None else parameter.split(cell.sizes(gates, hidden_size))
    for block in (block for rows in by_gate for block in rows.chunk(heads)):
        # In single precision at least: torch has no orthogonal matrices in half.
        block.copy_(_FILL[scheme](torch.empty_like(block, dtype=torch.promote_types(block.dtype, torch.float32))))
    return scheme + (" per gate" if gates else "") + (" and head" if heads > 1 else "")
