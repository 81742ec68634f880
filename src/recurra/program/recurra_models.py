"""The operations of the package's own models."""

import math
from functools import partial, reduce

import numpy as np
import torch

from recurra.errors import StreamError
from recurra.layers import InputDecay
from recurra.models.channel_forecaster import ErrorScores
from recurra.models.classifier import SequenceClassifier
from recurra.models.classifier_ensemble import ClassifierEnsemble
from recurra.models.detector_ensemble import EnsembleScores
from recurra.models.evidence import EvidenceClassifier
from recurra.models.language import RecurrentLanguageModel
from recurra.models.pooling import Pooling
from recurra.models.step_classifier import StepClassifier
from recurra.models.tagger import SequenceTagger
from recurra.models.timed_forecaster import TimedErrorScores
from recurra.program.builder import Builder, as_array
from recurra.program.lowering import add_module, lowers, only_value
from recurra.program.operations import Array, Value
from recurra.program.torch_modules import add_recurrent

__all__: list[str] = []

_LEAST = 1e-30  # probability
_LOWEST = float(np.finfo(np.float32).min)


@lowers(RecurrentLanguageModel)
def _language_model(module: RecurrentLanguageModel, builder: Builder, value: Value, name: str) -> Value:
    """The log probability of every symbol (V,), in nats, after the symbols so far."""
    if module.adaptive is not None:
        raise StreamError("cutoffs: one step of an adaptive softmax is not known; train without `cutoffs` to stream")
    value = add_module(module.embedding, builder, value, "embedding")
    value = only_value(add_module(module.recurrent, builder, value, "recurrent"), "recurrent")
    if module.projection is not None:
        value = add_module(module.projection, builder, value, "projection")
    assert module.weight is not None
    bias = None if module.bias is None else as_array(module.bias)
    return builder.apply("log_softmax", builder.dense(value, as_array(module.weight), bias))


@lowers(SequenceClassifier)
def _classifier(module: SequenceClassifier, builder: Builder, value: Value, name: str) -> Value:
    """The scores of the labels (K,) after the steps so far."""
    if module.convolution is not None:
        raise StreamError(
            "convolution: its filters see steps to come, which a stream does not have. Train with filters=0."
        )
    value = builder.require(value, module.input_size, name)
    read, elapsed = value, None
    if module.num_times:
        elapsed = value.part(module.input_size - module.num_times, module.num_times)
    if module.decay is not None:
        read, ages = _decayed(module.decay, builder, value, name)
        elapsed = ages if module.elapsed_size > 1 else elapsed
    if elapsed is None:
        output = only_value(add_module(module.recurrent, builder, read, "recurrent"), "recurrent")
    else:
        output = only_value(add_recurrent(module.recurrent, builder, read, elapsed, "recurrent"), "recurrent")
    pooled = add_module(module.pooling, builder, output, "pooling")
    return add_module(module.scores, builder, pooled, "scores")


@lowers(StepClassifier)
def _step_classifier(module: StepClassifier, builder: Builder, value: Value, name: str) -> Value:
    """The scores of the labels (K,) of the present step."""
    value = builder.require(value, module.input_size, name)
    output = only_value(add_module(module.recurrent, builder, value, "recurrent"), "recurrent")
    return add_module(module.scores, builder, output, "scores")


def _decayed(module: InputDecay, builder: Builder, value: Value, name: str) -> tuple[Value, Value]:
    """What `InputDecay` returns, from values, marks and a time (2 C + 1,); the first with that time."""
    count = module.channels
    values, missing, elapsed = value.part(0, count), value.part(count, count), value.part(2 * count, 1)
    prefix = f"{name}." if name else ""
    last, age, before = (builder.state(f"{prefix}{part}", count) for part in ("last", "age", "missing_before"))
    builder.emit("multiply", before, age, second=age)
    builder.emit("add", builder.dense(elapsed, np.ones((count, 1), np.float32), None), age, second=age)
    present = _affine(builder, missing, -1, 1)
    builder.emit("multiply", missing, last, second=last)
    builder.emit("add", builder.apply("multiply", present, values), last, second=last)
    weighted = builder.frame(count)
    builder.emit("scale", age, weighted, left=as_array(module.weight), right=as_array(module.bias))
    decay = builder.apply("exp", _affine(builder, builder.apply("relu", weighted), -1, 0))
    # 1 where a value is there, else the decay.
    factor = builder.apply("add", present, builder.apply("multiply", missing, decay))
    inputs = builder.frame(value.size)
    builder.emit("multiply", factor, inputs.part(0, count), second=last)
    builder.emit("copy", value.part(count, count + 1), inputs.part(count, count + 1))
    builder.emit("copy", missing, before)
    return inputs, age


