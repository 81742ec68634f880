"""What `inspect` shows of a classifier."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from recurra.data.batches.ignored import is_ignored
from recurra.data.labelled.items import Items, take, values_of
from recurra.data.labelled.text_encoding import TextEncoding
from recurra.data.labelled.texts import LabelledTexts
from recurra.errors import ParameterError
from recurra.inspection import Words
from recurra.task import View
from recurra.task.architecture import stack_in_words
from recurra.task.reservoir_options import reservoir_in_words
from recurra.tasks.classify.network import FittedClassifier, log_odds, with_defaults
from recurra.tasks.classify.results import evaluate
from recurra.text_table import one_line, percent

__all__ = ["view"]

_ITEMS = 32
_CANDIDATES = 512
_TYPICAL_LENGTH = 15  # tokens
_LONGEST_TEXT = 60  # tokens, but for the text plotted
_LONGEST_SERIES = 200  # steps, but for the series plotted
_MOST_SHOWN = 300  # characters of the text plotted

_ONE_LAYER = "The network has 1 recurrent layer of {hidden_size} {cell} units."
_LAYERS = "The network has {num_layers} recurrent layers of {hidden_size} {cell} units."
_ONE_LAYER_BOTH_WAYS = "The network has 1 recurrent layer of {hidden_size} {cell} units in each direction."
_LAYERS_BOTH_WAYS = "The network has {num_layers} recurrent layers of {hidden_size} {cell} units in each direction."
_ENSEMBLE = "It is the first of {members} networks whose scores are averaged."
_FEATURES = "It reads {features} features of each {step}."
_ONE_FEATURE = "It reads 1 feature of each {step}."
_ONE_LABEL = "It distinguishes {labels} labels, one of which each {item} has."
_MULTI_LABEL = "It distinguishes {labels} labels, any number of which a {item} has."
_TEMPERATURE = "The temperature is {temperature:.2f}."
_ONE_TEXT = "1 text is shown."
_TEXTS = "{count} texts are shown, spread over the data."
_ONE_SERIES = "1 series is shown."
_SERIES = "{count} series are shown, spread over the data."
_PLOTTED_TEXT = "Text {position} is plotted: “{text}”."
_PLOTTED_SERIES = "Series {position}, of {steps} steps, is plotted."
_PLOTTED_NAMED_SERIES = "Series {position} ({id}), of {steps} steps, is plotted."
_UNLABELLED = "It has no label."
_LABELLED = "Its label is {labels}."
_LABELLED_SEVERAL = "Its labels are {labels}."
_UNSEEN = "Training never saw {unseen}."
_PREDICTED = "The model predicts {labels}."
_NONE_PREDICTED = "The model predicts no label."
_PREDICTED_LABEL = "{label} ({probability} %)"
_LAST = "The loss reads the output at the last {step} alone."
_LAST_BOTH_WAYS = (
    "The loss reads the output at the last {step} alone; of the reverse direction that at the first, where it ends."
)
_POOLED = (
    "The loss reads the outputs at all {step}s of a {item}, pooled by {kinds}. Gradients therefore reach each state "
    "from above as well as through time. By lag, counted from the last {step}, they need not decay: the Jacobians show "
    "what is remembered, and not the horizon fitted."
)
_POOLED_BOTH_WAYS = (
    "The loss reads the outputs at all {step}s of a {item}, pooled by {kinds}. Gradients therefore reach each state "
    "from above as well as through time. By lag, counted from the last {step} (the first for the reverse direction, "
    "which ends there), they need not decay: the Jacobians show what is remembered, and not the horizon fitted."
)
_CONVOLUTION = (
    "The recurrent layers read the outputs of {filters} filters over {seen} {step}s. The picture of the network ends "
    "there, and attributions reach the {step}s themselves."
)
_STRIDED_CONVOLUTION = (
    "The recurrent layers read the outputs of {filters} filters over {seen} {step}s, one step for every {stride} "
    "{step}s. Gradients, Jacobians and exponents are by these steps; attributions and forgetting are by {step}s."
)
_STRIDED_STEP = "step of the recurrent layers, one for every {stride} {step}s"
_INPUTS_TEXTS = (
    "A {step} is not a number. Gradients and attributions are with respect to its embedding, and a {step} that is "
    "taken away becomes the mean of those read, where `recurra explain` takes unknown words."
)
_INPUTS_SPELLED_TEXTS = (
    "A {step} is not a number. Gradients and attributions are with respect to its embedding and the features of its "
    "spelling, and a {step} that is taken away becomes the mean of those read, where `recurra explain` takes unknown "
    "words."
)
_INPUTS_RAW = (
    "Gradients and attributions are with respect to values as they are, all channels of a step together. A step that "
    "is taken away becomes the mean of the steps of these series."
)
_INPUTS_NORMALIZED = (
    "Gradients and attributions are with respect to normalised values, all channels of a step together. A step that is "
    "taken away becomes the mean of the steps of these series."
)
_LOSS_MULTI_LABEL = "the mean binary cross-entropy of all {labels} labels; {lags}"
_LOSS_ONE_LABEL = "-log p of the label of each {item}, or of the one predicted if its own is not known; {lags}"
_LAGS = "lags count from its end"
_LAGS_BOTH_WAYS = "lags count from its end for the forward direction, and from its beginning for the reverse one"


def view(model: FittedClassifier, data: Items, row: int | None, label: str | None, name: str) -> View:
    """What `inspect` shows of a classifier; see `Classifier.view`."""
    learned = model.learned
    learned.labels.check(label)
    members = with_defaults(model.options, learned)["members"]
    rows = _chosen(model, data, row)
    items = take(data, rows)
    encoded = learned.encode(values_of(items), items.source)
    batch = encoded.batch(np.arange(len(rows))).to(model.device)
    with torch.no_grad():
        logits = model.network.eval()(batch)[0]
    target = _target(model, items, logits)
    index = logits.argmax(1) if label is None else torch.full_like(logits.argmax(1), learned.labels.names[label])
    plotted = _Plotted(rows[0], int(index[0]), learned.probabilities(logits.cpu().numpy())[0], label is not None)
    lengths = torch.from_numpy(encoded.lengths).unsqueeze(1)
    back = lengths - 1 - torch.arange(int(lengths.max()))
    return View(
        (batch,),
        _words(model, items, plotted, name),
        loss=lambda output: _loss(output[0] / learned.temperature, target),
        output=lambda output: log_odds(output[0] / learned.temperature, index, learned.labels.multi_label),
        reads="classifier",
        layers=["classifier.networks.0.recurrent" if members > 1 else "classifier.recurrent"],
        evaluate=None if data.labels is None else lambda: evaluate(model, data),
        distances=[back.clamp(min=-1).to(model.device)],
        alone=(
            (encoded.batch(np.arange(1)).to(model.device),),
            lambda output: log_odds(output[0] / learned.temperature, index[:1], learned.labels.multi_label),
        ),
    )


@dataclass(frozen=True)
class _Plotted:
    """The item to draw: its index among all, the label attributed, every label's probability, and whether the label
    was asked for."""

    row: int
    label: int
    probabilities: np.ndarray
    asked: bool


def _chosen(model: FittedClassifier, data: Items, row: int | None) -> list[int]:
    """The item to draw, then others that are not much longer, spread over all."""
    if row is not None and not 1 <= row <= len(data):
        raise ParameterError("row", f"1 to {len(data)}, the items of {data.source}", row)
    spread = np.linspace(0, len(data) - 1, min(_CANDIDATES, len(data))).round().astype(int)
    candidates = np.unique(spread if row is None else [*spread, row - 1])
    values, encoding, longest = values_of(data), model.learned.encoding, _LONGEST_SERIES
    if isinstance(encoding, TextEncoding):
        longest = _LONGEST_TEXT
        lengths = np.array([len(encoding.tokens(values[index])) for index in candidates])
        first = int(np.abs(lengths - _TYPICAL_LENGTH).argmin())
    else:
        lengths = np.array([len(values[index]) for index in candidates])
        first = int((lengths <= longest).argmax() if lengths.min() <= longest else lengths.argmin())
    if row is not None:
        first = int(np.searchsorted(candidates, row - 1))
    plotted = int(candidates[first])
    others = candidates[(lengths <= max(longest, lengths[first])) & (candidates != plotted)]
    # Beside a long one fewer: what is computed grows with all steps.
    count = min(_ITEMS * longest // max(longest, int(lengths[first])) - 1, len(others))
    spread = np.unique(np.linspace(0, len(others) - 1, max(count, 0)).round().astype(int))
    return [plotted, *others[spread].tolist()]


def _target(model: FittedClassifier, items: Items, logits: Tensor) -> Tensor:
    """The true labels see `LabelSet.encode`; those predicted if they are not known."""
    multi_label = model.learned.labels.multi_label
    if items.labels is None:
        return (logits > 0).to(logits) if multi_label else logits.argmax(1)
    known = items.labels if multi_label else [labels if len(labels) == 1 else () for labels in items.labels]
    target = model.learned.labels.encode(known).to(logits.device)
    return target if multi_label else torch.where(is_ignored(target), logits.argmax(1), target)


def _loss(logits: Tensor, target: Tensor) -> Tensor:
    """The sum over items, each one's its own."""
    if target.is_floating_point():
        return F.binary_cross_entropy_with_logits(logits, target, reduction="none").mean(1).sum()
    return F.cross_entropy(logits, target, reduction="sum")


