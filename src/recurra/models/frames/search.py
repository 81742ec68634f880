"""Beam search for the likeliest frames around notes that are set."""

import copy

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from recurra.models.decoding import select_rows
from recurra.models.frames.network import FrameModel

__all__ = ["search_frames"]


@torch.no_grad()
def search_frames(
    network: FrameModel,
    opening: np.ndarray,
    forced: np.ndarray,
    beam_size: int,
    shift: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The likeliest frames that follow an opening, as a beam search over single notes finds them.

    Notes are decided from the highest to the lowest, frame by frame; after each the best hypotheses stay in the beam.
    With a beam that holds every sequence this is exhaustive search.

    Args:
        network: of a trained model; it is computed in double precision.
        opening: (P, N) of 0 and 1, the frames before; P may be 0.
        forced: (T, N) for the frames to search: 0 and 1 for notes that are set, and -1 for others.
        beam_size: K, hypotheses in a beam.
        shift: (N,), added to the log-odds of notes that are not set; -infinity for one that never sounds. None: zeros.

    Returns:
        The frames of up to K hypotheses (K, T, N), uint8, without the opening, the best first, and their scores (K,):
        log-probabilities, shifted.
    """
    double = copy.deepcopy(network).double().eval()
    device, distribution = next(double.parameters()).device, double.distribution
    notes = distribution.notes
    added = torch.zeros(notes).double() if shift is None else torch.from_numpy(shift).double()
    before = torch.from_numpy(np.concatenate([np.zeros((1, notes)), opening])).to(device)
    features, state = double(before.unsqueeze(0))
    last, scores = features[:, -1], torch.zeros(1, dtype=torch.float64, device=device)
    searched = torch.zeros(1, 0, notes, dtype=torch.uint8, device=device)
    for frame in torch.from_numpy(forced).tolist():
        walk, rows = distribution.begin(last), torch.arange(len(scores), device=device)
        here = torch.zeros(len(scores), notes, dtype=torch.float64, device=device)
        for note in reversed(range(notes)):
            logits = distribution.note_logits(walk, note)
            if frame[note] >= 0:
                scores = scores + logsigmoid(logits if frame[note] else -logits)
                sounds = torch.full_like(scores, frame[note])
            else:
                scores, chosen, sounds = _best(scores, logits + added[note].to(device), beam_size)
                walk, here, rows = tuple(one[chosen] for one in walk), here[chosen], rows[chosen]
            here[:, note] = sounds
            walk = distribution.decided(walk, note, sounds)
        searched = torch.cat([searched[rows], here.unsqueeze(1).to(torch.uint8)], 1)
        features, state = double(here.unsqueeze(1), select_rows(state, rows, batch_dim=1))
        last = features[:, 0]
    order = scores.argsort(descending=True, stable=True)
    return searched[order].cpu().numpy(), scores[order].cpu().numpy()


def _best(scores: Tensor, logits: Tensor, beam_size: int) -> tuple[Tensor, Tensor, Tensor]:
    """The scores, rows and values of the best hypotheses, of which each is continued by 0 and by 1."""
    every = torch.cat([scores + logsigmoid(-logits), scores + logsigmoid(logits)])
    possible = int(every.isfinite().sum())
    best = every.argsort(descending=True, stable=True)[: min(beam_size, possible)]
    return every[best], best % len(scores), (best >= len(scores)).double()
