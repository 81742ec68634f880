"""Tokens and words with the frames at which they were recognised."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["TimedHypothesis", "TimedToken", "TimedWord", "Tokens"]


@dataclass(frozen=True)
class TimedToken:
    """A token and where it is.

    Attributes:
        token: its id.
        start: the first frame on the best path.
        end: the frame behind its last.
        peak: the frame at which it is most probable.
        log_prob: its log-probability there.
    """

    token: int
    start: int
    end: int
    peak: int
    log_prob: float


@dataclass(frozen=True)
class TimedWord:
    """A word and where it is.

    Attributes:
        text: as its tokens spell it.
        start: the first frame of its first token.
        end: the frame behind the last one of its last token.
        confidence: the geometric mean of its tokens' probabilities at their peaks, from 0 to 1; not calibrated.
    """

    text: str
    start: int
    end: int
    confidence: float


@dataclass(frozen=True)
class TimedHypothesis:
    """A text that a search found.

    Attributes:
        tokens: with their frames.
        words: with their frames.
        text: the words with a space between them.
        log_prob: of the network alone, over all paths of these tokens for CTC.
        score: what it is ranked by, with what was fused.
    """

    tokens: tuple[TimedToken, ...]
    words: tuple[TimedWord, ...]
    text: str
    log_prob: float
    score: float


@dataclass(frozen=True)
class Tokens:
    """What tokens spell.

    Attributes:
        texts: of each token, as it stands in the text; "" for the blank and for the separator.
        begins: whether a token begins a word (`▁` of SentencePiece).
        separator: the token between words; None: there is none.
    """

    texts: tuple[str, ...]
    begins: tuple[bool, ...]
    separator: int | None

    @classmethod
    def spell(cls, tokens: Sequence[str], blank: int, separator: str | None) -> "Tokens":
        """What tokens spell by their names: `▁` before a name begins a word, the separator's name ends one."""
        ended = None if separator is None or separator not in tokens else list(tokens).index(separator)
        begins = tuple(token.startswith("▁") and index not in (blank, ended) for index, token in enumerate(tokens))
        texts = tuple(
            "" if index in (blank, ended) else token.removeprefix("▁") if begins[index] else token
            for index, token in enumerate(tokens)
        )
        return cls(texts, begins, ended)

    @property
    def has_words(self) -> bool:
        """Whether words have ends: else all tokens are one word."""
        return self.separator is not None or any(self.begins)

    def divides(self, token: int) -> bool:
        """Whether a word ends before a token: the token begins another word, or it is the separator."""
        return token == self.separator or self.begins[token]

    def words(self, tokens: Sequence[TimedToken]) -> tuple[TimedWord, ...]:
        """The words that tokens spell."""
        return tuple(
            TimedWord(
                "".join(self.texts[one.token] for one in group),
                group[0].start,
                group[-1].end,
                math.exp(sum(one.log_prob for one in group) / len(group)),
            )
            for group in self.groups(tokens)
        )

    def groups(self, tokens: Sequence[TimedToken]) -> list[list[TimedToken]]:
        """The tokens of each word, without separators."""
        groups: list[list[TimedToken]] = [[]]
        for one in tokens:
            if self.divides(one.token):
                groups.append([])
            if self.texts[one.token]:
                groups[-1].append(one)
        return [group for group in groups if group]

    def hypothesis(self, tokens: Sequence[TimedToken], log_prob: float, score: float) -> TimedHypothesis:
        """The hypothesis of some tokens."""
        words = self.words(tokens)
        return TimedHypothesis(tuple(tokens), words, " ".join(word.text for word in words), log_prob, score)