def _words(model: FittedClassifier, items: Items, plotted: _Plotted, name: str) -> Words:
    options, encoding = with_defaults(model.options, model.learned), model.learned.encoding
    texts = isinstance(encoding, TextEncoding)
    item, step = (
        ("text", "character" if options["tokenization"] == "characters" else "token") if texts else ("series", "step")
    )
    label = one_line(model.learned.labels.names.symbols[plotted.label])
    facts = {
        "run": name,
        "data": items.source,
        "network": _network(model, item, step),
        "looked at": _looked_at(model, items, plotted),
        "pooling": _pooling(
            options["pooling"], options["bidirectional"], item, step if options["stride"] == 1 else "step"
        ),
        "convolution": _convolution(options["filters"], options["kernel_sizes"], options["stride"], step),
        "inputs": _inputs(model, step),
    }
    loss = _LOSS_MULTI_LABEL if model.learned.labels.multi_label else _LOSS_ONE_LABEL
    lags = _LAGS_BOTH_WAYS if options["bidirectional"] else _LAGS
    return Words(
        title=f"Inspection of {name}" if name else "Inspection of a classifier",
        facts={key: value for key, value in facts.items() if value},
        loss=loss.format(labels=len(model.learned.labels), item=item, lags=lags),
        output=f"log-odds of label {label}" if plotted.asked else "log-odds of the likeliest label",
        plotted=f"log-odds of label {label}",
        unit="nats",
        first_step=1,
        step=step,
        labels=_tokens(encoding, items),
        mean="the mean embedding" if texts else "the mean step",
        layer_step="" if options["stride"] == 1 else _STRIDED_STEP.format(stride=options["stride"], step=step),
    )


