"""A drawing model as a stream of points: what is drawn, and the density of the next point."""

from typing import Any

import numpy as np
import torch
from torch import nn

from recurra.data.drawings.stroke_batches import point_features
from recurra.data.drawings.strokes import check_strokes
from recurra.errors import DataError, StreamError
from recurra.models.stroke_decoder import StrokeDecoder
from recurra.streaming import ItemStream, Stepper, StreamState
from recurra.tasks.draw.learned import scaled
from recurra.tasks.draw.training import FittedDrawing

__all__ = ["open_stream"]

_MOST_POINTS = 5000  # of an item


def open_stream(fitted: FittedDrawing, weights: str) -> ItemStream:
    """The model as a stream; see `DrawingModel.open_stream`.

    Raises:
        StreamError: the model reads codes or texts.
    """
    network, learned = fitted.network.eval(), fitted.learned
    if not isinstance(network, StrokeDecoder):
        reads = "texts" if learned.characters else "a code of the whole drawing"
        way_out = "window = 0" if learned.characters else "latent_size = 0"
        raise StreamError(f"the network reads {reads}, not points alone. Train with {way_out}.")
    stepper = Stepper(nn.Sequential(network.recurrent, network.output), weights)
    first = stepper.new_state().values
    example: dict[str, Any] = {"points": [[round(learned.side / 2), 0, 0], [0, round(learned.side / 3), 1]]}
    described = "the next points of a drawing, dx, dy and 1 if the pen is lifted after the point, else 0"
    if network.classes is not None:
        example["label"] = learned.labels[0]
        described += "; and its class"

    @torch.no_grad()
    def read(item: Any, state: StreamState) -> np.ndarray:
        begins = np.array_equal(state.values, first)
        points = _points(item, begins)
        # The origin, with the pen down, comes before the first point.
        strokes = np.concatenate([np.zeros((int(begins), 3), dtype=np.float32), scaled(points, learned.scale)])
        features = point_features(torch.from_numpy(strokes[:, :2]), torch.from_numpy(strokes[:, 2]).long())
        if network.classes is not None:
            label = item.get("label")
            if label not in learned.labels:
                raise DataError(f"label: {label!r} is not one of {', '.join(learned.labels)}.")
            embedded = network.classes.weight[learned.labels.index(label)].cpu()
            features = torch.cat([features, embedded.expand(len(features), -1)], dim=1)
        return features.numpy()

    def answer(_: np.ndarray, outputs: np.ndarray) -> dict[str, Any]:
        density = network.density(torch.from_numpy(np.array(outputs[-1])))
        return {
            "weights": density.log_weights.exp().tolist(),
            "means": (density.mean * learned.scale).tolist(),
            "deviations": (density.log_deviation.exp() * learned.scale).tolist(),
            "correlations": density.shear.tanh().tolist(),
            "pen": dict(zip(("down", "lifted", "ended"), density.log_pen.exp().tolist(), strict=True)),
        }

    return ItemStream(stepper, read, answer, described, example)


def _points(item: Any, begins: bool) -> np.ndarray:
    """The points (N, 3) of an item. Only that which begins a drawing may have none."""
    points = item.get("points") if isinstance(item, dict) else None
    if not isinstance(points, list):
        raise DataError('an item: expected {"points": [[dx, dy, pen], ...]}.')
    if not points and begins:
        return np.zeros((0, 3), dtype=np.float32)
    if len(points) > _MOST_POINTS:
        raise DataError(f"points: {len(points)}, expected at most {_MOST_POINTS} in an item.")
    return check_strokes(points, "points")
