"""The program of a module: of a known class, or of any module whose `forward` torch.fx can trace."""

import inspect
import operator
from typing import Any

import numpy as np
import torch
from torch import fx, nn
from torch.nn import functional

from recurra.errors import ParameterError, StreamError
from recurra.program import acoustic_models, recurra_models, stacks, torch_modules
from recurra.program.builder import Builder
from recurra.program.lowering import Lowered, add_module, has_lowering, only_value
from recurra.program.operations import Kind, Program, Value
from recurra.program.stages import Stage

__all__ = ["compile_program", "compile_stages"]

_REGISTERED = (acoustic_models, recurra_models, stacks, torch_modules)  # importing them registers their functions
_UNARY: dict[Any, Kind] = {
    torch.tanh: "tanh",
    torch.sigmoid: "sigmoid",
    torch.relu: "relu",
    functional.tanh: "tanh",
    functional.sigmoid: "sigmoid",
    functional.relu: "relu",
    functional.silu: "silu",
    "tanh": "tanh",
    "sigmoid": "sigmoid",
    "relu": "relu",
}
_SOFTMAX: dict[Any, Kind] = {
    torch.softmax: "softmax",
    functional.softmax: "softmax",
    "softmax": "softmax",
    torch.log_softmax: "log_softmax",
    functional.log_softmax: "log_softmax",
    "log_softmax": "log_softmax",
}
_BINARY: dict[Any, Kind] = {
    operator.add: "add",
    operator.iadd: "add",
    torch.add: "add",
    operator.mul: "multiply",
    operator.imul: "multiply",
    torch.mul: "multiply",
}
_SAME = {functional.dropout, torch.dropout, "contiguous", "float", "squeeze", "clone"}


def compile_program(model: nn.Module, input_size: int | None = None, reads_elapsed: bool = False) -> Program:
    """The operations of one step of a model, as in evaluation.

    Args:
        model: a recurrent layer, a stack, a model of the package, an nn.Sequential of such with linear layers,
            embeddings, nonlinearities and layer normalisations, or any module whose `forward` combines these without
            reading values: torch.fx traces it.
        input_size: I, where the model's first module does not say it.
        reads_elapsed: whether the input of a step ends with the times since the last step, (I + E,), for a recurrent
            layer or cell that reads them. If not, every time is 1, unless the model itself gives the layer its times.

    Raises:
        ParameterError: if `model` is not a module, or with `reads_elapsed` not a layer or cell that reads the time.
        StreamError: if the model cannot run one step at a time. The message names the module and the reason.
    """
    if reads_elapsed and getattr(getattr(model, "cell", None), "elapsed", "none") == "none":
        raise ParameterError("reads_elapsed", "False for all but a layer or cell that reads the time", True)
    builder = Builder(input_size, reads_elapsed=reads_elapsed)
    return builder.finish(_output_of(model, builder))


def compile_stages(model: nn.Module, input_size: int | None = None) -> tuple[Stage, ...]:
    """The operations of a model that runs over windows of steps, as in evaluation.

    Args:
        model: as `compile_program` takes it; its recurrent layers may be bidirectional. A tagger with a CRF reads the
            scores of a window backward too, so that a tag depends on the steps after it.
        input_size: I, where the model's first module does not say it.

    Raises:
        ParameterError: if `model` is not a module.
        StreamError: if the model cannot run over windows of steps. The message names the module and the reason.
    """
    builder = Builder(input_size, looks_ahead=True)
    return builder.finish_stages(_output_of(model, builder))


def _output_of(model: nn.Module, builder: Builder) -> Value:
    if not isinstance(model, nn.Module):
        raise ParameterError("model", "a torch.nn.Module", type(model).__name__)
    known = has_lowering(model)
    lowered = add_module(model, builder, builder.input, "") if known else _Traced(model, builder).run()
    return only_value(lowered, "")


