"""What a recogniser learns from its training data without gradients."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

from recurra.task.learned import Learned

if TYPE_CHECKING:
    from recurra.data.audio.alphabet import Alphabet
    from recurra.data.audio.log_mel import LogMel
    from recurra.data.audio.normalization import FeatureStatistics
    from recurra.models.confidence import ConfidenceMap

__all__ = ["COMMONEST", "SpeechLearned"]

COMMONEST = "the commonest text"


@dataclass(frozen=True)
class SpeechLearned(Learned):
    """The alphabet, the features and their statistics, and a baseline.

    Attributes:
        alphabet: the units that the network writes.
        log_mel: the features.
        statistics: of the features of training.
        commonest: the text that occurs most often in training; the baseline writes it for every recording.
        confidence: from the confidence of a word to the probability that it is right, fitted on validation data; None:
            there were none.
    """

    alphabet: "Alphabet"
    log_mel: "LogMel"
    statistics: "FeatureStatistics"
    commonest: str
    confidence: "ConfidenceMap | None" = None

    def to_json(self) -> dict[str, Any]:
        return {
            "alphabet": self.alphabet.to_json(),
            "log_mel": self.log_mel.get_params(),
            "statistics": self.statistics.to_json(),
            "commonest": self.commonest,
            "confidence": None if self.confidence is None else asdict(self.confidence),
        }

    @classmethod
    def from_json(cls, values: dict[str, Any], tensors: dict[str, Any]) -> Self:
        from recurra.data.audio.alphabet import Alphabet
        from recurra.data.audio.log_mel import LogMel
        from recurra.data.audio.normalization import FeatureStatistics
        from recurra.models.confidence import ConfidenceMap

        confidence = values.get("confidence")
        return cls(
            Alphabet.from_json(values["alphabet"]),
            LogMel(**values["log_mel"]),
            FeatureStatistics.from_json(values["statistics"]),
            values["commonest"],
            None if confidence is None else ConfidenceMap(**confidence),
        )

    def rows(self) -> dict[str, list[Any]]:
        symbols = list(self.alphabet.symbols)
        rows = dict.fromkeys(("scores.weight", "scores.bias", "joiner.weight", "joiner.bias"), symbols)
        return {**rows, "embedding.weight": symbols}
