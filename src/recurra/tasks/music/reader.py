"""A network that reads pieces: the surprise of their frames and notes, and the frames that it expects."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from recurra.data.batches.buckets import collate
from recurra.data.music.piece import Piece
from recurra.tasks.music.training import FittedMusic

__all__ = ["ReadPiece", "read_pieces"]

_FRAMES_AT_ONCE = 8192


class ReadPiece(NamedTuple):
    """What a model says of a piece.

    Attributes:
        surprise: -log p in nats of each note of each frame (T, N), given the frames before and the notes above.
        expected: what was likelier to sound than not (T, N), given the same.
    """

    surprise: np.ndarray
    expected: np.ndarray


@torch.no_grad()
def read_pieces(fitted: FittedMusic, pieces: Sequence[Piece]) -> list[ReadPiece]:
    """Read pieces, each from its first frame on, those of similar length together."""
    network = fitted.network.eval()
    order = np.argsort([piece.length for piece in pieces], kind="stable")
    result: dict[int, ReadPiece] = {}
    while len(order):
        longest = max(pieces[order[-1]].length, 1)
        chosen, order = order[-max(_FRAMES_AT_ONCE // longest, 1) :], order[: -max(_FRAMES_AT_ONCE // longest, 1)]
        rolls = [torch.from_numpy(pieces[index].roll).float() for index in chosen.tolist()]
        target, lengths = (one.to(fitted.device) for one in collate(rolls))
        features, _ = network(torch.nn.functional.pad(target, (0, 0, 1, 0))[:, :-1])
        for row, (index, length) in enumerate(zip(chosen.tolist(), lengths.tolist(), strict=True)):
            logits = network.distribution.logits(features[row, :length], target[row, :length])
            surprise = torch.nn.functional.softplus(torch.where(target[row, :length] > 0, -logits, logits))
            result[index] = ReadPiece(surprise.double().cpu().numpy(), (logits > 0).cpu().numpy())
    return [result[index] for index in range(len(pieces))]
