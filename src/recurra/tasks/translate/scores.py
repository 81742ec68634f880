"""How good translations are: BLEU and chrF as sacreBLEU computes them, with its signatures (Post 2018)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from recurra.errors import MissingExtraError

__all__ = ["Evaluation", "Scores", "score"]


@dataclass(frozen=True)
class Scores:
    """Corpus scores, 0 to 100.

    Attributes:
        bleu: Papineni et al. 2002.
        chrf: chrF2, Popović 2015.
        bleu_signature: what of BLEU it is; scores of different signatures do not compare.
        chrf_signature: what of chrF.
    """

    bleu: float
    chrf: float
    bleu_signature: str
    chrf_signature: str


@dataclass(frozen=True)
class Evaluation:
    """A test.

    Attributes:
        model: scores of the translations.
        copy: scores of the source itself, taken for its translation: a baseline.
        translations: of each sentence.
        seconds: that translating took.
    """

    model: Scores
    copy: Scores
    translations: tuple[str, ...]
    seconds: float


def score(translations: Sequence[str], references: Sequence[str]) -> Scores:
    """The scores of translations by one reference each.

    Raises:
        MissingExtraError: without sacrebleu.
    """
    bleu, chrf = _metrics()
    found = [metric.corpus_score(list(translations), [list(references)]) for metric in (bleu, chrf)]
    return Scores(found[0].score, found[1].score, str(bleu.get_signature()), str(chrf.get_signature()))


def _metrics() -> tuple[Any, Any]:
    try:
        from sacrebleu.metrics.bleu import BLEU
        from sacrebleu.metrics.chrf import CHRF
    except ImportError:
        raise MissingExtraError("sacrebleu", "translate", "scoring translations") from None
    return BLEU(), CHRF()
