"""Any other module: torch.fx traces its `forward`, whose modules and functions become nodes."""

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.utils import rnn

from recurra.errors import ExportError, ParameterError
from recurra.export.onnx.context import Context
from recurra.export.onnx.forms import Form
from recurra.export.onnx.functions import call_function
from recurra.export.onnx.graph import FLOAT, INT64, Value
from recurra.export.onnx.modules import add_module, has_form
from recurra.export.onnx.packed import PACKING
from recurra.export.recurrent_modules import CELLS, LAYERS
from recurra.program.builder import as_array

__all__ = ["add_layer", "add_traced"]


def add_layer(context: Context, model: Any, input_size: int | None) -> Form:
    """A recurrent layer or cell as the whole model."""
    _check_size(input_size, model.input_size)
    if type(model) in CELLS:
        read = context.graph.input("input", FLOAT, ("batch", model.input_size))
        state = add_module(context, model, "", read)
        return Form({"output": state[0] if isinstance(state, tuple) else state}, _output_of)
    leading = ("batch", "time") if model.batch_first else ("time", "batch")
    context.add_lengths()
    read = context.graph.input("input", FLOAT, (*leading, model.input_size))
    output, _ = add_module(context, model, "", read, lengths=context.lengths)
    context.runs_with_lengths.append("")
    return Form({"output": output}, _output_of)


def _output_of(model: nn.Module, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    output = model(inputs["input"])
    return {"output": output[0] if isinstance(output, tuple) else output}


def add_traced(context: Context, model: nn.Module, input_size: int | None) -> Form:
    """A module that combines others.

    The graph reads the first argument of `forward` as "input". An argument named `lengths` is the graph's lengths. All
    others have their defaults.

    Raises:
        ExportError: if torch.fx cannot trace it, or something in it has no form.
        ParameterError: if the features of the input are needed and unknown.
    """
    names = list(inspect.signature(model.forward).parameters)
    reads_lengths = context.with_lengths and "lengths" in names[1:]
    if reads_lengths:
        context.add_lengths()
    graph = _trace(model, names, reads_lengths)
    modules = dict(model.named_modules())
    values: dict[fx.Node, Any] = {}
    for node in graph.nodes:
        args = fx.map_arg(node.args, lambda one: values[one])
        kwargs = fx.map_arg(node.kwargs, lambda one: values[one])
        if node.op == "placeholder":
            first = not any(one.op == "placeholder" for one in values)
            name = str(node.target)
            if first:
                values[node] = _input(context, modules, graph, node, input_size)
            else:
                values[node] = context.lengths if name == "lengths" and reads_lengths else None
        elif node.op == "call_module":
            values[node] = add_module(context, modules[str(node.target)], str(node.target), *args, **kwargs)
        elif node.op == "get_attr":
            values[node] = context.graph.constant(as_array(_attribute(model, str(node.target))))
        elif getattr(node.target, "__name__", "") == "_assert_is_none":
            values[node] = None  # torch.fx checks the arguments that have their defaults
        elif node.op == "output":
            return _form(context, args[0], reads_lengths)
        elif node.target in PACKING:
            values[node] = PACKING[node.target](context, *args, **kwargs)
        else:
            values[node] = call_function(context.graph, node.target, args, dict(kwargs))
    raise ExportError(f"{type(model).__name__}.forward: expected a result, got none")


class _Tracer(fx.Tracer):
    """Modules with a form are not traced into, nor are the functions that pack sequences."""

    def __init__(self) -> None:
        super().__init__(autowrap_modules=(rnn,), autowrap_functions=tuple(PACKING))

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return has_form(m) or super().is_leaf_module(m, module_qualified_name)


def _trace(model: nn.Module, names: list[str], reads_lengths: bool) -> fx.Graph:
    concrete = dict.fromkeys(name for name in names[1:] if not (name == "lengths" and reads_lengths))
    try:
        return _Tracer().trace(model, concrete)
    except Exception as error:
        raise ExportError(
            f"{type(model).__name__}.forward: torch.fx cannot trace it ({type(error).__name__}: {error}). A model that "
            "is exported combines its modules without reading values or sizes of tensors, and its arguments but the "
            "first and `lengths` have defaults"
        ) from error


def _input(
    context: Context, modules: dict[str, nn.Module], graph: fx.Graph, node: fx.Node, input_size: int | None
) -> Value:
    called = [modules[str(one.target)] for one in graph.nodes if one.op == "call_module"]
    layers = [module for module in called if type(module) in LAYERS]
    cells = [module for module in called if type(module) in CELLS]
    if not layers and not cells:
        raise ExportError("the model: expected a recurrent layer in it, got none; torch.onnx exports such models")
    orders = {bool(module.batch_first) for module in layers}
    if len(orders) > 1:
        raise ExportError("the model: batch_first: expected the same in all recurrent layers, got both")
    leading = ("batch",) if cells and not layers else ("batch", "time") if True in orders else ("time", "batch")
    users = [modules[str(one.target)] for one in node.users if one.op == "call_module"]
    if users and isinstance(users[0], nn.Embedding):
        return context.graph.input("input", INT64, leading, limit=users[0].num_embeddings)
    known = next((size for size in map(_features, [*users, *called]) if size), None)
    size = input_size or known
    if size is None:
        raise ParameterError("input_size", "the features of a step, which the model does not say", None)
    _check_size(input_size, known if users and _features(users[0]) else None)
    return context.graph.input("input", FLOAT, (*leading, size))


def _features(module: nn.Module) -> int | None:
    for name in ("input_size", "in_features", "in_channels", "num_features", "normalized_shape"):
        size = getattr(module, name, None)
        if size is not None:
            return size[-1] if isinstance(size, tuple) else size
    return None


def _check_size(input_size: int | None, known: int | None) -> None:
    if input_size is not None and known is not None and input_size != known:
        raise ParameterError("input_size", f"{known}, as the model says, or None", input_size)


def _form(context: Context, result: Any, reads_lengths: bool) -> Form:
    """The outputs are the tensors of the result, the final states of layers excepted."""
    flat = _flat(result)
    positions = [k for k, one in enumerate(flat) if isinstance(one, Value) and not context.is_final(one)]
    if not positions:
        positions = [k for k, one in enumerate(flat) if isinstance(one, Value)][:1]
    if not positions:
        raise ExportError("the model: expected a tensor as its result, got none")
    names = ["output", *(f"output_{k}" for k in range(1, len(positions)))]

    def reference(model: nn.Module, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        lengths = {"lengths": inputs["lengths"]} if reads_lengths else {}
        tensors = _flat(model(inputs["input"], **lengths))
        return {name: tensors[k] for name, k in zip(names, positions, strict=True)}

    return Form({name: flat[k] for name, k in zip(names, positions, strict=True)}, reference)


def _flat(result: Any) -> list[Any]:
    if isinstance(result, tuple | list):
        return [one for part in result for one in _flat(part)]
    if isinstance(result, dict):
        return [one for part in result.values() for one in _flat(part)]
    return [result]


def _attribute(model: nn.Module, name: str) -> Tensor:
    owner: Any = model
    for part in name.split("."):
        owner = getattr(owner, part)
    if not isinstance(owner, torch.Tensor):
        raise ExportError(f"{name}: expected a tensor, got a {type(owner).__name__}")
    return owner