@lowers(EvidenceClassifier)
def _evidence(module: EvidenceClassifier, builder: Builder, value: Value, name: str) -> Value:
    value = builder.require(value, module.input_size, name)
    scores = _classifier(module, builder, value, name)
    kinds = len(module.evidence)
    evidence = value.part(value.size - kinds * scores.size, kinds * scores.size)
    sums = builder.state("evidence", evidence.size)
    builder.emit("add", evidence, sums, second=sums)
    for kind, weight in enumerate(as_array(module.evidence)):
        weighted = builder.emit(
            "scale",
            sums.part(kind * scores.size, scores.size),
            builder.frame(scores.size),
            left=np.full(scores.size, weight, np.float32),
        )
        builder.emit("add", weighted, scores, second=scores)
    return scores


@lowers(ClassifierEnsemble)
def _ensemble(module: ClassifierEnsemble, builder: Builder, value: Value, name: str) -> Value:
    value = builder.require(value, module.input_size, name)
    scores = [add_module(member, builder, value, f"networks.{k}") for k, member in enumerate(module.networks)]
    total = scores[0]
    for one in scores[1:]:
        total = builder.apply("add", total, one)
    factor = np.full(total.size, 1 / len(scores), np.float32)
    return builder.emit("scale", total, builder.frame(total.size), left=factor)


@lowers(Pooling)
def _pooling(module: Pooling, builder: Builder, value: Value, name: str) -> Value:
    """One vector from the steps so far."""
    value = builder.require(value, module.size, name)
    pooled = builder.frame(module.output_size)
    for k, kind in enumerate(module.kinds):
        target = pooled.part(k * value.size, value.size)
        if kind == "last" and module.bidirectional:
            raise StreamError(
                f"{name}: 'last': the last output of a backward direction is that of the first step, which a stream "
                "has left behind. Train with pooling='max', 'mean' or 'attention', or with bidirectional=False."
            )
        if kind == "last":
            builder.emit("copy", value, target)
        elif kind == "mean":
            count, mean = builder.state(f"{name}.count", 1), builder.state(f"{name}.mean", value.size)
            builder.emit("mean", value, mean, second=count)
            builder.emit("copy", mean, target)
        elif kind == "max":
            largest = builder.state(f"{name}.max", value.size, _LOWEST)
            builder.emit("largest", value, largest)
            builder.emit("copy", largest, target)
        else:
            assert module.scores is not None
            score = add_module(module.scores, builder, value, f"{name}.scores")
            memory = builder.state(f"{name}.largest_score", 1, _LOWEST), builder.state(f"{name}.sums", 1 + value.size)
            builder.emit("attend", value, target, second=score, parts=memory)
    return pooled


@lowers(SequenceTagger)
def _tagger(module: SequenceTagger, builder: Builder, value: Value, name: str) -> Value:
    """The probability of each tag (K,) of the present word given the words read; it reads the embedded word."""
    value = builder.require(value, module.embedding.size, name)
    output = only_value(add_module(module.recurrent, builder, value, "recurrent"), "recurrent")
    emissions = add_module(module.emissions, builder, output, "emissions")
    if module.crf is None:
        return builder.apply("softmax", emissions)
    chain = module.crf(torch.zeros(1, 1, len(module.crf.starts)))
    factors = (chain.transitions - chain.transitions.max()).exp()
    # The backward algorithm over the words ahead, where there are any, then the forward algorithm. Their states are
    # the logarithms of what is expected of the tag before and of the next, up to a constant.
    ahead = None
    if builder.looks_ahead:
        own = Builder(emissions.size)
        after = own.state("crf.after", emissions.size)
        told = own.apply("copy", after)
        _expect(own, own.apply("softmax", own.apply("add", own.input, after)), factors, after)
        ends = chain.ends.clamp(min=math.log(_LEAST))
        ahead = builder.run_backward(emissions, own.finish(told), as_array(ends))
    starts = chain.starts.clamp(min=math.log(_LEAST)).tolist()
    expected = builder.state("crf.expected", emissions.size, tuple(starts))
    scores = builder.apply("add", emissions, expected)
    probabilities = builder.apply("softmax", scores)
    _expect(builder, probabilities, factors.t(), expected)
    return probabilities if ahead is None else builder.apply("softmax", builder.apply("add", scores, ahead))


