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
from recurra.data.labelled.texts import LabelledTexts
from recurra.errors import ParameterError
from recurra.inspection import Words
from recurra.task import View
from recurra.tasks.classify.defaults import resolved
from recurra.tasks.classify.encoding import TextEncoding
from recurra.tasks.classify.network import FittedClassifier, log_odds
from recurra.tasks.classify.results import evaluate
from recurra.text_table import one_line

__all__ = ["view"]

_ITEMS = 32
_CANDIDATES = 512
_DRAWN = 15  # tokens
_LONGEST_TEXT = 60  # tokens, but for the text drawn
_LONGEST_SERIES = 200  # steps, but for the series drawn
_MOST_SHOWN = 300  # characters of the text drawn


def view(model: FittedClassifier, given: Items, row: int | None, label: str | None, name: str) -> View:
    """What `inspect` shows of a classifier; see `Classifier.view`."""
    learned = model.learned
    learned.labels.check(label)
    members = resolved(model.options, learned)["members"]
    rows = _chosen(model, given, row)
    items = take(given, rows)
    encoded = learned.encode(values_of(items), items.source)
    batch = encoded.batch(np.arange(len(rows))).to(model.device)
    with torch.no_grad():
        logits = model.network.eval()(batch)[0]
    target = _target(model, items, logits)
    index = logits.argmax(1) if label is None else torch.full_like(logits.argmax(1), learned.labels.names[label])
    drawn = _Drawn(rows[0], int(index[0]), learned.probabilities(logits.cpu().numpy())[0], label is not None)
    lengths = torch.from_numpy(encoded.lengths).unsqueeze(1)
    back = lengths - 1 - torch.arange(int(lengths.max()))
    return View(
        (batch,),
        _words(model, items, drawn, name),
        loss=lambda output: _loss(output[0] / learned.temperature, target),
        output=lambda output: log_odds(output[0] / learned.temperature, index, learned.labels.multi_label),
        reads="classifier",
        layers=["classifier.members.0.recurrent" if members > 1 else "classifier.recurrent"],
        evaluate=None if given.labels is None else lambda: evaluate(model, given),
        distances=[back.clamp(min=-1).to(model.device)],
        alone=(
            (encoded.batch(np.arange(1)).to(model.device),),
            lambda output: log_odds(output[0] / learned.temperature, index[:1], learned.labels.multi_label),
        ),
    )


@dataclass(frozen=True)
class _Drawn:
    """The item to draw: its place among all, the label attributed, every label's probability, and whether the label
    was asked for."""

    row: int
    label: int
    probabilities: np.ndarray
    asked: bool


