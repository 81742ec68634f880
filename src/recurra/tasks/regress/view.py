"""What `inspect` shows of a regressor."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from recurra.data.labelled.items import take
from recurra.data.labelled.series import LabelledSeries
from recurra.data.labelled.targets import targets_of
from recurra.errors import ParameterError
from recurra.inspection import Words
from recurra.task import View
from recurra.task.architecture import stack_in_words
from recurra.task.reservoir_options import reservoir_in_words
from recurra.tasks.regress.results import evaluate
from recurra.tasks.regress.training import FittedRegressor, predicted, with_defaults
from recurra.text_table import one_line

__all__ = ["view"]

_SERIES = 32
_LONGEST = 200  # steps, but for the series plotted

_NETWORK = "The network has {num_layers} recurrent {layers} of {hidden_size} {cell} units{directions}."
_FEATURES = "It reads {features} features of each step."
_ENSEMBLE = "It is the first of {members} networks whose predictions are averaged."
_CONVOLUTION = (
    "The recurrent layers read the outputs of {filters} filters over {seen} steps, one step for every {stride} steps "
    "of the series. Gradients, Jacobians and exponents are by these; attributions and forgetting are by the series' "
    "steps."
)
_ONE_SERIES = "1 series is shown."
_SERIES_SHOWN = "{count} series are shown, spread over the data."
_PLOTTED = "Series {position} ({id}), of {steps} steps, is plotted."
_TARGET = "Its target is {target:.4g}."
_PREDICTION = "The prediction is {prediction:.4g}."
_INPUTS = (
    "Gradients and attributions are with respect to the values that the network reads, all channels of a step "
    "together. A step that is taken away becomes the mean of the steps of these series."
)
_LAYER_STEP = "step of the recurrent layers, one for every {stride} steps"


def view(fitted: FittedRegressor, data: LabelledSeries, row: int | None, name: str) -> View:
    """What `inspect` shows of a regressor; see `Regressor.view`."""
    learned, options = fitted.learned, with_defaults(fitted.options, fitted.learned)
    rows = _chosen(data, row)
    series = take(data, rows)
    assert isinstance(series, LabelledSeries)
    encoded = learned.encode(series.series, series.source)
    batch = encoded.batch(np.arange(len(rows))).to(fitted.device)
    numbers = predicted(fitted, encoded)
    known = series.labels is not None
    target = torch.from_numpy(learned.standardize(targets_of(series) if known else numbers)).to(fitted.device)

    def loss(output: tuple[Tensor, Any]) -> Tensor:
        return ((output[0] - target) ** 2 if known else output[0]).sum()

    def prediction(output: tuple[Tensor, Any]) -> Tensor:
        return output[0] * learned.deviation + learned.mean

    back = torch.from_numpy(encoded.lengths).unsqueeze(1) - 1 - torch.arange(int(encoded.lengths.max()))
    facts = {
        "run": name,
        "data": data.source,
        "network": _network(fitted),
        "looked at": " ".join(
            [
                (_ONE_SERIES if len(rows) == 1 else _SERIES_SHOWN).format(count=len(rows)),
                _PLOTTED.format(position=rows[0] + 1, id=one_line(series.ids[0]), steps=len(series.series[0])),
                *([_TARGET.format(target=targets_of(series)[0])] if known else []),
                _PREDICTION.format(prediction=numbers[0]),
            ]
        ),
        "inputs": _INPUTS,
    }
    return View(
        (batch,),
        Words(
            title=f"Inspection of {name}" if name else "Inspection of a regressor",
            facts={key: value for key, value in facts.items() if value},
            loss="the squared error of the standardised target"
            if known
            else "the standardised prediction, because no target is known",
            output="prediction",
            unit="units of the target",
            first_step=1,
            mean="the mean step",
            layer_step="" if options["stride"] == 1 else _LAYER_STEP.format(stride=options["stride"]),
        ),
        loss=loss,
        output=prediction,
        reads="reader",
        layers=["reader.networks.0.recurrent" if options["members"] > 1 else "reader.recurrent"],
        evaluate=(lambda: evaluate(fitted, data)) if known else None,
        distances=[back.clamp(min=-1).to(fitted.device)],
        alone=((encoded.batch(np.arange(1)).to(fitted.device),), prediction),
    )


def _chosen(data: LabelledSeries, row: int | None) -> list[int]:
    """The series to draw, then others that are not much longer, spread over all."""
    if row is not None and not 1 <= row <= len(data):
        raise ParameterError("row", f"1 to {len(data)}, the series of {data.source}", row)
    plotted = 0 if row is None else row - 1
    longest = max(_LONGEST, len(data.series[plotted]))
    others = [k for k, one in enumerate(data.series) if k != plotted and len(one) <= longest]
    # Beside a long one fewer: what is computed grows with all steps.
    count = min(_SERIES * _LONGEST // longest - 1, len(others))
    spread = np.unique(np.linspace(0, len(others) - 1, max(count, 0)).round().astype(int))
    return [plotted, *(others[k] for k in spread)]


def _network(fitted: FittedRegressor) -> str:
    options = with_defaults(fitted.options, fitted.learned)
    sentences = [
        stack_in_words(options)
        or _NETWORK.format(
            **{name: options[name] for name in ("num_layers", "hidden_size", "cell")},
            layers="layer" if options["num_layers"] == 1 else "layers",
            directions=" in each direction" if options["bidirectional"] else "",
        ),
        *reservoir_in_words(options),
        _FEATURES.format(features=fitted.learned.encoding.size),
    ]
    if options["members"] > 1:
        sentences.append(_ENSEMBLE.format_map(options))
    if options["filters"]:
        seen = 1 + sum(size - 1 for size in options["kernel_sizes"])
        sentences.append(_CONVOLUTION.format(seen=seen, **{name: options[name] for name in ("filters", "stride")}))
    return " ".join(sentences)