def _expect(builder: Builder, probabilities: Value, factors: torch.Tensor, target: Value) -> None:
    """What tags are expected beside a word whose own have these probabilities, as logarithms.

    A tag that cannot be there has a very small probability and not 0: the state stays finite.
    """
    least = np.full(len(factors), _LEAST, np.float32)
    builder.emit("log", builder.dense(probabilities, as_array(factors), least), target)


@lowers(ErrorScores)
def _error_scores(module: ErrorScores, builder: Builder, value: Value, name: str) -> Value:
    network, channels, horizon, size = module.network, module.network.channels, module.network.horizon, module.read
    prefix = f"{name}." if name else ""
    value = builder.require(value, 2 * size + (1 + horizon) * channels, name)
    present, instead = value.part(size, size), value.part(2 * size + channels, horizon * channels)
    missing = _affine(builder, present, -1, 1)
    last = builder.state(f"{prefix}last", size)
    builder.emit("multiply", missing, last, second=last)
    builder.emit("add", builder.apply("multiply", present, value.part(0, size)), last, second=last)
    read = builder.frame(network.recurrent.input_size)
    builder.emit("copy", last, read.part(0, size))
    if module.marks_missing:
        builder.emit("copy", missing, read.part(size, size))
    output = add_module(network.recurrent, builder, read, f"{prefix}network.recurrent")
    ahead = only_value(add_module(network.output, builder, only_value(output, name), f"{prefix}network.output"), name)
    last, present, missing = (one.part(0, channels) for one in (last, present, missing))
    # The vectors before this step, the oldest first; what step n ahead said of this one is in the n-th from the end.
    past = builder.state(f"{prefix}forecasts", horizon * ahead.size)
    known = builder.state(f"{prefix}known", horizon * channels)
    errors = builder.frame(ahead.size)
    mean = as_array(module.mean)
    for step in range(horizon):
        own = slice(step * channels, (step + 1) * channels)
        back = (horizon - 1 - step) * ahead.size
        minus = _affine(builder, past.part(back + step * channels, channels), -1, -mean[own])
        error = builder.apply("multiply", present, builder.apply("add", minus, last))
        assumed = builder.apply("multiply", missing, instead.part(step * channels, channels))
        error = builder.apply("add", error, assumed)
        there = known.part((horizon - 1 - step) * channels, channels)
        builder.emit("multiply", error, errors.part(step * channels, channels), second=there)
    expected = past.part((horizon - 1) * ahead.size, channels)
    result = _two_scores(module, builder, errors, value.part(2 * size, channels), expected, prefix)
    builder.emit("delay", ahead, past, size=ahead.size, groups=horizon)
    builder.emit("delay", _affine(builder, present, 0, 1), known, size=channels, groups=horizon)
    return result


