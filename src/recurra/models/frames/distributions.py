"""Distributions over the notes of a frame, given features of the frames before."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from recurra.shapes import check_positive

__all__ = ["NADE", "FrameDistribution", "IndependentNotes"]


class FrameDistribution(nn.Module, ABC):
    """A distribution over frames of N notes, each 0 or 1.

    Args:
        features: F, the size of what it is conditioned on.
        notes: N.

    Raises:
        ParameterError: a size is below 1.
    """

    def __init__(self, features: int, notes: int) -> None:
        super().__init__()
        check_positive("features", features)
        check_positive("notes", notes)
        self.notes = notes
        self.visible = nn.Linear(features, notes)

    @abstractmethod
    def logits(self, features: Tensor, frames: Tensor) -> Tensor:
        """The log-odds (..., N) of each note given the features (..., F) and the notes of its frame (..., N) above."""

    @abstractmethod
    def begin(self, features: Tensor) -> tuple[Tensor, ...]:
        """What frames begin with, given features (B, F): a state of tensors (B, ...) for `note_logits`."""

    @abstractmethod
    def note_logits(self, state: tuple[Tensor, ...], note: int) -> Tensor:
        """The log-odds (B,) of a note, given what was decided of those above it."""

    @abstractmethod
    def decided(self, state: tuple[Tensor, ...], note: int, sounds: Tensor) -> tuple[Tensor, ...]:
        """The state after a note was decided, 0 or 1 (B,); notes are decided from the highest to the lowest."""

    def sample(
        self, features: Tensor, uniform: Tensor, forced: Tensor, shift: Tensor, temperature: float
    ) -> tuple[Tensor, Tensor]:
        """Sample frames note by note, from the highest to the lowest.

        Args:
            features: (B, F).
            uniform: (B, N) random numbers in [0, 1): a note sounds if its number is below its probability.
            forced: (B, N) of 0 and 1 for notes that are set, and -1 for those that are sampled.
            shift: (N,) added to the log-odds; -infinity for a note that never sounds unless it is forced.
            temperature: the log-odds are divided by it; 0: a note sounds if that is more likely than not.

        Returns:
            The frames (B, N), and the log-probability (B,) that the model gives to their forced notes.
        """
        state = self.begin(features)
        frames, log_probability = torch.zeros_like(uniform), uniform.new_zeros(len(uniform))
        for note in reversed(range(self.notes)):
            logits = self.note_logits(state, note)
            sounds = _decide(logits + shift[note], uniform[:, note], forced[:, note], temperature)
            log_probability = log_probability + _log_probability_of_forced(logits, forced[:, note])
            frames[:, note] = sounds
            state = self.decided(state, note, sounds)
        return frames, log_probability

    def start_from(self, frequencies: Tensor) -> None:
        """Set the biases of the notes to the log-odds of how often each sounds (N,), in (0, 1), which saves steps."""
        with torch.no_grad():
            self.visible.bias.copy_(frequencies.logit())

    def log_probability(self, features: Tensor, frames: Tensor) -> Tensor:
        """The log-probability (...) of frames (..., N) in nats: the sum over notes."""
        return -self.surprise(features, frames).sum(-1)

    def surprise(self, features: Tensor, frames: Tensor) -> Tensor:
        """The surprise (..., N), -log p in nats, of each note given those above it."""
        return binary_cross_entropy_with_logits(self.logits(features, frames), frames, reduction="none")


class IndependentNotes(FrameDistribution):
    """Independent Bernoulli variables, the reference of Boulanger-Lewandowski et al. 2012."""

    def reset_parameters(self) -> None:
        """Initialise as torch does."""
        self.visible.reset_parameters()

    def logits(self, features: Tensor, frames: Tensor) -> Tensor:
        """See `FrameDistribution.logits`: the notes of the frame make no difference."""
        return self.visible(features)

    def begin(self, features: Tensor) -> tuple[Tensor, ...]:
        """See `FrameDistribution.begin`."""
        return (self.visible(features),)

    def note_logits(self, state: tuple[Tensor, ...], note: int) -> Tensor:
        """See `FrameDistribution.note_logits`."""
        return state[0][:, note]

    def decided(self, state: tuple[Tensor, ...], note: int, sounds: Tensor) -> tuple[Tensor, ...]:
        """See `FrameDistribution.decided`: other notes do not depend on it."""
        return state

    def sample(
        self, features: Tensor, uniform: Tensor, forced: Tensor, shift: Tensor, temperature: float
    ) -> tuple[Tensor, Tensor]:
        """See `FrameDistribution.sample`: all notes at once."""
        logits = self.visible(features)
        frames = _decide(logits + shift, uniform, forced, temperature)
        return frames, _log_probability_of_forced(logits, forced).sum(1)


class NADE(FrameDistribution):
    """A neural autoregressive density estimator (Larochelle and Murray 2011) whose biases follow from the features.

    It is the output of an RNN-NADE (Boulanger-Lewandowski et al. 2012). Notes are numbered from the highest, v_1, to
    the lowest, so that a melody is there before what accompanies it:

        h_i = sigmoid(b + sum_{j<i} W_j v_j)             b = W_b u + b_0      (u: the features)
        p(v_i = 1 | v_1 .. v_{i-1}) = sigmoid(c_i + V_i h_i)      c = W_c u + c_0

    Between two notes that sound h_i does not change. A frame with k of them therefore has k + 1 vectors h, not N, which
    makes the likelihood about as quick as that of independent notes.

    Args:
        features: F, the size of u.
        notes: N.
        hidden_size: the size of h.

    Raises:
        ParameterError: a size is below 1.
    """

    def __init__(self, features: int, notes: int, hidden_size: int) -> None:
        super().__init__(features, notes)
        check_positive("hidden_size", hidden_size)
        self.hidden = nn.Linear(features, hidden_size)
        # The last row, of zeros, pads frames with fewer notes than others.
        self.above = nn.Embedding(notes + 1, hidden_size, padding_idx=notes)
        self.readout = nn.Parameter(torch.empty(notes, hidden_size))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise W and V normally with variance 1 / hidden_size, and the maps of the features as torch does."""
        self.visible.reset_parameters()
        self.hidden.reset_parameters()
        deviation = self.hidden.out_features**-0.5
        nn.init.normal_(self.above.weight, std=deviation)
        nn.init.zeros_(self.above.weight[self.notes].detach())
        nn.init.normal_(self.readout, std=deviation)

    def logits(self, features: Tensor, frames: Tensor) -> Tensor:
        """See `FrameDistribution.logits`."""
        flat = features.reshape(-1, features.shape[-1])
        sounding = frames.reshape(-1, self.notes) > 0.5
        before = sounding.flip(1).cumsum(1).flip(1) - sounding.long()
        most = int(sounding.sum(1).max()) if len(sounding) else 0
        frame, note = sounding.nonzero(as_tuple=True)
        notes = torch.full((len(sounding), most), self.notes, device=frames.device)
        notes[frame, before[frame, note]] = note
        first = self.hidden(flat).unsqueeze(1)
        summed = torch.cat([first, first + self.above(notes).cumsum(1)], 1)
        scores = summed.sigmoid() @ self.readout.T
        chosen = scores.gather(1, before.unsqueeze(1)).squeeze(1)
        return chosen.reshape(frames.shape) + self.visible(features)

    def begin(self, features: Tensor) -> tuple[Tensor, ...]:
        """See `FrameDistribution.begin`."""
        return self.visible(features), self.hidden(features)

    def note_logits(self, state: tuple[Tensor, ...], note: int) -> Tensor:
        """See `FrameDistribution.note_logits`."""
        visible, summed = state
        return visible[:, note] + summed.sigmoid() @ self.readout[note]

    def decided(self, state: tuple[Tensor, ...], note: int, sounds: Tensor) -> tuple[Tensor, ...]:
        """See `FrameDistribution.decided`."""
        visible, summed = state
        return visible, summed + sounds.unsqueeze(1) * self.above.weight[note]


def _decide(logits: Tensor, uniform: Tensor, forced: Tensor, temperature: float) -> Tensor:
    """0 or 1 for each note, as `FrameDistribution.sample` describes it."""
    sampled = logits > 0 if temperature == 0 else uniform < (logits / temperature).sigmoid()
    return torch.where(forced >= 0, forced, sampled.to(forced.dtype))


def _log_probability_of_forced(logits: Tensor, forced: Tensor) -> Tensor:
    """Of each note that is forced, the log-probability of its value; 0 for others."""
    loss = binary_cross_entropy_with_logits(logits, forced.clamp(min=0), reduction="none")
    return torch.where(forced >= 0, -loss, torch.zeros_like(loss))
