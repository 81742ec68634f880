"""From sentences to translations: the search, and what it finds."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from recurra.data.text.subwords import Subwords
from recurra.errors import ParameterError
from recurra.models import beam_search, ensemble
from recurra.shapes import check_positive
from recurra.tasks.translate.fitted import FittedModel
from recurra.tasks.translate.pairs import source_tensors

__all__ = ["Search", "Translation", "translate"]

_log = logging.getLogger("recurra.translate")


@dataclass(frozen=True, kw_only=True)
class Search:
    """How translations are searched for.

    Args:
        beam_size: hypotheses kept a sentence; 1 is greedy search.
        n_best: translations of each sentence, up to `beam_size`.
        length_penalty: alpha of Wu et al. 2016: 0 prefers short translations, about 1 none.
        no_repeat_ngram: length of the n-grams of subwords that may not come twice; 0 for none.
        max_length: subwords of a translation at most; twice those of the source and 10 where None.
        batch_size: sentences at once.

    Raises:
        ParameterError: for a value out of its range.
    """

    beam_size: int = 5
    n_best: int = 1
    length_penalty: float = 1.0
    no_repeat_ngram: int = 0
    max_length: int | None = None
    batch_size: int = 64

    def __post_init__(self) -> None:
        for name in ("beam_size", "n_best", "batch_size"):
            check_positive(name, getattr(self, name))
        check_positive("no_repeat_ngram", self.no_repeat_ngram, at_least=0)
        if self.max_length is not None:
            check_positive("max_length", self.max_length)
        if self.n_best > self.beam_size:
            raise ParameterError("n_best", f"at most beam_size = {self.beam_size}", self.n_best)
        penalty = self.length_penalty
        if isinstance(penalty, bool) or not isinstance(penalty, int | float) or not penalty >= 0:
            raise ParameterError("length_penalty", "a number not below 0", penalty)


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
    models: Sequence[FittedModel], lines: Sequence[str], search: Search, prefixes: Sequence[str] | None = None
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
    if any(model.target != first.target for model in models):
        expected = "runs with the same target vocabulary: trained on the same data with the same vocabulary settings"
        raise ParameterError("ensemble", expected, "another one")
    if prefixes is not None and len(prefixes) != len(lines):
        raise ParameterError("prefixes", f"one for each of {len(lines)} lines", len(prefixes))
    blank = Translation("", 0.0, 0.0, (), (0.0,))
    found: list[list[Translation]] = [[blank] for _ in lines]
    sources = [[_cut(model, line) for line in lines] for model in models]
    # Of like length together, and the longest first: what does not fit into memory says so at once.
    order = sorted((n for n, line in enumerate(lines) if line.strip()), key=lambda n: -len(sources[0][n]))
    for start in range(0, len(order), search.batch_size):
        chosen = order[start : start + search.batch_size]
        forced = None if prefixes is None else [first.target.encode(prefixes[n]) for n in chosen]
        batch = [[source[n] for n in chosen] for source in sources]
        for number, translations in zip(chosen, _translate_batch(models, batch, search, forced), strict=True):
            found[number] = translations
    return found


@torch.no_grad()
def _translate_batch(
    models: Sequence[FittedModel],
    sources: list[list[list[int]]],
    search: Search,
    prefixes: list[list[int]] | None,
) -> list[list[Translation]]:
    """The translations of a few sentences, given in the subwords of each model."""
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
    target = models[0].target
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


def _cut(model: FittedModel, line: str) -> list[int]:
    """The subwords of a line, as many as the model was made for."""
    longest = model.settings.max_length
    # No subword is so long: what is cut here would be cut below, and a line may have any length.
    subwords = model.source.encode(line[: 32 * longest])
    if len(subwords) > longest or len(line) > 32 * longest:
        start = f"{line[:30]}..."
        _log.warning("%r: a line longer than max_length = %d subwords; the rest is left out", start, longest)
    return subwords[:longest]
