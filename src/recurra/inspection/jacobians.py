"""Jacobians of a step: ds_t / ds_{t-1}, s being the whole state of a layer."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from recurra.inspection.segment import Segment, Track
from recurra.kernels import Masks, Weights, reference

__all__ = ["in_double", "longest", "segment_jacobians", "single_threaded", "state_size", "track_jacobians"]


def state_size(segment: Segment) -> int:
    """S, the numbers in the whole state of a sequence."""
    return sum(part.shape[1] for part in segment.initial)


@contextmanager
def single_threaded() -> Iterator[None]:
    """Matrices of a few hundred rows are decomposed faster by one thread: several wait for each other at every step,
    and four times as long where another process holds a core."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def longest(valid: Tensor, sequences: int) -> Tensor:
    """Indices of the longest sequences, all of one length, as many at most; from (T, B) bool."""
    lengths = valid.sum(0)
    return torch.nonzero(lengths == lengths.max()).flatten()[:sequences]


def track_jacobians(track: Track, chosen: Tensor) -> Iterator[tuple[int, Tensor]]:
    """As `segment_jacobians`, over all segments of a track, with the steps counted through."""
    for start, segment in zip(track.starts, track.segments, strict=True):
        for t, jacobian in segment_jacobians(segment, chosen):
            yield start + t, jacobian


def segment_jacobians(segment: Segment, chosen: Tensor) -> Iterator[tuple[int, Tensor]]:
    """The Jacobian (B, S, S) float64 of each step that is not padding, in the layer's own direction.

    Args:
        segment: what ran.
        chosen: indices (B,) of sequences of one length.

    Yields:
        The step, and its Jacobian where the sequences were at that step.
    """
    weights, masks = in_double(segment.weights), _masks_in_double(segment.masks)
    before = [part[:, chosen].double() for part in segment.before()]
    projected = segment.projected()[:, chosen].double()
    sizes = [part.shape[2] for part in before]
    directions = torch.eye(sum(sizes), dtype=torch.float64, device=projected.device)

    for t in range(segment.steps - 1, -1, -1) if segment.reverse else range(segment.steps):
        if not segment.valid[t, chosen].any():
            continue
        state = torch.cat([part[t] for part in before], dim=1).requires_grad_()
        with torch.enable_grad():
            after = reference.step(segment.cell, projected[t], state.split(sizes, dim=1), weights, masks, t)
            flat = torch.cat(after, dim=1)
        # Sequences do not mix, so that one direction serves all of them at once.
        asked = directions.unsqueeze(1).expand(-1, flat.shape[0], -1)
        if flat.requires_grad:
            (rows,) = torch.autograd.grad(
                flat, state, asked, is_grads_batched=True, allow_unused=True, materialize_grads=True
            )
        else:
            rows = torch.zeros_like(asked)
        yield t, rows.transpose(0, 1)


def in_double(weights: Weights) -> Weights:
    """Weights in float64, outside the graph."""
    tensors = {
        name: tensor.detach().double() for name, tensor in weights._asdict().items() if isinstance(tensor, Tensor)
    }
    return weights._replace(**tensors)


def _masks_in_double(masks: Masks | None) -> Masks | None:
    if masks is None:
        return None
    recurrent = None if masks.recurrent is None else masks.recurrent.double()
    return Masks(recurrent, None if masks.zoneout is None else tuple(mask.double() for mask in masks.zoneout))