class _Tracer(fx.Tracer):
    """Modules whose step is known are not traced into."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return has_lowering(m) or super().is_leaf_module(m, module_qualified_name)


class _Traced:
    """A module's graph, run with a `Value` in the place of each tensor."""

    def __init__(self, model: nn.Module, builder: Builder) -> None:
        self._modules = dict(model.named_modules())
        self._builder = builder
        self._name = type(model).__name__
        self._batch_first = {module.batch_first for module in model.modules() if hasattr(module, "batch_first")}
        # All arguments but the first, a state or lengths, have their defaults.
        concrete = dict.fromkeys(list(inspect.signature(model.forward).parameters)[1:])
        try:
            self._graph = _Tracer().trace(model, concrete)
        except Exception as error:
            raise StreamError(
                f"{self._name}.forward: torch.fx cannot trace it ({type(error).__name__}: {error}). A model that "
                "streams combines its modules without reading values or sizes of tensors."
            ) from error

    def run(self) -> Lowered:
        values: dict[fx.Node, Lowered] = {}
        reads_input = False
        for node in self._graph.nodes:
            arguments = fx.map_arg(node.args, lambda one: values[one])
            options = fx.map_arg(node.kwargs, lambda one: values[one])
            if node.op == "placeholder":
                values[node] = None if reads_input else self._builder.input
                reads_input = True
            elif node.op == "output":
                return arguments[0]
            elif node.op == "call_module":
                values[node] = self._call_module(str(node.target), arguments)
            elif node.target is operator.getitem and not node.users:
                continue  # a state that is unpacked and not read may have no value
            elif getattr(node.target, "__name__", "") == "_assert_is_none":
                values[node] = None  # torch.fx checks the arguments that have their defaults
            elif node.op in ("call_function", "call_method"):
                values[node] = self._call(node.target, arguments, options)
            else:
                raise self._unknown(f"the parameter {node.target!r}")
        raise self._unknown("a forward without a result")

    def _call_module(self, name: str, arguments: Any) -> Lowered:
        value, *others = arguments
        if any(other is not None for other in others):
            raise self._unknown(f"{name} with a state or lengths of its own")
        return add_module(self._modules[name], self._builder, only_value(value, name), name)

    def _call(self, target: Any, arguments: Any, options: Any) -> Lowered:
        first, *others = arguments
        if target is operator.getitem:
            return self._item(first, others[0])
        if target in _SAME:
            return first[0] if isinstance(first, list) and len(first) == 1 else first
        if target in _UNARY:
            return self._builder.apply(_UNARY[target], first)
        if target in _SOFTMAX:
            if options.get("dim", *others[:1] or [None]) != -1:
                raise self._unknown("a softmax other than over the features, dim=-1")
            return self._builder.apply(_SOFTMAX[target], first)
        if target in _BINARY and isinstance(others[0], Value) and isinstance(first, Value):
            if first.size != others[0].size:
                raise self._unknown(f"{target.__name__} of {first.size} and {others[0].size} features")
            return self._builder.apply(_BINARY[target], first, others[0])
        if target in _BINARY and isinstance(first, Value | int | float):
            return self._with_number(_BINARY[target], first, others[0])
        if target in (torch.cat, torch.concat):
            return self._concatenated(first, options.get("dim", *others[:1] or [0]))
        raise self._unknown(getattr(target, "__name__", str(target)))

    def _item(self, value: Lowered, index: Any) -> Lowered:
        if not isinstance(value, Value):
            return value[index]
        # The last step so far is the present one.
        leading = (slice(None),) if True in self._batch_first else ()
        chosen = index if isinstance(index, tuple) else (index,)
        if chosen[: len(leading)] == leading and chosen[len(leading) :][:1] in ((-1,), (slice(-1, None),)):
            rest = chosen[len(leading) + 1 :]
            if all(one in (slice(None), Ellipsis) for one in rest):
                return value
        raise self._unknown(f"the index {index}")

    def _with_number(self, kind: Kind, a: Any, b: Any) -> Value:
        value, number = (a, b) if isinstance(a, Value) else (b, a)
        if not isinstance(value, Value) or not isinstance(number, int | float):
            raise self._unknown(f"{kind} of {type(a).__name__} and {type(b).__name__}")
        constant = np.full(value.size, number, np.float32)
        left, right = (np.ones_like(constant), constant) if kind == "add" else (constant, None)
        return self._builder.emit("scale", value, self._builder.frame(value.size), left=left, right=right)

    def _concatenated(self, values: Any, dim: int) -> Value:
        if dim not in (-1, 2):
            raise self._unknown("torch.cat other than of features, dim=-1")
        whole = self._builder.frame(sum(value.size for value in values))
        first = 0
        for value in values:
            self._builder.emit("copy", value, whole.part(first, value.size))
            first += value.size
        return whole

    def _unknown(self, what: str) -> StreamError:
        return StreamError(
            f"{self._name}.forward: {what} has no form for one step. Known are recurrent layers, nn.Linear, "
            "nn.Embedding, nn.LayerNorm, tanh, sigmoid, relu, silu, softmax over features, sums, products, torch.cat "
            "of features, and the last step of an output."
        )