def _two_scores(
    module: ErrorScores | TimedErrorScores, builder: Builder, errors: Value, beyond: Value, expected: Value, prefix: str
) -> Value:
    """The scores of a step by its errors (N * C,), and what was expected (C,); see `ErrorScores.forward`."""
    channels, horizon = module.network.channels, module.network.horizon
    terms = builder.apply("multiply", errors, builder.dense(errors, as_array(module.precision / errors.size), None))
    total = terms.part(0, channels)
    for step in range(1, horizon):
        total = builder.apply("add", total, terms.part(step * channels, channels))
    following = builder.apply("add", errors.part(0, channels), beyond)
    weighted = builder.dense(following, as_array(module.next_precision / channels), None)
    fast = builder.apply("multiply", following, weighted)
    # 1 after the warm-up, else 0, from the count of the steps before this one.
    count = builder.state(f"{prefix}count", 1)
    after = builder.apply("relu", _affine(builder, count, 1, 1 - module.warm_up))
    more = builder.apply("relu", _affine(builder, count, 1, -module.warm_up))
    judged = builder.apply("add", after, _affine(builder, more, -1, 0))
    builder.emit("scale", count, count, left=np.ones(1, np.float32), right=np.ones(1, np.float32))
    judged = builder.dense(judged, np.ones((channels, 1), np.float32), None)
    total = builder.apply("multiply", total, judged)
    smooth = builder.state(f"{prefix}scores", channels)
    builder.emit("blend", smooth, smooth, second=total, number=1 - module.keep)
    short = builder.state(f"{prefix}short", 1)
    whole = builder.dense(total, np.ones((1, channels), np.float32), None)
    builder.emit("blend", short, short, second=whole, number=1 - module.short_keep)
    result = builder.frame(3 * channels + 1)
    builder.emit("copy", smooth, result.part(0, channels))
    builder.emit("copy", expected, result.part(channels, channels))
    builder.emit("multiply", fast, result.part(2 * channels, channels), second=judged)
    builder.emit("copy", short, result.part(3 * channels, 1))
    return result


@lowers(TimedErrorScores)
def _timed_error_scores(module: TimedErrorScores, builder: Builder, value: Value, name: str) -> Value:
    """The states "ahead" and "times" are those from which a stream computes the errors of the next row."""
    network, channels, horizon = module.network, module.network.channels, module.network.horizon
    prefix = f"{name}." if name else ""
    value = builder.require(value, module.input_size, name)
    features, elapsed = value.part(0, network.input_size), value.part(network.input_size, 1)
    layers = f"{prefix}network.recurrent"
    if network.reads_elapsed:
        output = add_recurrent(network.recurrent, builder, features, elapsed, layers)
    else:
        output = add_module(network.recurrent, builder, features, layers)
    amplitudes = add_module(network.amplitudes, builder, only_value(output, name), f"{prefix}network.amplitudes")
    left = only_value(amplitudes, name)
    first = network.input_size + 1 + module.read
    errors = value.part(first, horizon * channels)
    beyond, expected = (value.part(first + (horizon + k) * channels, channels) for k in range(2))
    result = _two_scores(module, builder, errors, beyond, expected, prefix)
    # Of the last rows, the oldest first.
    past = builder.state(f"{prefix}ahead", horizon * left.size)
    times = builder.state(f"{prefix}times", horizon * (1 + module.read))
    last = builder.state(f"{prefix}last", module.read)
    builder.emit("delay", left, past, size=left.size, groups=horizon)
    row = value.part(network.input_size, 1 + module.read)
    builder.emit("delay", row, times, size=row.size, groups=horizon)
    builder.emit("copy", features.part(0, module.read), last)
    return result


@lowers(EnsembleScores)
def _ensemble_scores(module: EnsembleScores, builder: Builder, value: Value, name: str) -> Value:
    shared, own = module.shared, module.horizon * module.channels
    value = builder.require(value, shared + len(module.members) * own, name)
    weighted = []
    for k, (member, factors) in enumerate(zip(module.members, as_array(module.factors()), strict=True)):
        read = builder.frame(shared + own)
        builder.emit("copy", value.part(0, shared), read.part(0, shared))
        builder.emit("copy", value.part(shared + k * own, own), read.part(shared, own))
        result = only_value(add_module(member, builder, read, f"members.{k}"), name)
        weighted.append(builder.emit("scale", result, builder.frame(result.size), left=factors))
    return reduce(partial(builder.apply, "add"), weighted)


def _affine(builder: Builder, value: Value, factor: float, term: float | Array) -> Value:
    """factor * value + term."""
    left = np.full(value.size, factor, np.float32)
    right = np.broadcast_to(np.asarray(term, np.float32), value.size).copy()
    return builder.emit("scale", value, builder.frame(value.size), left=left, right=right)
