"""Sampling frames that follow others, one after the other."""

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from recurra.models.frames import FrameModel

__all__ = ["sample_frames"]


@torch.no_grad()
def sample_frames(
    network: FrameModel,
    opening: np.ndarray,
    length: int,
    seeds: Sequence[int],
    *,
    temperature: float = 1.0,
    shift: np.ndarray | None = None,
) -> np.ndarray:
    """Sample what follows an opening.

    Each row has its own random generator and is computed in double precision, so that it is the same in any batch.

    Args:
        network: of a trained model.
        opening: (P, N) of 0 and 1, the frames before; P may be 0.
        length: T, frames to sample.
        seeds: of each row (B,).
        temperature: the log-odds of a note are divided by it; 0: a note sounds if that is more likely than not.
        shift: (N,), added to the log-odds; -infinity for a note that never sounds. None: zeros.

    Returns:
        The frames (B, T, N), uint8, without the opening.
    """
    double = copy.deepcopy(network).double().eval()
    device = next(double.parameters()).device
    notes, count = double.distribution.notes, len(seeds)
    generators = [np.random.default_rng(seed) for seed in seeds]
    added = torch.zeros(notes, dtype=torch.float64) if shift is None else torch.from_numpy(shift).double()
    added, free = added.to(device), torch.full((count, notes), -1.0, dtype=torch.float64, device=device)
    before = np.concatenate([np.zeros((1, notes)), opening])
    features, state = double(torch.from_numpy(before).to(device).expand(count, -1, -1))
    sampled = np.zeros((count, length, notes), np.uint8)
    last: Any = features[:, -1]
    for step in range(length):
        uniform = torch.from_numpy(np.stack([one.random(notes) for one in generators])).to(device)
        frames, _ = double.distribution.sample(last, uniform, free, added, temperature)
        sampled[:, step] = frames.cpu().numpy()
        features, state = double(frames.unsqueeze(1), state)
        last = features[:, 0]
    return sampled
