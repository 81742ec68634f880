"""From sentences to translations."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from recurra.data.text.subwords import Subwords
from recurra.errors import ParameterError
from recurra.models import beam_search, ensemble
from recurra.task import Fitted
from recurra.tasks.translate.data import Vocabularies
from recurra.tasks.translate.network import TranslationNetwork
from recurra.tasks.translate.pairs import Pairs, source_tensors
from recurra.tasks.translate.search import Search

__all__ = ["AnyFitted", "Translation", "attention", "translate"]

AnyFitted = Fitted[Vocabularies, TranslationNetwork]

_log = logging.getLogger("recurra.translate")


@dataclass(frozen=True)
class Translation:
    """A translation.

    Attributes:
        text: of it.
        score: what it is ranked by: `log_prob` over the length penalty.
        log_prob: of the whole, its end included.
        pieces: its subwords.
        token_log_probs: of each subword, and of the end.
    """

    text: str
    score: float
    log_prob: float
    pieces: tuple[str, ...]
    token_log_probs: tuple[float, ...]


def translate(
    models: Sequence[AnyFitted], lines: Sequence[str], search: Search, prefixes: Sequence[str] | None = None
) -> list[list[Translation]]:
    """Translate with one model, or with the mean of several.

    Args:
        models: with the same target vocabulary.
        lines: source sentences; a blank one has one translation, a blank one.
        search: how.
        prefixes: what the translation of each line must begin with, in whole words.

    Raises:
        ParameterError: for models of different target vocabularies, or prefixes that are not one a line.
    """
    first = models[0]
    if any(model.learned.target != first.learned.target for model in models):
        expected = "runs with the same target vocabulary: trained on the same data with the same vocabulary settings"
        raise ParameterError("ensemble", expected, "another one")
    if prefixes is not None and len(prefixes) != len(lines):
        raise ParameterError("prefixes", f"one for each of {len(lines)} lines", len(prefixes))
    blank = Translation("", 0.0, 0.0, (), (0.0,))
    results: list[list[Translation]] = [[blank] for _ in lines]
    sources = [[_cut(model, line) for line in lines] for model in models]
    # Of like length together, and the longest first: what does not fit into memory says so at once.
    order = sorted((n for n, line in enumerate(lines) if line.strip()), key=lambda n: -len(sources[0][n]))
    for start in range(0, len(order), search.batch_size):
        chosen = order[start : start + search.batch_size]
        forced = None if prefixes is None else [first.learned.target.encode(prefixes[n]) for n in chosen]
        batch = [[source[n] for n in chosen] for source in sources]
        for index, translations in zip(chosen, _translate_batch(models, batch, search, forced), strict=True):
            results[index] = translations
    return results


@torch.no_grad()
def attention(model: AnyFitted, source: str, target: str) -> tuple[list[str], list[str], np.ndarray]:
    """What each subword of a translation attends to; see `Translator.attention`."""
    learned = model.learned
    read = learned.source.encode(source)[: model.options["max_length"]]
    written = learned.target.encode(target)
    tokens, lengths = source_tensors([read], model.device)
    inputs = torch.tensor([[Subwords.begin, *written]], device=model.device)
    output, _ = model.network.eval()(Pairs(tokens, lengths, inputs, torch.tensor([inputs.shape[1]])))
    pieces = [[*side.pieces(ids), "⏎"] for side, ids in ((learned.source, read), (learned.target, written))]
    return pieces[0], pieces[1], output.weights[0].cpu().numpy()


@torch.no_grad()
def _translate_batch(
    models: Sequence[AnyFitted],
    sources: list[list[list[int]]],
    search: Search,
    prefixes: list[list[int]] | None,
) -> list[list[Translation]]:
    """The translations of a few sentences, which are in the subwords of each model."""
    states = []
    for model, sentences in zip(models, sources, strict=True):
        model.network.eval()
        states.append(model.network.begin(*source_tensors(sentences, model.device)))
    longest = [search.max_length or 2 * len(sentence) + 10 for sentence in sources[0]]
    if prefixes is not None:
        longest = [max(most, len(prefix)) for most, prefix in zip(longest, prefixes, strict=True)]
    hypotheses = beam_search(
        ensemble([model.network.step for model in models]),
        tuple(states),
        torch.full((len(longest),), Subwords.begin, device=models[0].device),
        Subwords.end,
        search.beam_size,
        longest,
        search.length_penalty,
        search.n_best,
        search.no_repeat_ngram,
        prefixes,
    )
    target = models[0].learned.target
    return [
        [
            Translation(
                _in_a_line(target.decode(one.tokens)),
                one.score,
                one.log_prob,
                tuple(target.pieces(one.tokens)),
                one.token_log_probs,
            )
            for one in best
        ]
        for best in hypotheses
    ]


def _in_a_line(text: str) -> str:
    """A text without line ends, which a model that spells in bytes might write, so that lines stay lines."""
    return text.replace("\n", " ").replace("\r", " ")


def _cut(model: AnyFitted, line: str) -> list[int]:
    """The subwords of a line, as many as the model was made for."""
    longest = model.options["max_length"]
    # No subword is so long: what is cut here would be cut below, and a line may have any length.
    subwords = model.learned.source.encode(line[: 32 * longest])
    if len(subwords) > longest or len(line) > 32 * longest:
        start = f"{line[:30]}..."
        _log.warning("%r: a line longer than max_length = %d subwords; the rest is left out", start, longest)
    return subwords[:longest]
