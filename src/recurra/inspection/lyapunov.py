"""The Lyapunov spectrum of a layer driven by real inputs."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from recurra.errors import ParameterError
from recurra.inspection.jacobians import longest, segment_jacobians, single_threaded, state_size
from recurra.inspection.record import Recording
from recurra.inspection.segment import Segment
from recurra.progress import Tick, no_tick

__all__ = ["LyapunovSpectrum", "lyapunov_spectrum"]


@dataclass(frozen=True)
class LyapunovSpectrum:
    """The exponents of one layer.

    Attributes:
        name: of the layer.
        exponents: (K,), all or as many as were asked for, decreasing, natural logarithms of the growth per step; the
            mean over sequences. -inf for a direction that is lost within a step.
        spread: (K,), the standard deviation over sequences.
        size: S, the numbers in the state, each of which has an exponent.
        steps: over which they were taken, after the warm-up.
        warmup: steps before, in which the directions align.
        sequences: B.
    """

    name: str
    exponents: np.ndarray
    spread: np.ndarray
    size: int
    steps: int
    warmup: int
    sequences: int

    @property
    def largest(self) -> float:
        """The largest exponent: below 0 a change of the state fades, above 0 it grows (chaos)."""
        return float(self.exponents[0])

    @property
    def dimension(self) -> float:
        """The attractor's dimension by Kaplan and Yorke (1979): how many directions together do not shrink.

        It is at least K if the exponents asked for do not shrink together.
        """
        sums = np.cumsum(self.exponents)
        whole = int((sums >= 0).sum())
        if whole == 0:
            return 0.0
        if whole == len(sums):
            return float(whole)
        return whole + float(sums[whole - 1] / -self.exponents[whole])


def lyapunov_spectrum(
    recording: Recording,
    warmup: int | None = None,
    sequences: int = 4,
    count: int | None = None,
    tick: Tick = no_tick,
) -> tuple[LyapunovSpectrum, ...]:
    """The Lyapunov exponents of each layer, along the states it went through, by the QR method.

    Orthonormal directions are carried along by the Jacobian of each step and made orthonormal again; the mean
    logarithms of what they were stretched by are the exponents (Benettin et al. 1980; for driven recurrent networks
    Engelken et al. 2023). They are those of finite time, over the steps recorded. Layers of a stack have each their
    own: the Jacobian of a stack is block-triangular, and its exponents are those of its layers.

    Args:
        recording: of a module's run.
        warmup: steps before counting begins; None: a quarter of them.
        sequences: of the batch, the first that are not shorter than the longest.
        count: how many exponents, the largest; None: all.
        tick: called after each step of each layer, for progress.

    Raises:
        ParameterError: for a warm-up as long as a sequence.
    """
    spectra = []
    for segment in recording.segments:
        steps = int(segment.valid.sum(0).max())
        if steps < 2:
            continue
        first = steps // 4 if warmup is None else warmup
        if not 0 <= first < steps:
            raise ParameterError("warmup", f"0 to {steps - 1}", warmup)
        spectra.append(_spectrum(recording.name(segment), segment, first, sequences, count, tick))
    return tuple(spectra)


@torch.no_grad()
@single_threaded()
def _spectrum(
    name: str, segment: Segment, warmup: int, sequences: int, count: int | None, tick: Tick
) -> LyapunovSpectrum:
    size = state_size(segment) if count is None else min(count, state_size(segment))
    chosen = longest(segment.valid, sequences)
    directions: Tensor | None = None
    total: Tensor | float = 0.0
    counted = 0
    for _, jacobian in segment_jacobians(segment, chosen):
        if directions is None:
            identity = torch.eye(jacobian.shape[1], dtype=jacobian.dtype, device=jacobian.device)
            directions = identity[:, :size].expand(jacobian.shape[0], -1, -1)
        directions, stretched = torch.linalg.qr(jacobian @ directions)
        counted += 1
        if counted > warmup:
            total = total + stretched.diagonal(dim1=1, dim2=2).abs().log()
        tick()
    assert isinstance(total, Tensor)
    exponents = (total / (counted - warmup)).cpu().numpy()
    exponents = -np.sort(-exponents, axis=1)
    with np.errstate(invalid="ignore"):
        spread = np.where(np.isfinite(exponents).all(0), exponents.std(0), 0.0)
    steps = counted - warmup
    return LyapunovSpectrum(name, exponents.mean(0), spread, state_size(segment), steps, warmup, len(chosen))
