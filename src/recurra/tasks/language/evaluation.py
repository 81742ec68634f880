"""How well a text is predicted, in units that can be compared and in those that are customary."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from recurra.data.text.tokens import EncodedText, Tokenization
from recurra.errors import DataError
from recurra.tasks.language.fitted import FittedModel
from recurra.tasks.language.ngram import ORDER, ngram_surprise
from recurra.tasks.language.reader import Reader

__all__ = ["BASELINE", "Evaluation", "evaluate_text"]

BASELINE = f"{ORDER}-gram, Kneser-Ney"
_MOST_COUNTED = 5_000_000  # tokens, so that counting takes a minute and a gigabyte at most


@dataclass(frozen=True)
class Evaluation:
    """What a text was to a model, and to an n-gram of the same training text and tokens.

    Attributes:
        name: of the text.
        unit: what a token is called.
        tokens: predicted.
        nats: -log p of the whole text, by method: "model", and the baseline.
        characters: of the text.
        bytes: of it in UTF-8.
        words: of it between white space; each line end counts for one.
        unknown: tokens that are not in the vocabulary, which predicts them as one symbol.
        unknown_bytes: what these are in UTF-8.
    """

    name: str
    unit: str
    tokens: int
    nats: dict[str, float]
    characters: int
    bytes: int
    words: int
    unknown: int
    unknown_bytes: int

    @property
    def measures(self) -> dict[str, dict[str, float]]:
        """By method: nats, bits and perplexity per token, perplexity per word for words and subwords, bits per byte.

        Only bits per byte compares models of other tokens: they are the length of the text when it is compressed,
        with 8 bits for each byte of an unknown token and for its end.
        """
        return {method: self._measure(nats) for method, nats in self.nats.items()}

    def to_json(self) -> dict[str, Any]:
        """All of it, with the measures, as values for JSON."""
        return asdict(self) | {"measures": self.measures}

    def _measure(self, nats: float) -> dict[str, float]:
        mean = nats / self.tokens
        measures = {f"nats/{self.unit}": mean, f"bits/{self.unit}": mean / math.log(2)}
        measures[f"perplexity/{self.unit}"] = math.exp(min(mean, 700))
        if self.unit == "subword":
            measures["perplexity/word"] = math.exp(min(nats / max(self.words, 1), 700))
        spelled = 8 * (self.unknown_bytes + self.unknown)
        measures["bits/byte"] = (nats / math.log(2) + spelled) / self.bytes
        return measures


def evaluate_text(model: FittedModel, train: EncodedText, text: EncodedText, name: str) -> Evaluation:
    """Predict each token of a text from all before it, the state carried through the whole of it.

    Args:
        model: trained.
        train: what it was trained on, for the n-gram, which counts the last 5 million tokens of it at most.
        text: to predict.
        name: of the text.

    Raises:
        DataError: for a text without tokens.
    """
    if not len(text.codes):
        raise DataError(f"{name}: no tokens to predict")
    tokens: Tokenization = model.tokens
    begun = [tokens.line_end, *text.codes.tolist()]
    nats = {
        "model": float(Reader(model).score(text.codes).sum()),
        BASELINE: float(ngram_surprise(train.codes[-_MOST_COUNTED:], begun, len(tokens)).sum()),
    }
    return Evaluation(name, tokens.unit, len(text.codes), nats, **text.counts)