def _chosen(model: FittedClassifier, given: Items, row: int | None) -> list[int]:
    """The item to draw, then others that are not much longer, spread over all."""
    if row is not None and not 1 <= row <= len(given):
        raise ParameterError("row", f"1 to {len(given)}, the items of {given.source}", row)
    spread = np.linspace(0, len(given) - 1, min(_CANDIDATES, len(given))).round().astype(int)
    candidates = np.unique(spread if row is None else [*spread, row - 1])
    values, encoding, longest = values_of(given), model.learned.encoding, _LONGEST_SERIES
    if isinstance(encoding, TextEncoding):
        longest = _LONGEST_TEXT
        lengths = np.array([len(encoding.tokens(values[number])) for number in candidates])
        place = int(np.abs(lengths - _DRAWN).argmin())
    else:
        lengths = np.array([len(values[number]) for number in candidates])
        place = int((lengths <= longest).argmax() if lengths.min() <= longest else lengths.argmin())
    if row is not None:
        place = int(np.searchsorted(candidates, row - 1))
    drawn = int(candidates[place])
    others = candidates[(lengths <= max(longest, lengths[place])) & (candidates != drawn)]
    # Beside a long one fewer: what is computed grows with all steps.
    count = min(_ITEMS * longest // max(longest, int(lengths[place])) - 1, len(others))
    places = np.unique(np.linspace(0, len(others) - 1, max(count, 0)).round().astype(int))
    return [drawn, *others[places].tolist()]


def _target(model: FittedClassifier, items: Items, logits: Tensor) -> Tensor:
    """The true labels see `LabelSet.encode`; those predicted if they are not known."""
    multi_label = model.learned.labels.multi_label
    if items.labels is None:
        return (logits > 0).to(logits) if multi_label else logits.argmax(1)
    known = items.labels if multi_label else [found if len(found) == 1 else () for found in items.labels]
    target = model.learned.labels.encode(known).to(logits.device)
    return target if multi_label else torch.where(is_ignored(target), logits.argmax(1), target)


def _loss(logits: Tensor, target: Tensor) -> Tensor:
    """The sum over items, each one's its own."""
    if target.is_floating_point():
        return F.binary_cross_entropy_with_logits(logits, target, reduction="none").mean(1).sum()
    return F.cross_entropy(logits, target, reduction="sum")


def _words(model: FittedClassifier, items: Items, drawn: _Drawn, name: str) -> Words:
    options, encoding = resolved(model.options, model.learned), model.learned.encoding
    texts = isinstance(encoding, TextEncoding)
    item, step = (
        ("text", "character" if options["tokenization"] == "characters" else "token") if texts else ("series", "step")
    )
    label = one_line(model.learned.labels.names.symbols[drawn.label])
    facts = {
        "run": name,
        "data": items.source,
        "network": _network(model, step),
        "looked at": _looked_at(model, items, drawn, item),
        "pooling": _pooling(
            options["pooling"], options["bidirectional"], item, step if options["stride"] == 1 else "step"
        ),
        "convolution": _convolution(options["filters"], options["kernel_sizes"], options["stride"], step),
        "inputs": _inputs(model, step),
    }
    loss = f"the mean binary cross-entropy of all {len(model.learned.labels)} labels"
    if not model.learned.labels.multi_label:
        loss = f"-log p of the label of each {item}, or of the one predicted if its own is not known"
    count = "from its end for the forward direction, from its beginning for the reverse one"
    return Words(
        title=f"Inspection of {name}" if name else "Inspection of a classifier",
        facts={key: value for key, value in facts.items() if value},
        loss=f"{loss}; lags count {count if options['bidirectional'] else 'from its end'}",
        output=f"log-odds of label {label}" if drawn.asked else "log-odds of the likeliest label",
        drawn=f"log-odds of label {label}",
        unit="nats",
        first_step=1,
        step=step,
        labels=_tokens(encoding, items),
        mean="the mean embedding" if texts else "the mean step",
        layer_step=""
        if options["stride"] == 1
        else f"step of the recurrent layers, one for every {options['stride']} {step}s",
    )


def _tokens(encoding: Any, items: Items) -> Sequence[str]:
    """The tokens of the text drawn; none of a series."""
    if not isinstance(items, LabelledTexts):
        return ()
    return [one_line(token) for token in encoding.tokens(items.texts[0])]


def _network(model: FittedClassifier, step: str) -> str:
    options, labels = resolved(model.options, model.learned), model.learned.labels
    directions = " in each direction" if options["bidirectional"] else ""
    multi_label = ", several an item" if labels.multi_label else ""
    ensemble = (
        f", the first of {options['members']} networks whose scores are averaged" if options["members"] > 1 else ""
    )
    return (
        f"{options['num_layers']} x {options['cell']} of {options['hidden_size']} units{directions}{ensemble}; "
        f"{model.network.classifier.input_size} features of a {step} are read; {len(labels)} labels{multi_label}; "
        f"temperature {model.learned.temperature:.2f}"
    )


def _looked_at(model: FittedClassifier, items: Items, drawn: _Drawn, item: str) -> str:
    if isinstance(items, LabelledTexts):
        what = f"text {drawn.row + 1}, “{one_line(items.texts[0], _MOST_SHOWN)}”"
    else:
        number, named = f"{drawn.row + 1}", one_line(items.ids[0])
        what = f"series {number}{'' if named == number else f' ({named})'} of {len(items.series[0])} steps"
    names, given = model.learned.labels.names, () if items.labels is None else items.labels[0]
    labelled = f"whose label is {', '.join(map(one_line, given))}" if given else "without a label"
    if unseen := [one_line(label) for label in given if label not in names]:
        labelled += f" (training never saw {', '.join(unseen)})"
    (predicted,) = model.learned.labels.decode(drawn.probabilities[np.newaxis])
    said = ", ".join(f"{one_line(label)} ({drawn.probabilities[names[label]]:.1%})" for label in predicted)
    count = len(values_of(items))
    kind = "series" if item == "series" else f"{item}{'s' if count > 1 else ''}"
    return f"{count} {kind}, spread over the data; drawn is {what}, {labelled}; predicted is {said or 'none'}"


def _pooling(kinds: Sequence[str], bidirectional: bool, item: str, step: str) -> str:
    end = f"the last {step}"
    if bidirectional:
        end += " (the first for the reverse direction, which ends there)"
    if set(kinds) == {"last"}:
        return f"last: the loss reads the output at {end} alone"
    return (
        f"{' and '.join(kinds)}: the loss reads the outputs at all {step}s of a {item}, so that gradients reach each "
        f"state from above as well as through time. By lag, counted from {end}, they need not decay: what is "
        "remembered is seen from the Jacobians, and not from the horizon fitted"
    )


def _convolution(filters: int, kernel_sizes: Sequence[int], stride: int, step: str) -> str:
    if not filters:
        return ""
    seen = 1 + sum(size - 1 for size in kernel_sizes)
    made = f"the recurrent layers read what {filters} filters make of {seen} {step}s"
    if stride == 1:
        return f"{made}; the picture of the network ends there, attributions go on to the {step}s themselves"
    return (
        f"{made}, and take a step for every {stride} {step}s: gradients, Jacobians and exponents are by these, while "
        f"attributions and what is forgotten are by {step}s"
    )


def _inputs(model: FittedClassifier, step: str) -> str:
    if model.learned.reads_texts:
        spelling = "" if model.options["characters"] == "none" else " and what its spelling says"
        return (
            f"a {step} is not a number: gradients and attributions are with respect to its "
            f"embedding{spelling}, and what is taken away becomes the mean of what was read (where `recurra explain` "
            "takes unknown words)"
        )
    normalized = "values as they are" if model.options["normalization"] == "none" else "normalised values"
    return (
        f"gradients and attributions are with respect to {normalized}, all channels of a step together; a step that "
        "is taken away becomes the mean of the steps of these series"
    )
