"""What a language model is, as values."""

from dataclasses import dataclass
from typing import Literal

from recurra.cells import find_cell
from recurra.data.text.tokens import TOKENS
from recurra.errors import ParameterError
from recurra.shapes import check_positive, check_probability
from recurra.training import TrainingSettings, Truncation

__all__ = ["LanguageSettings"]

_DROPOUTS = ("dropout", "input_dropout", "embedding_dropout", "recurrent_dropout", "weight_dropout")


@dataclass(frozen=True, kw_only=True)
class LanguageSettings(TrainingSettings):
    """A language model: its tokens, its network, and, as `TrainingSettings` has it, how it is trained.

    Args:
        tokens: "characters", "bytes", "words" (between white space) or "subwords" (byte-pair encoding trained on the
            text; needs the extra `text`).
        vocabulary_size: tokens at most; where None, all words and characters, and 2000 subwords.
        min_count: occurrences below which a word or a character is unknown.
        cell: a name of `recurra.cells.NAMES` (lstm, gru, elman, slstm ...), or "module:Class" of a cell of your own.
        num_layers: recurrent layers.
        hidden_size: units of each layer.
        embedding_size: features of a token; where None the hidden size with `tied`, else the smaller of it and 256.
        tied: whether the softmax has the embeddings as its weights.
        cutoffs: of an adaptive softmax, for large vocabularies: how many of the most frequent tokens are in its head,
            and where each tail ends, as 2000,10000; a full softmax where empty.
        dropout: on the output of every recurrent layer, while training.
        input_dropout: on the embeddings.
        embedding_dropout: of whole tokens of the vocabulary, wherever they occur.
        recurrent_dropout: on what the recurrent weights read, the same at every step.
        weight_dropout: on the recurrent weights themselves.
        variational: whether dropout and input_dropout drop the same at every step of a segment.
        truncation_length: steps back that the gradient of a loss flows, at most.
        stride: steps between updates; as many as the truncation length where None.
        batch_size: lanes that the text is cut into and read in parallel.
        initialization: of the recurrent weights: "orthogonal", "identity" or "uniform".
        forget_bias: first bias of the gate that keeps the state.
        device: "cpu", "cuda", or "auto" for CUDA where there is one.

    Raises:
        ParameterError: for a value out of its range.
    """

    tokens: Literal["characters", "bytes", "words", "subwords"] = "characters"
    vocabulary_size: int | None = None
    min_count: int = 1
    cell: str = "lstm"
    num_layers: int = 1
    hidden_size: int = 256
    embedding_size: int | None = None
    tied: bool = False
    cutoffs: tuple[int, ...] = ()
    dropout: float = 0.0
    input_dropout: float = 0.0
    embedding_dropout: float = 0.0
    recurrent_dropout: float = 0.0
    weight_dropout: float = 0.0
    variational: bool = False
    truncation_length: int = 100
    stride: int | None = None
    batch_size: int = 32
    initialization: Literal["orthogonal", "identity", "uniform"] = "orthogonal"
    forget_bias: float = 1.0
    device: str = "auto"
    max_steps: int = 2000
    learning_rate: float = 4e-3
    validate_every: int = 250
    patience: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.tokens not in TOKENS:
            raise ParameterError("tokens", f"one of {', '.join(TOKENS)}", self.tokens)
        for name in ("min_count", "num_layers", "hidden_size", "batch_size"):
            check_positive(name, getattr(self, name))
        for name in ("vocabulary_size", "embedding_size"):
            if getattr(self, name) is not None:
                check_positive(name, getattr(self, name))
        for name in _DROPOUTS:
            check_probability(name, getattr(self, name))
        for name in ("tied", "variational"):
            if not isinstance(getattr(self, name), bool):
                raise ParameterError(name, "True or False", getattr(self, name))
        if not isinstance(self.cutoffs, tuple | list):
            raise ParameterError("cutoffs", "whole numbers", self.cutoffs)
        object.__setattr__(self, "cutoffs", tuple(self.cutoffs))  # a file and the command line give a list
        find_cell(self.cell)
        Truncation(self.truncation_length, self.stride)
        if self.initialization not in ("orthogonal", "identity", "uniform"):
            raise ParameterError("initialization", "one of orthogonal, identity, uniform", self.initialization)
        if self.device not in ("auto", "cpu") and not str(self.device).startswith("cuda"):
            raise ParameterError("device", "'auto', 'cpu' or 'cuda'", self.device)

    @property
    def truncation(self) -> Truncation:
        """How far the gradient flows, and how often the weights are updated."""
        return Truncation(self.truncation_length, self.stride)

    @property
    def features(self) -> int:
        """`embedding_size`, with None resolved."""
        return self.embedding_size or (self.hidden_size if self.tied else min(self.hidden_size, 256))
