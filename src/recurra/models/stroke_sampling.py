"""Drawings sampled from a network, point by point."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recurra.data.drawings.stroke_batches import ENDED, POINT_SIZE, point_features
from recurra.models.pen_mixture import PEN_STATES, PenMixture

__all__ = ["GROUP", "sample_strokes"]

GROUP = 16
"""Drawings that are sampled at once. Products of matrices of one size have the same bits, those of another may not."""

Step = Callable[[Tensor, Any], tuple[Tensor, Any]]


@torch.no_grad()
def sample_strokes(
    step: Step,
    density: Callable[[Tensor], PenMixture],
    seeds: Sequence[Sequence[int]],
    *,
    temperature: float,
    bias: float | None = None,
    max_points: int,
    start: np.ndarray | None = None,
    ending: Callable[[Any], tuple[Tensor, Tensor]] | None = None,
    device: torch.device | None = None,
) -> list[np.ndarray]:
    """Sample a drawing for each seed.

    Each has random numbers of its own, of which every point takes four.

    Args:
        step: from points (B, T, 5), see `point_features`, and the state after those before (None for none) to the raw
            outputs (B, T, F) after each, and the state.
        density: from raw outputs (B, F) to the density of the next point.
        seeds: of each drawing; B of them.
        temperature: see `PenMixture.at_temperature`.
        bias: see `PenMixture.sharpened`; used in place of the temperature. None: the temperature is used.
        max_points: of a drawing, those of the start included; one that reaches it is cut there.
        start: points (N, 3) that every drawing begins with; they are read, and are not changed. None: none.
        ending: from the state to whether each drawing may end (B,), and whether it has to (B,) as soon as its pen is
            lifted, bool. None: drawings end where the network says so.
        device: of the network. None: the CPU.

    Returns:
        Of each drawing the strokes (N, 3) float32, the start included. There may be no points.
    """
    first = np.zeros((0, 3), dtype=np.float32) if start is None else np.asarray(start, dtype=np.float32)
    count, left = len(seeds), max(max_points - len(first), 0)
    # Two generators a drawing: the numbers of a point do not depend on how many points there may be.
    uniform, normal = (torch.zeros(count, left, 2) for _ in range(2))
    for row, seed in enumerate(seeds):
        uniform[row] = torch.from_numpy(np.random.default_rng([*seed, 0]).random((left, 2)))
        normal[row] = torch.from_numpy(np.random.default_rng([*seed, 1]).standard_normal((left, 2)))
    points = torch.zeros(count, 1, POINT_SIZE)
    points[..., 2] = 1.0
    begun = torch.from_numpy(first)
    read = point_features(begun[:, :2], begun[:, 2].long()).expand(count, -1, -1)
    points = torch.cat([points, read], dim=1)
    state: Any = None
    made = torch.zeros(count, left, 3)
    lengths = torch.full((count,), left)
    for index in range(left):
        raw, state = step(points.to(device), state)
        mixture = density(raw[:, -1].float().cpu())
        mixture = mixture.at_temperature(temperature) if bias is None else mixture.sharpened(bias)
        if ending is None:
            offset, pen = mixture.sample(uniform[:, index], normal[:, index])
        else:
            may_end, has_to_end = (answer.cpu() for answer in ending(state))
            goes_on = (torch.arange(PEN_STATES) == ENDED) & ~may_end.unsqueeze(1)
            mixture = mixture._replace(log_pen=mixture.log_pen.masked_fill(goes_on, -math.inf))
            offset, pen = mixture.sample(uniform[:, index], normal[:, index])
            pen = pen.masked_fill(has_to_end & (points[:, -1, 3] > 0).cpu(), ENDED)
        lengths = torch.where((pen == ENDED) & (lengths > index), index, lengths)
        if bool((lengths <= index).all()):
            break
        made[:, index, :2], made[:, index, 2] = offset, pen
        points = point_features(offset, pen).unsqueeze(1)
    rest = [one[:length].numpy() for one, length in zip(made, lengths.tolist(), strict=True)]
    return [np.concatenate([first, one]) for one in rest]
