"""The baseline that a language model has to beat: interpolated Kneser-Ney n-grams of the same text."""

from recurra.models.baselines.ngram import ORDER, ngram_surprise
from recurra.tasks.language.corpus import LanguageLearned

__all__ = ["BASELINE", "baseline_loss"]

BASELINE = f"{ORDER}-gram, Kneser-Ney"
_MOST_COMPARED = 300_000  # tokens counted, and predicted, beside a training: a second or two


def baseline_loss(learned: LanguageLearned) -> float:
    """The mean surprise of the validation text by n-grams of the training text, in nats per token.

    Of long texts the end of the training text is counted, and the beginning of the validation text is predicted.
    """
    train, validation = (learned.text(part).ids for part in ("train", "validation"))
    begun = [learned.tokens.line_end, *validation[:_MOST_COMPARED].tolist()]
    return float(ngram_surprise(train[-_MOST_COMPARED:], begun, len(learned.tokens)).mean())
