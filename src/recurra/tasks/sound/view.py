"""What `inspect` shows of a classifier of sounds."""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from recurra.data.audio.utterances import Utterances
from recurra.data.batches.ignored import is_ignored
from recurra.errors import ParameterError
from recurra.inspection import Words
from recurra.task import View
from recurra.tasks.sound.network import FittedSound, with_defaults
from recurra.tasks.sound.results import evaluate
from recurra.text_table import one_line, percent

__all__ = ["view"]

_MOST = 16  # recordings
_SECONDS = 5.0  # that are shown beside the recording plotted, at most

_NETWORK = (
    "The network has {num_layers} recurrent {layers} of {hidden_size} {cell} units{directions}. It reads {features} "
    "bands of the mel scale, a frame every {shift_ms:g} ms at {sample_rate:,} samples a second, and distinguishes "
    "{labels} labels. The temperature is {temperature:.2f}."
)
_ENSEMBLE = "It is the first of {members} networks whose scores are averaged."
_CONVOLUTION = (
    "The recurrent layers read the outputs of {filters} filters over {seen} frames, one step for every {stride} "
    "frames. Gradients, Jacobians and exponents are by these steps; attributions and forgetting are by frames."
)
_INPUTS = (
    "Gradients and attributions are with respect to normalised features, all bands of a frame together. A frame that "
    "is taken away becomes the mean of the frames of these recordings."
)
_LAYER_STEP = "step of the recurrent layers, one for every {stride} frames"


def view(fitted: FittedSound, data: Utterances, row: int, name: str) -> View:
    """What `inspect` shows of a classifier of sounds; see `SoundClassifier.view`."""
    learned, options = fitted.learned, with_defaults(fitted.options)
    shown = data.take(_chosen(data, row))
    encoded, _ = learned.encode(shown, fitted.options["channel"])
    batch = encoded.batch(np.arange(len(shown))).to(fitted.device)
    with torch.no_grad():
        logits = fitted.network.eval()(batch)[0]
    likeliest = logits.argmax(1)
    known = all(one.text is not None for one in data)
    target = learned.labels.encode([(one.text,) if one.text else () for one in shown]).to(fitted.device)
    target = torch.where(is_ignored(target), likeliest, target)

    def loss(output: tuple[Tensor, Any]) -> Tensor:
        return F.cross_entropy(output[0] / learned.temperature, target, reduction="sum")

    def log_odds(output: tuple[Tensor, Any], index: Tensor) -> Tensor:
        scaled = output[0] / learned.temperature
        chosen = scaled.gather(1, index.unsqueeze(1)).squeeze(1)
        return chosen - scaled.scatter(1, index.unsqueeze(1), -torch.inf).logsumexp(1)

    back = torch.from_numpy(encoded.lengths).unsqueeze(1) - 1 - torch.arange(int(encoded.lengths.max()))
    return View(
        (batch,),
        _words(fitted, shown, data, row, logits, known, name),
        loss=loss,
        output=lambda output: log_odds(output, likeliest),
        reads="classifier",
        layers=["classifier.networks.0.recurrent" if options["members"] > 1 else "classifier.recurrent"],
        evaluate=(lambda: evaluate(fitted, data)) if known else None,
        distances=[back.clamp(min=-1).to(fitted.device)],
        alone=(
            (encoded.batch(np.arange(1)).to(fitted.device),),
            lambda output: log_odds(output, likeliest[:1]),
        ),
    )


def _chosen(data: Utterances, row: int) -> list[int]:
    """The recording to draw, then others that are not much longer, spread over all."""
    if row > len(data):
        raise ParameterError("row", f"1 to {len(data)}, the recordings of {data.source}", row)
    longest = max(_SECONDS, data[row - 1].seconds)
    others = [k for k, one in enumerate(data) if k != row - 1 and one.seconds <= longest]
    spread = np.unique(np.linspace(0, len(others) - 1, min(_MOST - 1, len(others))).round().astype(int))
    return [row - 1, *(others[k] for k in spread)]


def _words(
    fitted: FittedSound, shown: Utterances, data: Utterances, row: int, logits: Tensor, known: bool, name: str
) -> Words:
    learned, options = fitted.learned, with_defaults(fitted.options)
    probabilities = learned.probabilities(logits[:1].cpu().numpy())[0]
    label = one_line(learned.labels.names.symbols[int(probabilities.argmax())])
    sentences = [
        _NETWORK.format(
            **{key: options[key] for key in ("num_layers", "hidden_size", "cell")},
            layers="layer" if options["num_layers"] == 1 else "layers",
            directions=" in each direction" if options["bidirectional"] else "",
            features=learned.encoding.size,
            shift_ms=learned.log_mel.shift_ms,
            sample_rate=learned.log_mel.sample_rate,
            labels=len(learned.labels),
            temperature=learned.temperature,
        )
    ]
    if options["members"] > 1:
        sentences.append(_ENSEMBLE.format_map(options))
    if options["filters"]:
        seen = 1 + sum(size - 1 for size in options["kernel_sizes"])
        sentences.append(_CONVOLUTION.format(seen=seen, **{key: options[key] for key in ("filters", "stride")}))
    one = shown[0]
    truth = f" Its label is {one_line(one.text)}." if one.text else ""
    looked_at = (
        f"{len(shown):,} of {len(data):,} recordings are shown. Recording {row} ({one_line(one.id)}), of "
        f"{one.seconds:.2f} s, is plotted.{truth} The model predicts {label} "
        f"({percent(float(probabilities.max()))} %)."
    )
    facts = {
        "run": name,
        "data": data.source,
        "network": " ".join(sentences),
        "looked at": looked_at,
        "inputs": _INPUTS,
    }
    return Words(
        title=f"Inspection of {name}" if name else "Inspection of a classifier of sounds",
        facts={key: value for key, value in facts.items() if value},
        loss="-log p of the label of each recording"
        + ("" if known else ", or of the one predicted if its own is not known"),
        output="log-odds of the likeliest label",
        plotted=f"log-odds of label {label}",
        unit="nats",
        first_step=1,
        step="frame",
        mean="the mean frame",
        layer_step="" if options["stride"] == 1 else _LAYER_STEP.format(stride=options["stride"]),
    )
