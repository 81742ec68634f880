"""What a classifier is, as values."""

from dataclasses import dataclass
from typing import Literal

from recurra.cells import find_cell
from recurra.errors import ParameterError
from recurra.models import POOLINGS
from recurra.shapes import check_positive, check_probability
from recurra.training import TrainingSettings

__all__ = ["ClassifySettings"]

_CHOICES = {
    "split": ("words", "spaces", "characters"),
    "characters": ("recurrent", "convolution", "none"),
    "normalization": ("channel", "series", "none"),
    "class_weights": ("balanced", "none"),
    "choose_by": ("accuracy", "macro_f1", "loss"),
}


@dataclass(frozen=True, kw_only=True)
class ClassifySettings(TrainingSettings):
    """A classifier of texts or series: its network, and, as `TrainingSettings` has it, how it is trained.

    Args:
        cell: a name of `recurra.cells.NAMES` (lstm, gru, elman, slstm ...), or "module:Class" of a cell of your own.
        num_layers: recurrent layers.
        hidden_size: units of each direction of a layer.
        bidirectional: whether sequences are also read backward.
        pooling: how all steps become one vector: one or more of last, mean, max, attention, side by side.
        filters: of a convolution before the recurrence; 0 for none.
        kernel_size: steps that a filter sees, an odd number.
        stride: steps from one output of the convolution to the next: 4 makes a long series four times as short.
        dropout: of features, on what the network reads, between its layers and on the pooled vector.
        recurrent_dropout: on what the recurrent weights read, the same at every step of a sequence.
        class_weights: "balanced" (labels count the same in the loss however rare they are) or "none".
        label_smoothing: share of each item's probability spread over all labels, while training.
        choose_by: what the best weights are chosen by: "accuracy" (with several labels an item micro F1), "macro_f1"
            or "loss".
        validation_share: of the items, held out to choose and to calibrate by where no validation data are given; 0
            for none.
        split: of texts, into "words" (and marks), at "spaces" or into "characters".
        lowercase: of texts, whether words that differ by case only share their embedding; spellings keep their case.
        min_count: of texts, occurrences in training below which a word is an unknown one.
        unknown_rate: of texts: while training, a word that occurs n times is read as an unknown one with probability
            unknown_rate / (unknown_rate + n).
        word_size: of texts, features of a word's embedding.
        characters: of texts, how spellings are read: "recurrent", "convolution" or "none".
        character_size: of texts, features of a character.
        character_hidden_size: of texts, units of each direction over characters, or half of the filters.
        max_vectors: of texts, words taken from a file of pretrained vectors at most.
        max_length: of texts, tokens that are read; the rest of a longer one is left out.
        normalization: of series, to mean 0 and deviation 1: by "channel" as in training, of each "series" by itself, or
            "none".
        batch_size: items a step.
        device: "cpu", "cuda", or "auto" for CUDA where there is one.

    Raises:
        ParameterError: for a value out of its range.
    """

    cell: str = "lstm"
    num_layers: int = 1
    hidden_size: int = 128
    bidirectional: bool = True
    pooling: tuple[str, ...] = ("mean", "max")
    filters: int = 0
    kernel_size: int = 3
    stride: int = 1
    dropout: float = 0.4
    recurrent_dropout: float = 0.0
    class_weights: Literal["balanced", "none"] = "none"
    label_smoothing: float = 0.0
    choose_by: Literal["accuracy", "macro_f1", "loss"] = "accuracy"
    validation_share: float = 0.1
    split: Literal["words", "spaces", "characters"] = "words"
    lowercase: bool = True
    min_count: int = 1
    unknown_rate: float = 0.25
    word_size: int = 100
    characters: Literal["recurrent", "convolution", "none"] = "none"
    character_size: int = 32
    character_hidden_size: int = 32
    max_vectors: int = 200_000
    max_length: int = 1000
    normalization: Literal["channel", "series", "none"] = "channel"
    batch_size: int = 32
    device: str = "auto"
    max_steps: int = 1000
    learning_rate: float = 2e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in (
            *("num_layers", "hidden_size", "kernel_size", "stride", "min_count", "word_size", "character_size"),
            *("character_hidden_size", "max_vectors", "max_length", "batch_size"),
        ):
            check_positive(name, getattr(self, name))
        check_positive("filters", self.filters, at_least=0)
        for name in ("dropout", "recurrent_dropout", "label_smoothing", "validation_share"):
            check_probability(name, getattr(self, name))
        if self.validation_share > 0.5:
            raise ParameterError("validation_share", "a number from 0 to 0.5", self.validation_share)
        rate = self.unknown_rate
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate < float("inf"):
            raise ParameterError("unknown_rate", "a number not below 0", rate)
        for name in ("bidirectional", "lowercase"):
            if not isinstance(getattr(self, name), bool):
                raise ParameterError(name, "True or False", getattr(self, name))
        pooling = (self.pooling,) if isinstance(self.pooling, str) else tuple(self.pooling)
        if not pooling or len(set(pooling)) < len(pooling) or not set(pooling) <= set(POOLINGS):
            raise ParameterError("pooling", f"one or more of {', '.join(POOLINGS)}, each once", self.pooling)
        object.__setattr__(self, "pooling", pooling)  # a file and the command line give a list
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise ParameterError(name, f"one of {', '.join(choices)}", getattr(self, name))
        if self.kernel_size % 2 == 0:
            raise ParameterError("kernel_size", "an odd number", self.kernel_size)
        if self.stride > 1 and not self.filters:
            raise ParameterError("stride", "1 without a convolution", self.stride, "Give it filters (--filters 64).")
        find_cell(self.cell)
        if self.device not in ("auto", "cpu") and not str(self.device).startswith("cuda"):
            raise ParameterError("device", "'auto', 'cpu' or 'cuda'", self.device)
