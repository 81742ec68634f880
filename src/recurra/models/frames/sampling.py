"""Sampling frames that follow others, one after the other, around notes that are set."""

import copy
from collections.abc import Sequence

import numpy as np
import torch

from recurra.models.decoding import choose_particles, resample, select_rows
from recurra.models.frames.network import FrameModel

__all__ = ["sample_frames"]


@torch.no_grad()
def sample_frames(
    network: FrameModel,
    opening: np.ndarray,
    forced: np.ndarray,
    seeds: Sequence[int],
    *,
    temperature: float = 1.0,
    shift: np.ndarray | None = None,
    particles: int = 1,
) -> np.ndarray:
    """Sample what follows an opening.

    Each row has its own random generator and is computed in double precision, so that it is the same in any batch.

    Notes that are set guide the others by a particle filter (Gordon et al. 1993): several rows are sampled at once, and
    those that make the notes that are set likelier replace others. With one particle a frame knows the set notes of
    itself and of the frames before; with more also those that follow.

    Args:
        network: of a trained model.
        opening: (P, N) of 0 and 1, the frames before; P may be 0.
        forced: (T, N) for the frames to sample: 0 and 1 for notes that are set, and -1 for others.
        seeds: of each row (B,).
        temperature: the log-odds of a note are divided by it; 0: a note sounds if that is more likely than not.
        shift: (N,), added to the log-odds; -infinity for a note that never sounds unless it is set. None: zeros.
        particles: of each row.

    Returns:
        The frames (B, T, N), uint8, without the opening.
    """
    double = copy.deepcopy(network).double().eval()
    device = next(double.parameters()).device
    notes, rows = double.distribution.notes, len(seeds)
    generators = [np.random.default_rng(seed) for seed in seeds]
    added = torch.zeros(notes).double() if shift is None else torch.from_numpy(shift).double()
    added, every = added.to(device), torch.from_numpy(forced).double().to(device)
    before = torch.from_numpy(np.concatenate([np.zeros((1, notes)), opening])).to(device)
    features, state = double(before.expand(rows * particles, -1, -1))
    last = features[:, -1]
    weights = np.zeros((rows, particles))
    sampled = torch.zeros(rows * particles, len(every), notes, dtype=torch.uint8, device=device)
    for step, here in enumerate(every):
        uniform = np.concatenate([one.random((particles, notes)) for one in generators])
        expanded = here.expand(rows * particles, -1)
        frames, likelihood = double.distribution.sample(
            last, torch.from_numpy(uniform).to(device), expanded, added, temperature
        )
        sampled[:, step] = frames.to(torch.uint8)
        features, state = double(frames.unsqueeze(1), state)
        last = features[:, 0]
        if particles > 1:
            weights += likelihood.cpu().numpy().reshape(rows, particles)
            index = torch.from_numpy(resample(weights, generators)).to(device)
            sampled, last = sampled[index], last[index]
            state = select_rows(state, index, batch_dim=1)
    return sampled.cpu().numpy()[choose_particles(weights, generators)]
