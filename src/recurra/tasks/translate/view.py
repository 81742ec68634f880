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
from recurra.tasks.translate.pairs import EncodedPairs, Pairs
from recurra.tasks.translate.translation import AnyFitted

__all__ = ["view"]

_PAIRS = 32
_CANDIDATES = 512
_DRAWN = 15  # subwords


def view(model: AnyFitted, pairs: ParallelText, row: int | None, subword: int | None, name: str) -> View:
    """What `inspect` shows of a translator; see `Translator.view`."""
    batch = _chosen(model, pairs, row, subword)
    inputs, following = batch.pairs.inputs, batch.following

    def log_probability(output: Any) -> Tensor:
        # Of every step, one row after the other.
        logits = output[0].logits.view(*inputs.shape, -1)[:, -1]
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
    )


@dataclass(frozen=True)
class _Chosen:
    """The pairs to look at, the one to draw first, and what follows each translation as far as it is read."""

    pairs: Pairs
    following: Tensor
    row: int


def _chosen(model: AnyFitted, given: ParallelText, row: int | None, subword: int | None) -> _Chosen:
    """Pairs whose translations are at least as long, up to the subword looked at, spread over all."""
    if not len(given):
        raise DataError(f"{given.name}: no sentence pairs are in it.")
    if row is not None and not 1 <= row <= len(given):
        raise ParameterError("row", f"1 to {len(given)}, those of {given.name}", row)
    spread = np.linspace(0, len(given) - 1, min(_CANDIDATES, len(given))).round().astype(int)
    candidates = np.unique(spread if row is None else [*spread, row - 1])
    sizes = np.array([_sizes(model, given, number) for number in candidates])
    most = model.options["max_length"]
    fitting = (sizes.max(1) <= most) & (sizes.min(1) > 0)
    if row is None and not fitting.any():
        raise DataError(f"{given.name}: no pair has 1 to {most} subwords in each language.")
    if row is not None and not fitting[candidates == row - 1].all():
        raise ParameterError("row", f"a pair of 1 to {most} subwords in each language", row)
    typical = candidates[np.where(fitting, np.abs(sizes[:, 1] - _DRAWN), np.inf).argmin()]
    drawn = int(typical) if row is None else row - 1
    at = _place(model.learned.target, given.target[drawn], subword)
    others = candidates[fitting & (sizes[:, 1] > at) & (candidates != drawn)]
    places = np.unique(np.linspace(0, len(others) - 1, min(_PAIRS - 1, len(others))).round().astype(int))
    rows = [drawn, *others[places].tolist()]
    whole = EncodedPairs(given.take(rows), model.learned.source, model.learned.target).batch(
        range(len(rows)), model.device
    )
    pairs: Pairs = whole.inputs
    read = pairs.inputs[:, : at + 1].contiguous()
    lengths = torch.full_like(pairs.lengths, at + 1)
    return _Chosen(Pairs(pairs.source, pairs.source_lengths, read, lengths), pairs.inputs[:, at + 1], drawn)


def _sizes(model: AnyFitted, given: ParallelText, number: int) -> tuple[int, int]:
    return len(model.learned.source.encode(given.source[number])), len(
        model.learned.target.encode(given.target[number])
    )


def _place(target: Subwords, line: str, subword: int | None) -> int:
    """Of the subword to look at, from 0."""
    numbers = target.encode(line)
    if subword is None:
        spoken = [place for place, number in enumerate(numbers) if any(map(str.isalnum, target.decode([number])))]
        return spoken[-1] if spoken else len(numbers) - 1
    if not 1 <= subword <= len(numbers):
        raise ParameterError("subword", f"1 to {len(numbers)}, those of the translation", subword)
    return subword - 1


def _words(model: AnyFitted, given: ParallelText, batch: _Chosen, name: str) -> Words:
    options, pairs, row = model.options, batch.pairs, batch.row
    source = model.learned.source.pieces(pairs.source[0, : int(pairs.source_lengths[0]) - 1].tolist())
    written = model.learned.target.pieces(pairs.inputs[0, 1:].tolist())
    (looked_at,) = model.learned.target.pieces(batch.following[:1].tolist())
    place = pairs.inputs.shape[1]
    layers, hidden = f"{options['num_layers']} x {options['cell']}", options["hidden_size"]
    facts = {
        "run": name,
        "data": given.name,
        "network": f"encoder of {layers} with {hidden // 2} units in each direction, decoder of {layers} with {hidden}"
        f"{' and input feeding' if options['input_feeding'] else ''}, {options['attention']} attention; embeddings of "
        f"{options['embedding_size']}",
        "looked at": f"subword {place} of {len(pairs.source)} given translations, the decoder reading each up to "
        f"there; drawn is pair {row + 1}, “{given.source[row].strip()}” to “{given.target[row].strip()}”, and of it "
        f"{looked_at}",
        "encoder": "is read by the attention at every step of the decoder, so that gradients reach each of its steps "
        "directly: by lag, counted from the encoder's own last step in each direction, they need not decay",
        "decoder": "reads the attentional vector of the step before beside the embedding: what flows into its input in "
        "the picture goes to both"
        if options["input_feeding"]
        else "",
        "inputs": "a subword is not a number: gradients and attributions are with respect to its "
        "embedding, and what is taken away becomes the mean embedding of its language; nearest are the subwords "
        "written last, then the end of the source",
    }
    return Words(
        title=f"Inspection of {name}" if name else "Inspection of a translator",
        facts={key: value for key, value in facts.items() if value},
        loss=f"the surprise of subword {place} of the translation, here {looked_at}",
        output=f"log-probability of subword {place} of the translation",
        drawn=f"log-probability of {looked_at}",
        unit="nats",
        first_step=1,
        step="subword",
        labels=[*source, "⏎", "<s>", *written],
        mean="the mean embedding",
    )
