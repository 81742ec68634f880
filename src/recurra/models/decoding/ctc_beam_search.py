"""CTC prefix beam search with an n-gram model, a lexicon and hot words, for whole utterances and streams."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from recurra.data.text.ngram_model import BEGIN, END, NgramModel
from recurra.errors import ParameterError, ShapeError
from recurra.kernels.native import extension
from recurra.models.decoding.timed import TimedHypothesis, TimedToken, Tokens
from recurra.models.decoding.token_fusion import FusionStates, TokenFusion
from recurra.shapes import check_positive

__all__ = ["CTCBeamSearch", "CTCBeamStream"]

Unit = Literal["word", "token"]


class CTCBeamSearch:
    """The best texts by CTC's prefix beam search (Hannun et al. 2014), in C++.

    A prefix's score is log p_CTC(prefix), summed over all its alignments, plus `weight` log p of the n-gram model, plus
    `bonus` for each word (or token) that the model counts, plus the weights of its hot words. A word counts when it
    ends: at the separator, at a token that begins another word, and at the end of the text.

    Args:
        tokens: the name of each symbol V. `▁` before a name begins a word, as in SentencePiece.
        blank: the symbol that is CTC's blank.
        separator: the name of the token between words, if it is among the tokens.
        beam_size: prefixes that stay after each frame.
        beam_threshold: how far a prefix may score below the best, in nats; infinite: any.
        token_threshold: how far below a frame's most probable token one may be that extends prefixes, in nats.
        language_model: an n-gram model of words or of tokens, such as `read_arpa` returns; None: none.
        unit: what the model's words are: "word", or "token" for the names of the tokens.
        weight: of the model's log-probability.
        bonus: for each word, or token if the model is over tokens, in nats; it counts without a model too.
        lexicon: the only words that may be; None: any.
        unknown_log_prob: log p of a word that is not in the model, if the model has no word for those, in nats.
        fusion: a model over tokens that has states, such as a recurrent one; None: none.

    Raises:
        ParameterError: for a number out of its range, or an empty lexicon.
        CompilerError: if the package was installed without its C++ extension.
    """

    def __init__(
        self,
        tokens: Sequence[str],
        *,
        blank: int = 0,
        separator: str | None = " ",
        beam_size: int = 100,
        beam_threshold: float = 25.0,
        token_threshold: float = 12.0,
        language_model: NgramModel | None = None,
        unit: Unit = "word",
        weight: float = 0.5,
        bonus: float = 0.0,
        lexicon: Iterable[str] | None = None,
        unknown_log_prob: float = -16.0,
        fusion: TokenFusion | None = None,
    ) -> None:
        if isinstance(blank, bool) or not isinstance(blank, int) or not 0 <= blank < len(tokens):
            raise ParameterError("blank", f"a symbol from 0 to V - 1 = {len(tokens) - 1}", blank)
        if unit not in get_args(Unit):
            raise ParameterError("unit", "word or token", unit)
        check_positive("beam_size", beam_size)
        for name, value in (("beam_threshold", beam_threshold), ("token_threshold", token_threshold)):
            _check_number(name, value, "a number above 0", value > 0)
        _check_number("weight", weight, "a number of at least 0", 0 <= weight < math.inf)
        _check_number("bonus", bonus, "a number", math.isfinite(bonus))
        _check_number("unknown_log_prob", unknown_log_prob, "a number of at most 0", -math.inf < unknown_log_prob <= 0)
        self.tokens = Tokens.spell(tokens, blank, separator)
        self._options = (beam_size, beam_threshold, token_threshold)
        self._rules = extension.loaded().BeamRules()
        ended = -1 if self.tokens.separator is None else self.tokens.separator
        self._rules.set_tokens(self.tokens.texts, self.tokens.begins, blank, ended)
        self._rules.bonus = bonus
        if language_model is not None:
            self._set_model(language_model, tokens if unit == "token" else None, blank, unknown_log_prob)
            self._rules.ngram_weight = weight
        if lexicon is not None:
            words = sorted(set(lexicon) - {""})
            if not words:
                raise ParameterError("lexicon", "words, or None for any word", words)
            self._rules.set_lexicon([(word, index) for index, word in enumerate(words)])
        self._fusion = fusion
        if fusion is not None:
            if len(fusion.columns) != len(tokens) or any(
                one < 0 for index, one in enumerate(fusion.columns) if index != blank
            ):
                expected = f"a token of the model for each of the {len(tokens)} symbols but the blank"
                raise ParameterError("fusion.columns", expected, list(fusion.columns)[:8])
            _check_number("fusion.weight", fusion.weight, "a number above 0", 0 < fusion.weight < math.inf)
            self._rules.fusion_weight = fusion.weight

    def __call__(
        self, log_probs: Tensor, n_best: int = 1, hot_words: Mapping[str, float] | None = None
    ) -> list[TimedHypothesis]:
        """The best texts of a whole utterance, best first.

        Args:
            log_probs: of each frame and symbol (T, V).
            n_best: hypotheses returned at most.
            hot_words: see `stream`.
        """
        stream = self.stream(hot_words)
        stream.advance(log_probs)
        return stream.finish(n_best)

    def stream(self, hot_words: Mapping[str, float] | None = None) -> "CTCBeamStream":
        """A search that is fed in chunks; any chunks give the same hypotheses, bit for bit.

        Args:
            hot_words: words, or phrases with a space between their words, that score more by these weights, in nats,
                each time they are whole words of a text; less, if a weight is negative.

        Raises:
            ParameterError: for an empty phrase or a weight that is not finite.
        """
        phrases = {" ".join(phrase.split()): weight for phrase, weight in (hot_words or {}).items()}
        for phrase, weight in phrases.items():
            if not phrase or not math.isfinite(weight):
                raise ParameterError("hot_words", "words with finite weights", {phrase: weight})
        self._rules.set_phrases(list(phrases.items()))
        beam = extension.loaded().PrefixBeam(self._rules, *self._options)
        return CTCBeamStream(beam, self.tokens, self._fusion)

    def _set_model(self, model: NgramModel, names: Sequence[str] | None, blank: int, unknown_log_prob: float) -> None:
        scorer = ngram_scorer(model)
        special = tuple(-1 if word is None else model.ids.get(word, -1) for word in (BEGIN, END, model.unknown))
        if names is None:
            vocabulary = [(word, index) for word, index in model.ids.items() if index not in special]
            words: list[int] = []
        else:
            vocabulary = []
            words = [-1 if index == blank else model.ids.get(name, -1) for index, name in enumerate(names)]
            if max(words, default=-1) < 0:
                raise ParameterError("language_model", "a model over these tokens", f"the words {model.words[:8]}")
        self._rules.set_ngram(scorer, vocabulary, words, special, unknown_log_prob)


class CTCBeamStream:
    """A prefix beam search between chunks of frames, see `CTCBeamSearch.stream`."""

    def __init__(self, beam: Any, tokens: Tokens, fusion: TokenFusion | None = None) -> None:
        self._beam, self._tokens = beam, tokens
        self._states = None if fusion is None else FusionStates(fusion, beam)
        if self._states is not None:
            self._states.supply()

    def advance(self, log_probs: Tensor) -> None:
        """Read the next frames (T, V) of log-probabilities.

        Raises:
            ShapeError: if the shape is another, or a value is not a number.
        """
        symbols = len(self._tokens.texts)
        if log_probs.dim() != 2 or log_probs.shape[1] != symbols:
            raise ShapeError("log_probs", f"shape (T, V) with V = {symbols}", tuple(log_probs.shape))
        values = log_probs.detach().cpu().float().contiguous()
        if not (values < torch.inf).all():
            raise ShapeError("log_probs", "numbers below infinity", "a value that is not")
        read = self._beam.advance(values, symbols)
        if self._states is None:
            return
        # The search stops at a frame that makes new prefixes, until it has their scores.
        self._states.supply()
        while read < len(values):
            read += self._beam.advance(values[read:], symbols)
            self._states.supply()

    @property
    def agreed(self) -> int:
        """Tokens at the beginning that all hypotheses share: no later frame will change them."""
        return self._beam.agreed

    def best(self, n_best: int = 1) -> list[TimedHypothesis]:
        """The best texts so far, best first; their last words may still be incomplete."""
        return self._best(n_best, over=False)

    def finish(self, n_best: int = 1) -> list[TimedHypothesis]:
        """The best texts if no frame follows: their last words end, and the model's end of a text counts.

        Those whose last word is not in the lexicon are left out, which may be all. The stream may still be advanced.
        """
        return self._best(n_best, over=True)

    def _best(self, n_best: int, over: bool) -> list[TimedHypothesis]:
        check_positive("n_best", n_best)
        return [
            self._tokens.hypothesis([TimedToken(*one) for one in tokens], log_prob, score)
            for tokens, log_prob, score in self._beam.best(n_best, over)
        ]


def ngram_scorer(model: NgramModel) -> Any:
    """The engine's scorer of an n-gram model, see csrc/ngram_scorer.hpp.

    Raises:
        CompilerError: if the package was installed without its C++ extension.
    """
    scorer = extension.loaded().NgramScorer(model.order)
    for table in model.tables:
        values = (np.float32(np.log(10) * each) for each in (table.log10_probs, table.log10_backoffs))
        scorer.add(np.ascontiguousarray(table.words), *values)
    return scorer


def _check_number(name: str, value: float, expected: str, holds: bool) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not holds:
        raise ParameterError(name, expected, value)
