"""The operations of networks that read recordings; a step of the program is a step after the subsampling."""

import numpy as np
from torch import nn

from recurra.models.acoustic import CTCRecognizer, LookAhead, Subsampling, TransducerRecognizer
from recurra.program.builder import Builder, as_array
from recurra.program.lowering import add_module, lowers, only_value
from recurra.program.operations import Array, Value

__all__: list[str] = []

_BINS = 4  # of a product: fewer multiply fewer zeros, more make larger products


@lowers(CTCRecognizer)
def _recognizer(module: CTCRecognizer, builder: Builder, value: Value, name: str) -> Value:
    """The log probability of each unit (V,), `module.delay` steps late; a step reads `factor` frames (factor * F,)."""
    return builder.apply("log_softmax", add_module(module.scores, builder, _encoded(module, builder, value), "scores"))


@lowers(TransducerRecognizer)
def _transducer(module: TransducerRecognizer, builder: Builder, value: Value, name: str) -> Value:
    """What the joiner reads of a step (J,), as late."""
    return add_module(module.of_frames, builder, _encoded(module, builder, value), "of_frames")


def _encoded(module: CTCRecognizer, builder: Builder, value: Value) -> Value:
    value = add_module(module.subsampling, builder, value, "subsampling")
    for k, (layer, look_ahead) in enumerate(zip(module.layers, module.look_aheads, strict=True)):
        value = only_value(add_module(layer, builder, value, f"layers.{k}"), f"layers.{k}")
        value = add_module(look_ahead, builder, value, f"look_aheads.{k}")
        value = add_module(module.norms[k], builder, value, f"norms.{k}")
    return value


@lowers(LookAhead)
def _look_ahead(module: LookAhead, builder: Builder, value: Value, name: str) -> Value:
    value = builder.require(value, module.size, name)
    weight = as_array(module.weight)
    past = builder.state(f"{name}.past", module.steps * module.size)
    total = builder.emit("scale", value, builder.frame(module.size), left=weight[0])
    for back in range(1, module.steps + 1):
        # The oldest vector is the first.
        one = past.part((module.steps - back) * module.size, module.size)
        term = builder.emit("scale", one, builder.frame(module.size), left=weight[back])
        builder.emit("add", term, total, second=total)
    builder.emit("delay", value, past, size=module.size, groups=module.steps)
    return total


@lowers(Subsampling)
def _subsampling(module: Subsampling, builder: Builder, value: Value, name: str) -> Value:
    bins = module.input_size
    value = builder.require(value, module.factor * bins, name)
    frames = [value.part(k * bins, bins) for k in range(module.factor)]
    for k, convolution in enumerate(module.convolutions):
        assert isinstance(convolution, nn.Conv2d)
        last = builder.state(f"{name}.frame{k}", frames[0].size)
        frames = _convolved(builder, convolution, [last, *frames], bins)
        bins = -(-bins // 2)
    return add_module(module.norm, builder, frames[0], f"{name}.norm")


def _convolved(builder: Builder, convolution: nn.Conv2d, frames: list[Value], bins: int) -> list[Value]:
    """What a convolution makes of the frame before the step and those of the step; each has `bins` of its channels.

    The filters of a few neighbouring bins are one matrix, which has zeros where a filter does not read.
    """
    weight, bias = as_array(convolution.weight), as_array(convolution.bias)  # type: ignore[arg-type]
    filters, channels = weight.shape[:2]
    targets = []
    for first in range(0, len(frames) - 2, 2):
        target = builder.frame(-(-bins // 2) * filters)
        for start in range(0, -(-bins // 2), _BINS):
            count = min(_BINS, -(-bins // 2) - start)
            low, high = max(0, 2 * start - 1), min(bins, 2 * (start + count - 1) + 2)
            part = target.part(start * filters, count * filters)
            for k in range(3):
                matrix = _matrix(weight[:, :, k], range(start, start + count), range(low, high))
                builder.emit(
                    "dense",
                    frames[first + k].part(low * channels, (high - low) * channels),
                    part,
                    weight=matrix,
                    bias=np.tile(bias, count) if k == 0 else None,
                    accumulate=k > 0,
                )
        targets.append(builder.emit("relu", target, target))
    builder.emit("copy", frames[-1], frames[0])
    return targets


def _matrix(weight: Array, outputs: range, inputs: range) -> Array:
    """The matrix (N * filters, K * channels) from N of the output's bins to K of the input's.

    Args:
        weight: of one frame, (filters, channels, 3).
        outputs: the bins of the output; bin n reads 2 n - 1 to 2 n + 1 of the input.
        inputs: the bins of the input, all that these outputs read.
    """
    filters, channels, _ = weight.shape
    matrix = np.zeros((len(outputs), filters, len(inputs), channels), np.float32)
    for row, output in enumerate(outputs):
        for tap in range(3):
            read = 2 * output - 1 + tap
            if read in inputs:
                matrix[row, :, read - inputs.start] = weight[:, :, tap]
    return matrix.reshape(len(outputs) * filters, len(inputs) * channels)
