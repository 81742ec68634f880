"""The operations of torch's modules and of the recurrent layers."""

import copy
from typing import Any

import torch
from torch import nn

from recurra.errors import StreamError
from recurra.layers import (
    GRU,
    LSTM,
    RNN,
    GRUCell,
    LSTMCell,
    Recurrent,
    RecurrentCell,
    Reservoir,
    RNNCell,
    VariationalDropout,
    accelerate,
)
from recurra.layers.accelerated import ACCELERATED
from recurra.layers.parameters import as_weights, parameters_by_name
from recurra.program.builder import Builder, as_array
from recurra.program.lowering import Lowered, NoValue, add_module, lowers, only_value
from recurra.program.operations import Kind, Value
from recurra.program.recurrent_layer import add_recurrent_layer

__all__ = ["add_recurrent"]

_OF_CLASS: dict[type[nn.Module], Kind] = {nn.Tanh: "tanh", nn.Sigmoid: "sigmoid", nn.ReLU: "relu", nn.SiLU: "silu"}


@lowers(nn.Dropout, nn.Identity, VariationalDropout)
def _nothing(module: nn.Module, builder: Builder, value: Value, name: str) -> Value:
    return value


@lowers(*_OF_CLASS)
def _elementwise(module: nn.Module, builder: Builder, value: Value, name: str) -> Value:
    return builder.apply(_OF_CLASS[type(module)], value)


@lowers(nn.Softmax, nn.LogSoftmax)
def _softmax(module: nn.Softmax | nn.LogSoftmax, builder: Builder, value: Value, name: str) -> Value:
    if module.dim != -1:
        raise StreamError(f"{name}: dim: expected -1, the features of a step, got {module.dim}")
    return builder.apply("softmax" if isinstance(module, nn.Softmax) else "log_softmax", value)


@lowers(nn.Linear)
def _linear(module: nn.Linear, builder: Builder, value: Value, name: str) -> Value:
    value = builder.require(value, module.in_features, name)
    return builder.dense(value, as_array(module.weight), None if module.bias is None else as_array(module.bias))


@lowers(nn.Embedding)
def _embedding(module: nn.Embedding, builder: Builder, value: Value, name: str) -> Value:
    builder.require_id(value, module.num_embeddings, name)
    table = module.weight
    if module.max_norm is not None:
        # As torch rescales a row when it reads it.
        norms = table.norm(p=module.norm_type, dim=1, keepdim=True)
        table = torch.where(norms > module.max_norm, table * (module.max_norm / (norms + 1e-7)), table)
    return builder.emit("embed", None, builder.frame(module.embedding_dim), left=as_array(table).reshape(-1))


@lowers(nn.LayerNorm)
def _layer_norm(module: nn.LayerNorm, builder: Builder, value: Value, name: str) -> Value:
    if len(module.normalized_shape) != 1:
        raise StreamError(f"{name}: normalized_shape: expected one size, got {module.normalized_shape}")
    size = module.normalized_shape[0]
    value = builder.require(value, size, name)
    scale = torch.ones(size) if module.weight is None else module.weight
    bias = None if module.bias is None else as_array(module.bias)
    return builder.emit("normalise", value, builder.frame(size), left=as_array(scale), right=bias, number=module.eps)


@lowers(nn.RMSNorm)
def _rms_norm(module: nn.RMSNorm, builder: Builder, value: Value, name: str) -> Value:
    if len(module.normalized_shape) != 1:
        raise StreamError(f"{name}: normalized_shape: expected one size, got {module.normalized_shape}")
    size = module.normalized_shape[0]
    value = builder.require(value, size, name)
    scale = torch.ones(size) if module.weight is None else module.weight
    epsilon = torch.finfo(torch.float32).eps if module.eps is None else module.eps
    return builder.emit("rms_normalise", value, builder.frame(size), left=as_array(scale), number=epsilon)


@lowers(nn.GELU)
def _gelu(module: nn.GELU, builder: Builder, value: Value, name: str) -> Value:
    if module.approximate != "none":
        raise StreamError(f"{name}: approximate: expected 'none', got {module.approximate!r}")
    return builder.apply("gelu", value)


@lowers(nn.Sequential)
def _sequential(module: nn.Sequential, builder: Builder, value: Value, name: str) -> Lowered:
    lowered: Lowered = value
    for key, child in module.named_children():
        own = f"{name}.{key}" if name else key
        lowered = add_module(child, builder, only_value(lowered, own), own)
    return lowered


@lowers(Recurrent, Reservoir, LSTM, GRU, RNN, *(ACCELERATED[kind] for kind in (nn.LSTM, nn.GRU, nn.RNN)))
def _recurrent(module: Any, builder: Builder, value: Value, name: str) -> Lowered:
    """The output, and the state in the form of the layer's: by part, or one part alone, by layer.

    If the builder reads the time, the input's last values are the times since the last step.
    """
    if not builder.reads_elapsed:
        return add_recurrent(module, builder, value, None, name)
    value = builder.require(value, module.input_size + module.elapsed_size, name)
    elapsed = value.part(module.input_size, module.elapsed_size)
    return add_recurrent(module, builder, value.part(0, module.input_size), elapsed, name)


