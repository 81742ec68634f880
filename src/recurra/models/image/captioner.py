"""A network that writes captions of images: a grid of features, soft attention to it, a recurrent decoder."""

import math
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from recurra.cells import Cell
from recurra.layers import Recurrent
from recurra.models.attention import AdditiveAttention, Memory, doubly_stochastic_loss
from recurra.models.attention_decoder import DecoderState, SearchState
from recurra.models.context_decoder import ContextDecoder
from recurra.models.decoding import Hypothesis, SelfCriticalOutput, greedy_search, sample_sequences, scheduled_inputs
from recurra.models.first_state import FirstState
from recurra.models.image.grid_network import GridNetwork

__all__ = ["CaptionBatch", "CaptionLoss", "CaptionOutput", "ImageCaptioner", "ImagesToCaption"]


@dataclass(frozen=True)
class CaptionBatch:
    """Images, and what the decoder reads of their captions.

    Attributes:
        images: what the network reads of each image: pixels (B, S, S, 3), uint8, of several frames (B, F, S, S, 3), or
            features (B, C, D) of the C cells of all frames.
        inputs: the caption's words after a begin (B, T).
        lengths: of the inputs (B,), on the CPU.
        teacher_forcing_ratio: the probability of reading a word of the caption in training; the others are sampled from
            the network, see `recurra.models.decoding.scheduled_inputs`.
    """

    images: Tensor
    inputs: Tensor
    lengths: Tensor
    teacher_forcing_ratio: float = 1.0

    def counted(self) -> Tensor:
        """Which steps of the inputs are true: bool (B, T)."""
        steps = torch.arange(self.inputs.shape[1], device=self.inputs.device)
        return steps < self.lengths.to(self.inputs.device).unsqueeze(1)

    def to(self, device: torch.device) -> "CaptionBatch":
        return replace(self, images=self.images.to(device), inputs=self.inputs.to(device))


@dataclass(frozen=True)
class ImagesToCaption:
    """Images of which the network writes captions in training.

    Attributes:
        images: as of a `CaptionBatch`.
        max_length: words of a caption at most, the end counted.
    """

    images: Tensor
    max_length: int


class CaptionOutput(NamedTuple):
    """What the network makes of a batch.

    Attributes:
        logits: of the word after each true input, (N, V).
        uneven: how unevenly the cells were attended to, see `doubly_stochastic_loss`, 0-dim; 0 without attention.
        weights: of the attention (B, T, C); C is 0 without attention.
    """

    logits: Tensor
    uneven: Tensor
    weights: Tensor


