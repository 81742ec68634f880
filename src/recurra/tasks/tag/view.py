"""What `inspect` shows of a tagger."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from recurra.data.batches.ignored import IGNORED
from recurra.data.text.conll import Sentence
from recurra.data.text.word_encoding import EncodedSentences
from recurra.errors import DataError, ParameterError
from recurra.inspection import Words
from recurra.task import View
from recurra.task.architecture import blocks_of
from recurra.tasks.tag.data import Sentences
from recurra.tasks.tag.results import evaluate
from recurra.tasks.tag.tagging import AnyFitted

__all__ = ["view"]

_SENTENCES = 32
_LONGEST = 60  # words, but for the sentence shown
_SHOWN = 15  # words

_NETWORK = (
    "{num_layers} x {blocks} of {hidden_size} units{directions} read {features} features of a word and score "
    "{tags} tags ({output})."
)
_LOOKED_AT_ONE = (
    "Word {position} of 1 sentence is looked at. The pictures show “{sentence}”, whose word “{word}” is tagged {tag}."
)
_LOOKED_AT = (
    "Word {position} of {count} sentences is looked at. The pictures show “{sentence}”, whose word “{word}” is tagged "
    "{tag}."
)
_INPUTS = (
    "Gradients and attributions are with respect to what the recurrent layers read of a word: its embedding. A word "
    "that is taken away becomes the mean of all."
)
_INPUTS_SPELLED = (
    "Gradients and attributions are with respect to what the recurrent layers read of a word: its embedding and what "
    "its spelling says. A word that is taken away becomes the mean of all."
)
_LOSS_CRF = (
    "-log p of the tag of word {position} (here {tag}) by the CRF, which also reads the scores of the words around it. "
    "Lags count from this word, back for the forward direction and ahead for the reverse one"
)
_LOSS_SOFTMAX = (
    "-log p of the tag of word {position} (here {tag}) by a softmax. Lags count from this word, back for the forward "
    "direction and ahead for the reverse one"
)


def view(fitted: AnyFitted, data: Sentences, row: int | None, word: int | None, name: str) -> View:
    """What `inspect` shows of a tagger; see `Tagger.view`."""
    if not data.sentences:
        raise DataError(f"{data.source}: expected sentences, got none.")
    lengths = np.array([len(sentence.words) for sentence in data.sentences])
    shown = int(np.abs(lengths - _SHOWN).argmin()) if row is None else _index("row", row, len(lengths), data.source)
    at = int(lengths[shown]) // 2 if word is None else _index("word", word, int(lengths[shown]), "the sentence")
    sentences = _chosen(data.sentences, shown, at)
    learned = fitted.learned
    encoded = EncodedSentences(learned.encoding, [sentence.words for sentence in sentences], learned.vectors)
    tokens = encoded.tokens(np.arange(len(sentences))).to(fitted.device)
    with torch.no_grad():
        best = fitted.network.eval()(tokens)[0].best()[:, at]
    true = torch.tensor([learned.tag_set.encode(sentence)[at] for sentence in sentences], device=fitted.device)
    target = torch.full(tokens.words.shape, IGNORED, device=fitted.device)
    target[:, at] = torch.where(true == IGNORED, best, true)
    steps = torch.arange(tokens.words.shape[1])
    distance = torch.where(steps < tokens.lengths.unsqueeze(1), (steps - at).abs(), -1).to(fitted.device)
    return View(
        (tokens,),
        _words(fitted, data.source, sentences, at, (int(target[0, at]), int(best[0])), name),
        # What is ignored may be any tag: this is the log probability of the one word's.
        loss=lambda output: -output[0].log_likelihood(target).sum(),
        steps=[at],
        output=lambda output: _score(output[0].emissions[:, at], best),
        reads="recurrent",
        layers=["recurrent"],
        distances=[distance],
        evaluate=(lambda: evaluate(fitted, data)) if any(map(_has_tags, data.sentences)) else None,
        alone=(
            (encoded.tokens(np.arange(1)).to(fitted.device),),
            lambda output: _score(output[0].emissions[:, at], best[:1]),
        ),
    )


def _has_tags(sentence: Sentence) -> bool:
    return any(tag is not None for tag in sentence.tags or ())


def _index(what: str, position: int, count: int, of: str) -> int:
    """The index, from 0, of a position, which counts from 1."""
    if not 1 <= position <= count:
        raise ParameterError(what, f"1 to {count}, those of {of}", position)
    return position - 1


def _chosen(sentences: Sequence[Sentence], shown: int, at: int) -> list[Sentence]:
    """The sentence to show, then others that have a word at this position, spread over all."""
    others = [index for index, other in enumerate(sentences) if index != shown and at < len(other.words) <= _LONGEST]
    spread = np.unique(np.linspace(0, len(others) - 1, min(_SENTENCES - 1, len(others))).round().astype(int))
    return [sentences[shown], *(sentences[others[index]] for index in spread)]


def _score(scores: Tensor, tags: Tensor) -> Tensor:
    return scores.gather(1, tags.unsqueeze(1)).squeeze(1)


def _words(
    fitted: AnyFitted, source: str, sentences: Sequence[Sentence], at: int, tags: tuple[int, int], name: str
) -> Words:
    options, tag_set = fitted.options, fitted.learned.tag_set
    words = sentences[0].words
    learned, predicted = (tag_set.tags.symbols[tag] for tag in tags)
    directions = " in each direction" if options["bidirectional"] else ""
    network = {
        **options,
        "blocks": blocks_of(options),
        "directions": directions,
        "features": fitted.network.recurrent.input_size,
        "tags": len(tag_set.tags),
    }
    looked_at = _LOOKED_AT_ONE if len(sentences) == 1 else _LOOKED_AT
    facts = {
        "run": name,
        "data": source,
        "network": _NETWORK.format_map(network),
        "looked at": looked_at.format(
            position=at + 1, count=len(sentences), sentence=" ".join(words), word=words[at], tag=predicted
        ),
        "inputs": _INPUTS if options["characters"] == "none" else _INPUTS_SPELLED,
    }
    return Words(
        title=f"Inspection of {name}" if name else "Inspection of a tagger",
        facts={key: value for key, value in facts.items() if value},
        loss=(_LOSS_CRF if options["output"] == "crf" else _LOSS_SOFTMAX).format(position=at + 1, tag=learned),
        output=f"score of the tag predicted for word {at + 1}",
        plotted=f"score of {predicted} for “{words[at]}”",
        first_step=1,
        step="word",
        labels=words,
        mean="the mean word",
        nearest="the nearest k",
    )