def add_recurrent(module: Any, builder: Builder, value: Value, elapsed: Value | None, name: str) -> Lowered:
    """Add a layer such as `Recurrent`; the result is that of `_recurrent`.

    Args:
        module: the layer.
        builder: of the program.
        value: (I,), what the layer reads.
        elapsed: (E,), the times since the last step. None: all are 1.
        name: of the module in the model.

    Raises:
        StreamError: if the layer is bidirectional, and the builder does not look ahead or there are times.
    """
    if elapsed is not None and module.bidirectional:
        raise StreamError(
            f"{name or 'the model'}: bidirectional=True: the backward direction reads the time to the step after, "
            "which a stream does not have. Train with bidirectional=False."
        )
    if module.bidirectional and not builder.looks_ahead:
        raise StreamError(
            f"{name or 'the model'}: bidirectional=True: the backward direction begins at the end of a sequence, which "
            "a stream does not have. Run the model in chunks that look some steps ahead, "
            "recurra.ChunkStepper(model, look_ahead=8), or train with bidirectional=False."
        )
    value = builder.require(value, module.input_size, name)
    prefix = f"{name}." if name else ""
    if module.bidirectional:
        for layer in range(module.num_layers):
            value = _both_directions(module, layer, builder, value, prefix)
        return value, NoValue(
            f"{name or 'the model'}: the final state of the backward direction is that of the first step, which a "
            "stream has left behind; read the output instead"
        )
    parts: list[list[Value]] = [[] for _ in module.cell.state]
    for layer in range(module.num_layers):
        before = builder.num_parts
        names = f"{prefix}{{part}}_l{layer}"
        weights = _weights_of(module, layer, reads_elapsed=elapsed is not None)
        if elapsed is not None:
            value = _joined(builder, value, elapsed)
        value = add_recurrent_layer(builder, module.cell, weights, value, module.zoneout, names)
        for part, own in zip(parts, builder.parts_from(before), strict=True):
            part.append(own)
    return value, tuple(parts) if len(parts) > 1 else parts[0]


def _both_directions(module: Any, layer: int, builder: Builder, value: Value, prefix: str) -> Value:
    """The outputs of a layer's two directions, the forward one first."""
    cell, names = module.cell, f"{prefix}{{part}}_l{layer}"
    own = Builder(value.size)
    weights = _weights_of(module, layer, reverse=True)
    reverse = add_recurrent_layer(own, cell, weights, own.input, module.zoneout, f"{names}_reverse")
    backward = builder.run_backward(value, own.finish(reverse))
    forward = add_recurrent_layer(builder, cell, _weights_of(module, layer), value, module.zoneout, names)
    return _joined(builder, forward, backward)


def _joined(builder: Builder, first: Value, second: Value) -> Value:
    """Two vectors, one after the other."""
    both = builder.frame(first.size + second.size)
    builder.emit("copy", first, both.part(0, first.size))
    builder.emit("copy", second, both.part(first.size, second.size))
    return both


@lowers(
    RecurrentCell, LSTMCell, GRUCell, RNNCell, *(ACCELERATED[kind] for kind in (nn.LSTMCell, nn.GRUCell, nn.RNNCell))
)
def _recurrent_cell(module: Any, builder: Builder, value: Value, name: str) -> Lowered:
    times = module.elapsed_size if builder.reads_elapsed else 0
    value = builder.require(value, module.input_size + times, name)
    with torch.no_grad():
        weights = as_weights(module.cell, parameters_by_name(module, module._names), times > 0)
    before = builder.num_parts
    prefix = f"{name}." if name else ""
    add_recurrent_layer(builder, module.cell, weights, value, module.zoneout, f"{prefix}{{part}}")
    parts = builder.parts_from(before)
    return tuple(parts) if len(parts) > 1 else parts[0]


@lowers(nn.LSTM, nn.GRU, nn.RNN, nn.LSTMCell, nn.GRUCell, nn.RNNCell)
def _torch_recurrent(module: nn.Module, builder: Builder, value: Value, name: str) -> Lowered:
    ours = copy.deepcopy(module)
    accelerate(ours)
    return add_module(ours, builder, value, name)


def _weights_of(module: Any, layer: int, reverse: bool = False, reads_elapsed: bool = False) -> Any:
    """The weights as in evaluation."""
    training = module.training
    try:
        module.training = False
        with torch.no_grad():
            return Recurrent.weights_of(module, layer, reverse, reads_elapsed)
    finally:
        module.training = training