class ImageCaptioner(nn.Module):
    """Reads an image as a grid of features, and writes a caption (Xu et al. 2015, or Vinyals et al. 2015).

    The first state is computed of the mean of the features. With attention each step reads the cells that the output
    before it attends to, times the gate beta; without it nothing of the image but the first state. The next word is
    predicted of the word before, the output h and the context z, as in equation 7 of Xu et al.:
    softmax(L_o tanh(E y + L [h; z])).

    Args:
        vocabulary_size: V.
        cell: of the decoder.
        grid: the network that reads pixels; None: images are read as features.
        channels: D, of the features of a cell, if there is no grid network; they are projected to `feature_size`.
        feature_size: of a cell as it is attended to; of a grid network it has to be its channels.
        hidden_size: H.
        num_layers: L, of the decoder.
        embedding_size: E, features of a word.
        attention_size: A, features that the output and a cell are brought to; 0: there is no attention.
        dropout: of features (in all cells of an image), embeddings and outputs, and between layers, while training.
        begin_id: what is read before the first word.
        end_id: what follows the last word.
        never_written: ids that are not words, the end excepted.
    """

    never_written: Tensor

    def __init__(
        self,
        vocabulary_size: int,
        cell: Cell,
        *,
        begin_id: int,
        end_id: int,
        grid: GridNetwork | None = None,
        channels: int = 0,
        feature_size: int = 512,
        hidden_size: int = 512,
        num_layers: int = 1,
        embedding_size: int = 256,
        attention_size: int = 256,
        dropout: float = 0.0,
        never_written: tuple[int, ...] = (),
    ) -> None:
        super().__init__()
        self.grid = grid
        size = feature_size if grid is None else grid.channels
        self.projection = nn.Sequential(nn.Linear(channels, size), nn.ReLU()) if grid is None else nn.Identity()
        self.embedding = nn.Embedding(vocabulary_size, embedding_size)
        if attention_size:
            attention = AdditiveAttention(hidden_size, size, attention_size)
            self.decoder = ContextDecoder(cell, embedding_size, hidden_size, attention, num_layers, dropout)
            recurrent = self.decoder.recurrent
        else:
            self.decoder = Recurrent(cell, embedding_size, hidden_size, num_layers, dropout=dropout, batch_first=True)
            recurrent = self.decoder
        self.first_state = FirstState(size, recurrent)
        read = recurrent.output_size + (size if attention_size else 0)
        self.deep = nn.Linear(read, embedding_size)
        self.readout = nn.Linear(embedding_size, vocabulary_size)
        self.dropout = nn.Dropout(dropout)
        self.begin_id, self.end_id = begin_id, end_id
        self.register_buffer("never_written", torch.tensor(never_written, dtype=torch.int64), persistent=False)

    @property
    def attends(self) -> bool:
        """Whether there is attention."""
        return isinstance(self.decoder, ContextDecoder)

    def forward(
        self, batch: CaptionBatch | ImagesToCaption
    ) -> tuple[CaptionOutput, Any] | tuple[SelfCriticalOutput, Any]:
        """Read the images, predict each word from those before; or sample captions, for self-critical training.

        Returns:
            The output, and the decoder's final state, or None of captions that are sampled.
        """
        if isinstance(batch, ImagesToCaption):
            return self._sample(batch), None
        memory, state = self.encode(batch.images)
        inputs = batch.inputs
        if self.training and batch.teacher_forcing_ratio < 1:
            before = SearchState(memory, torch.arange(len(inputs), device=inputs.device), DecoderState(state))
            ratio = batch.teacher_forcing_ratio
            inputs = scheduled_inputs(self.step, before, inputs, self.end_id, ratio, batch.lengths)
        embedded = self.dropout(self.embedding(inputs))
        read, weights, state = self._decode(embedded, memory, state)
        counted = batch.counted()
        # Only true steps: the softmax over the vocabulary is much of the work.
        logits = self._predict(embedded[counted], read[counted])
        uneven = doubly_stochastic_loss(weights, counted) if self.attends else logits.new_zeros(())
        return CaptionOutput(logits, uneven, weights), state

    def write(self, images: Tensor, max_length: int) -> list[Hypothesis]:
        """The caption of each image by greedy search, of `max_length` words at most; without gradients."""
        begin = torch.full((len(images),), self.begin_id, device=images.device)
        with torch.no_grad():
            return greedy_search(self.step, self.begin(images), begin, self.end_id, max_length)

    def _sample(self, batch: ImagesToCaption) -> SelfCriticalOutput:
        """A sampled caption of each image, and the one that is written without dropout."""
        begin = torch.full((len(batch.images),), self.begin_id, device=batch.images.device)
        sampled = sample_sequences(self.step, self.begin(batch.images), begin, self.end_id, batch.max_length)
        trains = self.training
        written = self.eval().write(batch.images, batch.max_length - 1)
        self.train(trains)
        captions = [torch.tensor([*one.tokens, self.end_id]) for one in written]
        return SelfCriticalOutput(sampled, pad_sequence(captions, batch_first=True, padding_value=-1))

    def encode(self, images: Tensor) -> tuple[Memory, Any]:
        """What the decoder attends to, with 0 cells if there is no attention, and its first state."""
        cells = images if self.grid is None else self._cells(self.grid, images)
        # A feature is dropped in all cells of an image: their means cannot tell what is missing, and one mask is cheap.
        mask = self.dropout(cells.new_ones(len(cells), 1, cells.shape[2]))
        features = self.projection(cells * mask)
        state = self.first_state(features.mean(1))
        if isinstance(self.decoder, ContextDecoder):
            return self.decoder.attention.prepare(features), state
        none = features[:, :0]
        return Memory(none, none, torch.zeros(none.shape[:2], dtype=torch.bool, device=none.device)), state

    @staticmethod
    def _cells(grid: GridNetwork, images: Tensor) -> Tensor:
        """The cells of all frames (B, C, D) of pixels."""
        frames = images if images.dim() == 4 else images.flatten(0, 1)
        return grid(frames).flatten(2).transpose(1, 2).reshape(len(images), -1, grid.channels)

    def begin(self, images: Tensor) -> SearchState:
        """The state of a search before its first step."""
        memory, state = self.encode(images)
        return SearchState(memory, torch.arange(len(images), device=images.device), DecoderState(state))

    def step(self, tokens: Tensor, state: SearchState) -> tuple[Tensor, SearchState]:
        """The log-probabilities (N, V) of what follows tokens (N,)."""
        embedded = self.dropout(self.embedding(tokens.unsqueeze(1)))
        read, _, recurrent = self._decode(embedded, state.memory, state.decoder.recurrent)
        log_probs = self._predict(embedded.squeeze(1), read.squeeze(1)).log_softmax(1)
        # Not in place: of captions that are sampled in training the gradient is asked for.
        log_probs = log_probs.index_fill(1, self.never_written, -math.inf)
        return log_probs, SearchState(state.memory, state.sentences, DecoderState(recurrent))

    def _decode(self, embedded: Tensor, memory: Memory, state: Any) -> tuple[Tensor, Tensor, Any]:
        """What words are predicted from (B, T, ...), the weights of the attention, and the final state."""
        if isinstance(self.decoder, ContextDecoder):
            output, state = self.decoder(embedded, memory, state)
            return torch.cat([output.hidden, output.context], dim=2), output.weights, state
        hidden, state = self.decoder(embedded, state)
        return hidden, hidden.new_zeros(*hidden.shape[:2], 0), state

    def _predict(self, embedded: Tensor, read: Tensor) -> Tensor:
        return self.readout(self.dropout(torch.tanh(embedded + self.deep(self.dropout(read)))))


@dataclass(frozen=True)
class CaptionLoss:
    """The mean cross-entropy with the next words (N,), smoothed, and a penalty of uneven attention.

    Attributes:
        label_smoothing: the fraction of each target's probability that is spread over the vocabulary.
        attention_penalty: lambda of Xu et al. 2015, the weight of uneven attention.
    """

    label_smoothing: float = 0.0
    attention_penalty: float = 0.0

    def __call__(self, output: CaptionOutput, target: Tensor) -> Tensor:
        loss = F.cross_entropy(output.logits, target, label_smoothing=self.label_smoothing)
        return loss + self.attention_penalty * output.uneven if self.attention_penalty else loss
