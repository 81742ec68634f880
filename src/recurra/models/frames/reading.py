"""The surprise of frames and of their notes, and the notes that were expected."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch.nn.functional import pad, softplus
from torch.nn.utils.rnn import pad_sequence

from recurra.models.frames.network import FrameModel

__all__ = ["ReadFrames", "read_frames"]

_FRAMES_AT_ONCE = 8192


class ReadFrames(NamedTuple):
    """What a model says of a sequence of frames.

    Attributes:
        surprise: -log p in nats of each note of each frame (T, N), given the frames before and the notes above.
        expected: whether each note was likelier to sound than not, given the same: bool (T, N).
    """

    surprise: np.ndarray
    expected: np.ndarray


@torch.no_grad()
def read_frames(network: FrameModel, sequences: Sequence[np.ndarray]) -> list[ReadFrames]:
    """Read sequences, those of similar length together; before the first frame of each there is silence.

    Args:
        network: it is put into evaluation mode.
        sequences: frames (T, N) of 0 and 1 each, of any lengths T.
    """
    device, evaluated = next(network.parameters()).device, network.eval()
    order = np.argsort([len(one) for one in sequences], kind="stable")
    result: dict[int, ReadFrames] = {}
    while len(order):
        together = max(_FRAMES_AT_ONCE // max(len(sequences[order[-1]]), 1), 1)
        chosen, order = order[-together:].tolist(), order[:-together]
        target = pad_sequence([torch.from_numpy(sequences[k]).float() for k in chosen], batch_first=True).to(device)
        features, _ = evaluated(pad(target, (0, 0, 1, 0))[:, :-1])
        for row, index in enumerate(chosen):
            frames = target[row, : len(sequences[index])]
            logits = evaluated.distribution.logits(features[row, : len(frames)], frames)
            surprise = softplus(torch.where(frames > 0, -logits, logits))
            result[index] = ReadFrames(surprise.double().cpu().numpy(), (logits > 0).cpu().numpy())
    return [result[index] for index in range(len(sequences))]
