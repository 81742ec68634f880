"""What any tagger has to beat: the most frequent tag of each word."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from recurra.data.text.conll import Sentence

__all__ = ["MostFrequentTags"]


@dataclass(frozen=True)
class MostFrequentTags:
    """The most frequent tag in training of each word; of a word that was not there, the most frequent of all.

    Attributes:
        by_word: where it is not `other`.
        other: of all other words.
    """

    by_word: dict[str, str]
    other: str

    @classmethod
    def of(cls, sentences: Sequence[Sentence]) -> "MostFrequentTags":
        """Count the tags of sentences, of which at least one word has one; of equally frequent tags the first."""
        counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        overall = Counter[str]()
        for sentence in sentences:
            for word, tag in zip(sentence.words, sentence.tags or (), strict=False):
                if tag is not None:
                    counts[word][tag] += 1
                    overall[tag] += 1
        other = overall.most_common(1)[0][0]
        found = {word: tags.most_common(1)[0][0] for word, tags in counts.items()}
        return cls({word: tag for word, tag in found.items() if tag != other}, other)

    def tag(self, words: Sequence[str]) -> list[str]:
        """A tag for each word."""
        return [self.by_word.get(word, self.other) for word in words]

    def to_json(self) -> dict[str, Any]:
        """What `from_json` reads."""
        return {"by_word": self.by_word, "other": self.other}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "MostFrequentTags":
        """From what `to_json` gave."""
        return cls(values["by_word"], values["other"])
