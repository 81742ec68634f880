"""What `inspect` shows of a translator."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recurra.data.text.parallel import ParallelText
from recurra.data.text.subwords import Subwords
from recurra.errors import DataError, ParameterError
from recurra.inspection import Words
from recurra.task import View
from recurra.task.architecture import blocks_of
from recurra.tasks.translate.pairs import EncodedPairs, Pairs
from recurra.tasks.translate.translation import AnyFitted

__all__ = ["view"]

_PAIRS = 32
_CANDIDATES = 512
_TYPICAL_LENGTH = 15  # subwords

_NETWORK = (
    "The encoder is {num_layers} x {blocks} {size}. The decoder is {num_layers} x {blocks} with {hidden_size} units "
    "and {attention} attention. Embeddings have {embedding_size} features."
)
_NETWORK_INPUT_FEEDING = (
    "The encoder is {num_layers} x {blocks} {size}. The decoder is {num_layers} x {blocks} with {hidden_size} units, "
    "input feeding and {attention} attention. Embeddings have {embedding_size} features."
)
_LOOKED_AT_ONE = (
    "Subword {position} of 1 reference translation is looked at. The decoder reads the reference up to there. The "
    "pictures show pair {row}, “{source}” to “{target}”, and its subword {subword}."
)
_LOOKED_AT = (
    "Subword {position} of {count} reference translations is looked at. The decoder reads each reference up to there. "
    "The pictures show pair {row}, “{source}” to “{target}”, and its subword {subword}."
)
_ENCODER = (
    "The attention reads the encoder at every step of the decoder. Gradients therefore reach each step of the encoder "
    "directly: by lag, counted from the encoder's own last step in each direction, they need not decay."
)
_DECODER_INPUT_FEEDING = (
    "The decoder reads the attentional vector of the step before beside the embedding. What flows into its input in "
    "the picture goes to both."
)
_INPUTS = (
    "A subword is not a number. Gradients and attributions are with respect to its embedding, and a subword that is "
    "taken away becomes the mean embedding of its language. Nearest are the subwords written last, then the end of the "
    "source."
)


def view(model: AnyFitted, pairs: ParallelText, row: int | None, subword: int | None, name: str) -> View:
    """What `inspect` shows of a translator; see `Translator.view`."""
    batch = _chosen(model, pairs, row, subword)
    inputs, following = batch.pairs.inputs, batch.following

    def log_probability(output: Any, following: Tensor = following) -> Tensor:
        # Of every step, one row after the other.
        logits = output[0].logits.view(len(following), inputs.shape[1], -1)[:, -1]
        return logits.log_softmax(1).gather(1, following.unsqueeze(1)).squeeze(1)

    written = inputs.shape[1]
    lengths, steps = batch.pairs.source_lengths.unsqueeze(1), torch.arange(batch.pairs.source.shape[1])
    read = torch.where(steps < lengths, written + lengths - 1 - steps, -1)
    before = torch.arange(written - 1, -1, -1).expand(inputs.shape)
    return View(
        (batch.pairs,),
        _words(model, pairs, batch, name),
        loss=lambda output: -log_probability(output).sum(),
        output=log_probability,
        reads=["encoder", "decoder"],
        follows=["decoder.recurrent"],
        distances=[read.to(model.device), before.to(model.device)],
        alone=((_first(batch.pairs),), lambda output: log_probability(output, following[:1])),
    )


def _first(pairs: Pairs) -> Pairs:
    """The first pair alone, without padding."""
    source = pairs.source[:1, : int(pairs.source_lengths[0])]
    return Pairs(source, pairs.source_lengths[:1], pairs.inputs[:1], pairs.lengths[:1])


@dataclass(frozen=True)
class _Chosen:
    """The pairs to look at, the one to draw first, and what follows each translation as far as it is read."""

    pairs: Pairs
    following: Tensor
    row: int


def _chosen(model: AnyFitted, text: ParallelText, row: int | None, subword: int | None) -> _Chosen:
    """Pairs whose translations are at least as long, up to the subword looked at, spread over all."""
    if not len(text):
        raise DataError(f"{text.name}: no sentence pairs are in it.")
    if row is not None and not 1 <= row <= len(text):
        raise ParameterError("row", f"1 to {len(text)}, those of {text.name}", row)
    spread = np.linspace(0, len(text) - 1, min(_CANDIDATES, len(text))).round().astype(int)
    candidates = np.unique(spread if row is None else [*spread, row - 1])
    sizes = np.array([_sizes(model, text, index) for index in candidates])
    most = model.options["max_length"]
    fitting = (sizes.max(1) <= most) & (sizes.min(1) > 0)
    if row is None and not fitting.any():
        raise DataError(f"{text.name}: no pair has 1 to {most} subwords in each language.")
    if row is not None and not fitting[candidates == row - 1].all():
        raise ParameterError("row", f"a pair of 1 to {most} subwords in each language", row)
    typical = candidates[np.where(fitting, np.abs(sizes[:, 1] - _TYPICAL_LENGTH), np.inf).argmin()]
    plotted = int(typical) if row is None else row - 1
    at = _subword_index(model.learned.target, text.target[plotted], subword)
    others = candidates[fitting & (sizes[:, 1] > at) & (candidates != plotted)]
    spread = np.unique(np.linspace(0, len(others) - 1, min(_PAIRS - 1, len(others))).round().astype(int))
    rows = [plotted, *others[spread].tolist()]
    whole = EncodedPairs(text.take(rows), model.learned.source, model.learned.target).batch(
        range(len(rows)), model.device
    )
    pairs: Pairs = whole.inputs
    read = pairs.inputs[:, : at + 1].contiguous()
    lengths = torch.full_like(pairs.lengths, at + 1)
    return _Chosen(Pairs(pairs.source, pairs.source_lengths, read, lengths), pairs.inputs[:, at + 1], plotted)


def _sizes(model: AnyFitted, text: ParallelText, index: int) -> tuple[int, int]:
    return len(model.learned.source.encode(text.source[index])), len(model.learned.target.encode(text.target[index]))


def _subword_index(target: Subwords, line: str, subword: int | None) -> int:
    """Of the subword to look at, from 0."""
    ids = target.encode(line)
    if subword is None:
        spoken = [index for index, subword_id in enumerate(ids) if any(map(str.isalnum, target.decode([subword_id])))]
        return spoken[-1] if spoken else len(ids) - 1
    if not 1 <= subword <= len(ids):
        raise ParameterError("subword", f"1 to {len(ids)}, those of the translation", subword)
    return subword - 1


def _words(model: AnyFitted, text: ParallelText, batch: _Chosen, name: str) -> Words:
    options, pairs, row = model.options, batch.pairs, batch.row
    source = model.learned.source.pieces(pairs.source[0, : int(pairs.source_lengths[0]) - 1].tolist())
    written = model.learned.target.pieces(pairs.inputs[0, 1:].tolist())
    (looked_at,) = model.learned.target.pieces(batch.following[:1].tolist())
    position, count = pairs.inputs.shape[1], len(pairs.source)
    network, units = _NETWORK_INPUT_FEEDING if options["input_feeding"] else _NETWORK, options["hidden_size"]
    size = f"with {units} units" if options["architecture"] else f"with {units // 2} units in each direction"
    facts = {
        "run": name,
        "data": text.name,
        "network": network.format(blocks=blocks_of(options), size=size, **options),
        "looked at": (_LOOKED_AT_ONE if count == 1 else _LOOKED_AT).format(
            position=position,
            count=count,
            row=row + 1,
            source=text.source[row].strip(),
            target=text.target[row].strip(),
            subword=looked_at,
        ),
        "encoder": _ENCODER,
        "decoder": _DECODER_INPUT_FEEDING if options["input_feeding"] else "",
        "inputs": _INPUTS,
    }
    return Words(
        title=f"Inspection of {name}" if name else "Inspection of a translator",
        facts={key: value for key, value in facts.items() if value},
        loss=f"the surprise of subword {position} of the translation, here {looked_at}",
        output=f"log-probability of subword {position} of the translation",
        plotted=f"log-probability of {looked_at}",
        unit="nats",
        first_step=1,
        step="subword",
        labels=[*source, "⏎", "<s>", *written],
        mean="the mean embedding",
    )
