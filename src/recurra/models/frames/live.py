"""Sampling frames without end, each when it is asked for, with memory that does not grow."""

import copy
from collections.abc import Iterator

import numpy as np
import torch

from recurra.models.frames.network import FrameModel

__all__ = ["stream_frames"]


def stream_frames(
    network: FrameModel, opening: np.ndarray, seed: int, *, temperature: float = 1.0, shift: np.ndarray | None = None
) -> Iterator[np.ndarray]:
    """Frames (N,), uint8, that follow an opening, each sampled when it is asked for; they never end.

    They are those that `sample_frames` samples with the same seed.

    Args:
        network: of a trained model.
        opening: (P, N) of 0 and 1, the frames before; P may be 0.
        seed: of the random generator.
        temperature: the log-odds of a note are divided by it; 0: a note sounds if that is more likely than not.
        shift: (N,), added to the log-odds; -infinity for a note that never sounds. None: zeros.
    """
    double = copy.deepcopy(network).double().eval()
    device, notes = next(double.parameters()).device, double.distribution.notes
    generator = np.random.default_rng(seed)
    added = torch.zeros(notes).double() if shift is None else torch.from_numpy(shift).double()
    added, free = added.to(device), torch.full((1, notes), -1.0, dtype=torch.float64, device=device)
    frames = torch.from_numpy(np.concatenate([np.zeros((1, notes)), opening])).to(device).unsqueeze(0)
    state = None
    while True:
        with torch.no_grad():
            features, state = double(frames, state)
            uniform = torch.from_numpy(generator.random((1, notes))).to(device)
            sampled, _ = double.distribution.sample(features[:, -1], uniform, free, added, temperature)
        frames = sampled.unsqueeze(1)
        yield sampled[0].to(torch.uint8).cpu().numpy()
