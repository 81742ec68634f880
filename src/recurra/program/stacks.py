"""The operations of stacks and of their blocks, in place of the step that each computes in torch."""

import math

import numpy as np
import torch
from torch import nn

from recurra.layers.stack import (
    LRU,
    MLSTM,
    QRNN,
    Activation,
    CausalConvolution,
    Chain,
    Gated,
    GatedMLP,
    HeadNorm,
    LocalAttention,
    RecurrentBlock,
    Residual,
    Stack,
)
from recurra.layers.stack.attention import turns
from recurra.program.builder import Builder, as_array
from recurra.program.lowering import add_module, lowers, only_value
from recurra.program.operations import Kind, Value

__all__: list[str] = []

_HEAD_EPSILON = 1e-5  # of torch's layer_norm, which `HeadNorm` calls
_ACTIVATIONS: dict[str, Kind] = {name: name for name in ("gelu", "relu", "sigmoid", "silu", "tanh")}


@lowers(Stack)
def _stack(module: Stack, builder: Builder, value: Value, name: str) -> Value:
    value = builder.require(value, module.input_size, name)
    if module.projection is not None:
        value = add_module(module.projection, builder, value, _inside(name, "projection"))
    for k, block in enumerate(module.blocks):
        value = _block(block, builder, value, _inside(name, f"blocks.{k}"))
    return value if module.norm is None else add_module(module.norm, builder, value, _inside(name, "norm"))


@lowers(Chain)
def _chain(module: Chain, builder: Builder, value: Value, name: str) -> Value:
    for k, block in enumerate(module.blocks):
        value = _block(block, builder, value, _inside(name, f"blocks.{k}"))
    return value


@lowers(Residual)
def _residual(module: Residual, builder: Builder, value: Value, name: str) -> Value:
    value = builder.require(value, module.input_size, name)
    inner = add_module(module.norm, builder, value, _inside(name, "norm"))
    return builder.apply("add", value, _block(module.block, builder, inner, _inside(name, "block")))


@lowers(Gated)
def _gated(module: Gated, builder: Builder, value: Value, name: str) -> Value:
    gate = builder.apply("gelu", add_module(module.gate, builder, value, _inside(name, "gate")))
    inner = add_module(module.value, builder, value, _inside(name, "value"))
    inner = _block(module.block, builder, inner, _inside(name, "block"))
    return add_module(module.output, builder, builder.apply("multiply", gate, inner), _inside(name, "output"))


@lowers(GatedMLP)
def _gated_mlp(module: GatedMLP, builder: Builder, value: Value, name: str) -> Value:
    gate = builder.apply("gelu", add_module(module.gate, builder, value, _inside(name, "gate")))
    inner = add_module(module.value, builder, value, _inside(name, "value"))
    return add_module(module.output, builder, builder.apply("multiply", gate, inner), _inside(name, "output"))


@lowers(Activation)
def _activation(module: Activation, builder: Builder, value: Value, name: str) -> Value:
    return builder.apply(_ACTIVATIONS[module.name], builder.require(value, module.input_size, name))


@lowers(HeadNorm)
def _head_norm(module: HeadNorm, builder: Builder, value: Value, name: str) -> Value:
    value = builder.require(value, module.input_size, name)
    return builder.emit(
        "normalise",
        value,
        builder.frame(value.size),
        size=value.size // module.heads,
        groups=module.heads,
        left=as_array(module.weight),
        right=as_array(module.bias),
        number=_HEAD_EPSILON,
    )


@lowers(RecurrentBlock)
def _recurrent_block(module: RecurrentBlock, builder: Builder, value: Value, name: str) -> Value:
    value = only_value(add_module(module.recurrent, builder, value, _inside(name, "recurrent")), name)
    if module.projection is None:
        return value
    return add_module(module.projection, builder, value, _inside(name, "projection"))


@lowers(CausalConvolution)
def _convolution(module: CausalConvolution, builder: Builder, value: Value, name: str) -> Value:
    value = builder.require(value, module.input_size, name)
    weight, bias = as_array(module.weight), as_array(module.bias)
    before = module.kernel_size - 1
    past = builder.state(_inside(name, "inputs"), before * value.size) if before else None
    if module.depthwise:
        taps = weight[:, 0].T
        total = builder.emit("scale", value, builder.frame(value.size), left=taps[-1].copy(), right=bias)
        for k in range(before):
            assert past is not None
            one = past.part(k * value.size, value.size)
            term = builder.emit("scale", one, builder.frame(value.size), left=taps[k].copy())
            builder.emit("add", term, total, second=total)
    else:
        total = builder.dense(value, np.ascontiguousarray(weight[:, :, -1]), bias)
        if past is not None:  # the oldest inputs are the first
            matrix = weight[:, :, :-1].transpose(0, 2, 1).reshape(len(weight), past.size)
            builder.emit("dense", past, total, weight=np.ascontiguousarray(matrix), accumulate=True)
    if past is not None:
        builder.emit("delay", value, past, size=value.size, groups=before)
    return total


