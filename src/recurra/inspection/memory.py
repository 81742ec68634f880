"""Jacobian norms through time: how much of a change of the state is left k steps later."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from recurra.inspection.decay import Decay, fit_decay
from recurra.inspection.jacobians import longest, single_threaded, track_jacobians
from recurra.inspection.record import Recording
from recurra.inspection.segment import Track
from recurra.progress import Tick, no_tick

__all__ = ["JacobianNorms", "jacobian_norms"]

_EXACT = 64  # numbers in a state, up to which norms are exact
_SUBSPACE = 8
_ITERATIONS = 6


@dataclass(frozen=True)
class JacobianNorms:
    """Spectral norms of Jacobians of a layer's whole state.

    Attributes:
        track: the layer, by the name of its track.
        by_step: (T,), the norm of ds_t / ds_{t-1} at each step in the order of time, the mean over sequences; nan at
            padding.
        lags: (K,), increasing from 1.
        median: (K,), of the norms of ds_t / ds_{t-k} over starts and sequences.
        low: (K,), their least.
        high: (K,), their greatest.
        decay: fitted to the median.
    """

    track: str
    by_step: np.ndarray
    lags: np.ndarray
    median: np.ndarray
    low: np.ndarray
    high: np.ndarray
    decay: Decay


@torch.no_grad()
@single_threaded()
def jacobian_norms(
    recording: Recording, starts: int = 6, sequences: int = 2, most_lags: int = 24, tick: Tick = no_tick
) -> tuple[JacobianNorms, ...]:
    """||ds_t / ds_{t-1}|| by t, and ||ds_t / ds_{t-k}|| by k, for each layer.

    s_t is the whole state of the layer, all parts; the norm is the spectral one, the most by which the recurrence can
    stretch a change (Pascanu et al. 2013). Products of the steps' Jacobians, in float64. Norms of states of more than
    64 numbers are estimated by subspace iteration (Halko et al. 2011): they are never too large, and at most a few
    percent too small.

    Args:
        recording: of a module's run.
        starts: steps t - k from which changes are followed, spread over the sequence; fewer reach the longest lags.
        sequences: of the batch, the first.
        most_lags: how many lags, spread evenly by their logarithm.
        tick: called after each step of each layer, for progress.
    """
    return tuple(
        _norms(track, starts, sequences, most_lags, tick) for track in recording.tracks if track.valid.sum(0).max() > 1
    )


def _norms(track: Track, starts: int, sequences: int, most_lags: int, tick: Tick) -> JacobianNorms:
    chosen = longest(track.valid, sequences)
    steps = int(track.valid[:, chosen[0]].sum())
    lags = np.unique(np.geomspace(1, steps - 1, most_lags).round().astype(int))
    begun = set(np.linspace(0, max(steps - 2, 0), starts).round().astype(int).tolist())
    by_step = np.full(track.steps, np.nan)
    products: dict[int, tuple[Tensor, Tensor]] = {}  # by start, and the logarithm that was taken out of each
    norms_by_lag: dict[int, list[float]] = {int(lag): [] for lag in lags}
    for index, (t, jacobian) in enumerate(track_jacobians(track, chosen)):
        by_step[t] = float(_spectral(jacobian).mean())
        for start, (product, logs) in products.items():
            product = jacobian @ product
            # Long products would leave the range of floating point.
            scale = product.abs().amax(dim=(1, 2), keepdim=True).clamp(min=1e-300)
            products[start] = (product / scale, logs + scale.log().flatten())
            if (lag := index - start) in norms_by_lag:
                norms = _spectral(products[start][0]) * products[start][1].exp()
                norms_by_lag[lag] += norms.tolist()
        if index in begun:
            # The change begins after this step.
            identity = torch.eye(jacobian.shape[1], dtype=jacobian.dtype, device=jacobian.device)
            products[index] = (identity.expand_as(jacobian), jacobian.new_zeros(jacobian.shape[0]))
        tick()
    here = np.array([lag for lag in lags if norms_by_lag[int(lag)]], dtype=int)
    norms = [np.array(norms_by_lag[int(lag)]) for lag in here]
    median = np.array([np.median(n) for n in norms])
    return JacobianNorms(
        *(track.name, by_step, here, median),
        low=np.array([n.min() for n in norms]),
        high=np.array([n.max() for n in norms]),
        decay=fit_decay(median, here),
    )


def _spectral(matrices: Tensor) -> Tensor:
    """The largest singular value of each (B, S, S)."""
    scale = matrices.abs().amax(dim=(1, 2)).clamp(min=1e-300)
    scaled = matrices / scale[:, None, None]
    size = matrices.shape[2]
    if size > _EXACT:
        # A start of its own generator: the figures of a run are the same each time.
        start = torch.randn(size, _SUBSPACE, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        basis = start.to(scaled).expand(len(scaled), -1, -1)
        transposed = scaled.mT.contiguous()  # products with a view of it take twice as long
        for _ in range(_ITERATIONS):
            basis = torch.linalg.qr(transposed @ (scaled @ basis))[0]
        scaled = scaled @ basis
    return torch.linalg.eigvalsh(scaled.mT @ scaled)[:, -1].clamp(min=0).sqrt() * scale
