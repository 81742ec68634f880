"""What a translator is, as values."""

import math
from dataclasses import dataclass
from typing import Literal

from recurra.cells import find_cell
from recurra.errors import ParameterError
from recurra.shapes import check_positive, check_probability
from recurra.training import TrainingSettings

__all__ = ["TranslationSettings"]

_CHOICES = {
    "subwords": ("bpe", "unigram"),
    "attention": ("additive", "dot", "general"),
    "bridge": ("dense", "copy", "zeros"),
    "tied_embeddings": ("all", "output", "none"),
}


@dataclass(frozen=True, kw_only=True)
class TranslationSettings(TrainingSettings):
    """A translator: its vocabulary, its network, and, as `TrainingSettings` has it, how it is trained.

    Args:
        vocabulary_size: subwords at most.
        subwords: "bpe" (byte-pair encoding) or "unigram".
        joint_vocabulary: one vocabulary for both languages; else one for each.
        cell: a name of `recurra.cells.NAMES` (lstm, gru, rnn, slstm ...), or "module:Class" of a cell of your own.
        num_layers: of the encoder and of the decoder.
        hidden_size: units of each layer of the decoder; the encoder has half in each direction.
        embedding_size: features of a subword.
        attention: "additive" (Bahdanau et al. 2015), "dot" or "general" (Luong et al. 2015).
        coverage: attention also knows what was attended to before (See et al. 2017).
        coverage_penalty: weight in the loss of attending again to the same.
        input_feeding: each step of the decoder reads the attentional vector before; without it training is faster.
        bridge: how the decoder's first state comes of the encoder's last: "dense", "copy" or "zeros".
        tied_embeddings: "all" (source, target and softmax share one matrix; needs a joint vocabulary), "output"
            (target and softmax) or "none".
        dropout: on embeddings, between layers and on attentional vectors, while training.
        label_smoothing: share of each target's probability spread over the vocabulary, while training.
        max_length: subwords of a sentence; longer pairs are not trained on, longer sentences are translated as far as
            that.
        batch_tokens: subwords of a batch at most, padding included: sentences times the longest of their sides.
        device: "cpu", "cuda", or "auto" for CUDA where there is one.

    Raises:
        ParameterError: for a value out of its range.
    """

    vocabulary_size: int = 8000
    subwords: Literal["bpe", "unigram"] = "bpe"
    joint_vocabulary: bool = True
    cell: str = "lstm"
    num_layers: int = 1
    hidden_size: int = 512
    embedding_size: int = 256
    attention: Literal["additive", "dot", "general"] = "additive"
    coverage: bool = False
    coverage_penalty: float = 0.0
    input_feeding: bool = True
    bridge: Literal["dense", "copy", "zeros"] = "dense"
    tied_embeddings: Literal["all", "output", "none"] = "all"
    dropout: float = 0.3
    label_smoothing: float = 0.1
    max_length: int = 100
    batch_tokens: int = 1200
    device: str = "auto"
    max_steps: int = 10_000
    validate_every: int = 500

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("vocabulary_size", "num_layers", "hidden_size", "embedding_size", "max_length", "batch_tokens"):
            check_positive(name, getattr(self, name))
        if self.hidden_size % 2:
            raise ParameterError("hidden_size", "an even number, half for each direction", self.hidden_size)
        find_cell(self.cell)
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise ParameterError(name, f"one of {', '.join(choices)}", getattr(self, name))
        for name in ("joint_vocabulary", "coverage", "input_feeding"):
            if not isinstance(getattr(self, name), bool):
                raise ParameterError(name, "True or False", getattr(self, name))
        check_probability("dropout", self.dropout)
        check_probability("label_smoothing", self.label_smoothing)
        penalty = self.coverage_penalty
        if isinstance(penalty, bool) or not isinstance(penalty, int | float) or not 0 <= penalty < math.inf:
            raise ParameterError("coverage_penalty", "a number not below 0", penalty)
        if self.tied_embeddings == "all" and not self.joint_vocabulary:
            hint = "Or use a joint vocabulary."
            raise ParameterError(
                "tied_embeddings", "'output' or 'none' with a vocabulary for each language", "all", hint
            )
        if self.batch_tokens <= self.max_length:
            raise ParameterError("batch_tokens", f"more than max_length = {self.max_length}", self.batch_tokens)
        if self.device not in ("auto", "cpu") and not str(self.device).startswith("cuda"):
            raise ParameterError("device", "'auto', 'cpu' or 'cuda'", self.device)
