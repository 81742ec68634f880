"""What a tagger is, as values."""

from dataclasses import dataclass
from typing import Literal

from recurra.cells import find_cell
from recurra.data.text.tag_schemes import SCHEMES
from recurra.errors import ParameterError
from recurra.shapes import check_positive, check_probability
from recurra.training import TrainingSettings

__all__ = ["TagSettings"]


@dataclass(frozen=True, kw_only=True)
class TagSettings(TrainingSettings):
    """A tagger: its network, and, as `TrainingSettings` has it, how it is trained.

    Args:
        output: "crf" (all tags of a sentence together) or "softmax" (each by itself).
        scheme: in which tags of entities are learned, "iobes", "iob2" or "iob1", whatever scheme the file is in; tags
            of no entity, such as parts of speech, have none.
        cell: a name of `recurra.cells.NAMES` (lstm, gru, elman, slstm ...), or "module:Class" of a cell of your own.
        num_layers: bidirectional recurrent layers.
        hidden_size: units of each direction of a layer.
        word_size: features of a word's embedding.
        lowercase: whether words that differ by case only share their embedding; characters keep their case.
        min_count: occurrences in training below which a word is an unknown one.
        unknown_rate: while training, a word that occurs n times is read as an unknown one with probability
            unknown_rate / (unknown_rate + n) (Kiperwasser and Goldberg 2016).
        characters: how spellings are read: "recurrent", "convolution" or "none".
        character_size: features of a character.
        character_hidden_size: units of each direction over characters, or half of the filters of the convolution.
        dropout: of features, the same at every step of a sentence, on what the recurrent layers read and put out.
        recurrent_dropout: on what the recurrent weights read, the same at every step of a sentence.
        max_vectors: words taken from a file of pretrained vectors at most, from the first on.
        batch_size: sentences a step.
        device: "cpu", "cuda", or "auto" for CUDA where there is one.

    Raises:
        ParameterError: for a value out of its range.
    """

    output: Literal["crf", "softmax"] = "crf"
    scheme: Literal["iobes", "iob2", "iob1"] = "iobes"
    cell: str = "lstm"
    num_layers: int = 1
    hidden_size: int = 200
    word_size: int = 100
    lowercase: bool = True
    min_count: int = 1
    unknown_rate: float = 0.25
    characters: Literal["recurrent", "convolution", "none"] = "recurrent"
    character_size: int = 32
    character_hidden_size: int = 64
    dropout: float = 0.4
    recurrent_dropout: float = 0.0
    max_vectors: int = 200_000
    batch_size: int = 32
    device: str = "auto"
    max_steps: int = 1000
    learning_rate: float = 4e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in (
            *("num_layers", "hidden_size", "word_size", "min_count", "character_size", "character_hidden_size"),
            *("max_vectors", "batch_size"),
        ):
            check_positive(name, getattr(self, name))
        for name in ("dropout", "recurrent_dropout"):
            check_probability(name, getattr(self, name))
        rate = self.unknown_rate
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate < float("inf"):
            raise ParameterError("unknown_rate", "a number not below 0", rate)
        if not isinstance(self.lowercase, bool):
            raise ParameterError("lowercase", "True or False", self.lowercase)
        for name, choices in (
            ("output", ("crf", "softmax")),
            ("scheme", SCHEMES),
            ("characters", ("recurrent", "convolution", "none")),
        ):
            if getattr(self, name) not in choices:
                raise ParameterError(name, f"one of {', '.join(choices)}", getattr(self, name))
        find_cell(self.cell)
        if self.device not in ("auto", "cpu") and not str(self.device).startswith("cuda"):
            raise ParameterError("device", "'auto', 'cpu' or 'cuda'", self.device)