@lowers(LocalAttention)
def _attention(module: LocalAttention, builder: Builder, value: Value, name: str) -> Value:
    value = builder.require(value, module.input_size, name)
    window, heads, kv_heads, size = module.window, module.heads, module.kv_heads, module.head_size
    if window == 1:  # a step sees itself alone: what attends to one value gets it
        values = module.value.weight.unflatten(0, (kv_heads, size)).repeat_interleave(heads // kv_heads, 0)
        attended = builder.dense(value, as_array(values.flatten(0, 1)), None)
        return add_module(module.output, builder, attended, _inside(name, "output"))
    cosine, sine = as_array(turns(window, size // 2, torch.zeros(())))
    query = add_module(module.query, builder, value, _inside(name, "query"))
    pair = builder.dense(value, as_array(torch.cat([module.key.weight, module.value.weight])), None)
    past = [builder.state(_inside(name, part), (window - 1) * kv_heads * size) for part in ("keys", "values")]
    attended = builder.emit(
        "local_attention",
        query,
        builder.frame(heads * size + window),
        size=size,
        second=pair,
        parts=(*past, builder.state(_inside(name, "place"), 2)),
        groups=heads,
        kv_heads=kv_heads,
        window=window,
        left=cosine.reshape(-1),
        right=sine.reshape(-1),
    )
    return add_module(module.output, builder, attended.part(0, heads * size), _inside(name, "output"))


@lowers(MLSTM)
def _mlstm(module: MLSTM, builder: Builder, value: Value, name: str) -> Value:
    value = builder.require(value, module.input_size, name)
    heads, size = module.heads, module.head_size
    factor = 1 / math.sqrt(size)
    layers = ((module.query, 1.0), (module.key, factor), (module.value, 1.0))
    weight = torch.cat([layer.weight * scale for layer, scale in layers])
    read = builder.dense(value, as_array(weight), as_array(torch.cat([layer.bias * scale for layer, scale in layers])))
    gates = add_module(module.gates, builder, value, _inside(name, "gates"))
    sizes = {"memory": heads * size * size, "normalizer": heads * size, "stabilizer": heads}
    hidden = builder.emit(
        "matrix_memory",
        read,
        builder.frame(heads * size),
        size=size,
        second=gates,
        parts=tuple([builder.state(_inside(name, part), own) for part, own in sizes.items()]),
        groups=heads,
    )
    output = builder.apply("sigmoid", add_module(module.output, builder, value, _inside(name, "output")))
    return builder.apply("multiply", output, hidden)


@lowers(LRU)
def _lru(module: LRU, builder: Builder, value: Value, name: str) -> Value:
    value, units = builder.require(value, module.input_size, name), module.hidden_size
    with torch.no_grad():
        weight = module.weight_ih * module.gamma.exp().repeat(2).unsqueeze(1)
        real, imaginary = (as_array(part) for part in module.eigenvalues())
    entering = builder.dense(value, as_array(weight), None)
    parts = [builder.state(_inside(name, part), units) for part in ("real", "imaginary")]
    after = builder.frame(2 * units)
    for k, factors in enumerate(((real, -imaginary), (imaginary, real))):
        own = builder.emit("copy", entering.part(k * units, units), after.part(k * units, units))
        for part, factor in zip(parts, factors, strict=True):
            term = builder.emit("scale", part, builder.frame(units), left=factor)
            builder.emit("add", term, own, second=own)
    for k, part in enumerate(parts):
        builder.emit("copy", after.part(k * units, units), part)
    output = builder.dense(after, as_array(module.weight_ho), None)
    skip = builder.emit("scale", value, builder.frame(value.size), left=as_array(module.skip))
    return builder.apply("add", output, skip)


@lowers(QRNN)
def _qrnn(module: QRNN, builder: Builder, value: Value, name: str) -> Value:
    gates = only_value(add_module(module.convolution, builder, value, _inside(name, "convolution")), name)
    z, f, o = (gates.part(k * module.output_size, module.output_size) for k in range(3))
    memory = builder.state(_inside(name, "c"), module.output_size)
    z, f, o = builder.apply("tanh", z), builder.apply("sigmoid", f), builder.apply("sigmoid", o)
    # f c + (1 - f) z = z + f (c - z)
    minus = builder.emit("scale", z, builder.frame(z.size), left=np.full(z.size, -1, np.float32))
    blended = builder.apply("multiply", f, builder.apply("add", memory, minus))
    builder.emit("add", z, memory, second=blended)
    return builder.apply("multiply", o, memory)


def _block(module: nn.Module, builder: Builder, value: Value, name: str) -> Value:
    return only_value(add_module(module, builder, value, name), name)


def _inside(name: str, part: str) -> str:
    return f"{name}.{part}" if name else part