def _tokens(encoding: Any, items: Items) -> Sequence[str]:
    """The tokens of the text plotted; none of a series."""
    if not isinstance(items, LabelledTexts):
        return ()
    return [one_line(token) for token in encoding.tokens(items.texts[0])]


def _network(model: FittedClassifier, item: str, step: str) -> str:
    options, labels = with_defaults(model.options, model.learned), model.learned.labels
    features = model.network.classifier.input_size
    one, more = (_ONE_LAYER_BOTH_WAYS, _LAYERS_BOTH_WAYS) if options["bidirectional"] else (_ONE_LAYER, _LAYERS)
    sentences = [stack_in_words(options) or (one if options["num_layers"] == 1 else more).format_map(options)]
    sentences += reservoir_in_words(options)
    if options["members"] > 1:
        sentences.append(_ENSEMBLE.format_map(options))
    sentences += [
        (_ONE_FEATURE if features == 1 else _FEATURES).format(features=features, step=step),
        (_MULTI_LABEL if labels.multi_label else _ONE_LABEL).format(labels=len(labels), item=item),
        _TEMPERATURE.format(temperature=model.learned.temperature),
    ]
    return " ".join(sentences)


def _looked_at(model: FittedClassifier, items: Items, plotted: _Plotted) -> str:
    count, position = len(values_of(items)), plotted.row + 1
    if isinstance(items, LabelledTexts):
        shown = (_ONE_TEXT if count == 1 else _TEXTS).format(count=count)
        which = _PLOTTED_TEXT.format(position=position, text=one_line(items.texts[0], _MOST_SHOWN))
    else:
        shown = (_ONE_SERIES if count == 1 else _SERIES).format(count=count)
        name = one_line(items.ids[0])
        template = _PLOTTED_SERIES if name == f"{position}" else _PLOTTED_NAMED_SERIES
        which = template.format(position=position, id=name, steps=len(items.series[0]))
    names = model.learned.labels.names
    (predicted,) = model.learned.labels.decode(plotted.probabilities[np.newaxis])
    predictions = [
        _PREDICTED_LABEL.format(label=one_line(label), probability=percent(plotted.probabilities[names[label]]))
        for label in predicted
    ]
    prediction = (_PREDICTED if predictions else _NONE_PREDICTED).format(labels=", ".join(predictions))
    return " ".join([shown, which, *_labelled(model, items), prediction])


def _labelled(model: FittedClassifier, items: Items) -> list[str]:
    """Sentences about the labels of the item plotted."""
    labels = () if items.labels is None else items.labels[0]
    if not labels:
        return [_UNLABELLED]
    unseen = [one_line(label) for label in labels if label not in model.learned.labels.names]
    template = _LABELLED if len(labels) == 1 else _LABELLED_SEVERAL
    sentences = [template.format(labels=", ".join(map(one_line, labels)))]
    return sentences + ([_UNSEEN.format(unseen=", ".join(unseen))] if unseen else [])


def _pooling(kinds: Sequence[str], bidirectional: bool, item: str, step: str) -> str:
    if set(kinds) == {"last"}:
        return (_LAST_BOTH_WAYS if bidirectional else _LAST).format(step=step)
    template = _POOLED_BOTH_WAYS if bidirectional else _POOLED
    return template.format(kinds=" and ".join(kinds), step=step, item=item)


def _convolution(filters: int, kernel_sizes: Sequence[int], stride: int, step: str) -> str:
    if not filters:
        return ""
    seen = 1 + sum(size - 1 for size in kernel_sizes)
    template = _CONVOLUTION if stride == 1 else _STRIDED_CONVOLUTION
    return template.format(filters=filters, seen=seen, stride=stride, step=step)


def _inputs(model: FittedClassifier, step: str) -> str:
    if model.learned.reads_texts:
        template = _INPUTS_TEXTS if model.options["characters"] == "none" else _INPUTS_SPELLED_TEXTS
        return template.format(step=step)
    return _INPUTS_RAW if model.options["normalization"] == "none" else _INPUTS_NORMALIZED
