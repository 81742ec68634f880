"""What `inspect` looks at in networks that give one label, alike in every task that has one."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from recurra.data.batches.ignored import is_ignored
from recurra.data.labelled.label_set import LabelSet
from recurra.data.labelled.labels import Labels
from recurra.errors import ParameterError
from recurra.inspection import Words
from recurra.task.architecture import stack_in_words
from recurra.task.fitted import Fitted
from recurra.task.results import Evaluation
from recurra.task.view import View
from recurra.training.outputs import Encoded

__all__ = ["chosen_rows", "label_view", "layers_in_words"]

_NETWORK = "The network has {num_layers} recurrent {layers} of {hidden_size} {cell} units{directions}."
_ENSEMBLE = "It is the first of {members} networks whose scores are averaged."
_CONVOLUTION = (
    "The recurrent layers read the outputs of {filters} filters over {seen} frames, one step for every {stride} "
    "frames. Gradients, Jacobians and exponents are by these steps; attributions and forgetting are by frames."
)


def label_view(
    fitted: Fitted[Any, Any],
    encoded: Encoded,
    labels: LabelSet,
    temperature: float,
    references: Sequence[Labels],
    members: int,
    words: Callable[[np.ndarray], Words],
    evaluate: Callable[[], Evaluation] | None,
) -> View:
    """The view of a few items, the first of which is plotted.

    The loss is -log p of each item's label, or of the one predicted if its own is not known or training never saw it.
    The output is the log-odds of the likeliest label.

    Args:
        fitted: a model whose network has a `classifier`, or several, see `recurra.models.series_network`.
        encoded: the items.
        labels: of the model, one an item.
        temperature: that logits are divided by.
        references: the label of each item, or none.
        members: networks whose scores are averaged.
        words: from the logits of the items (N, K) to what the page says.
        evaluate: of the data that the items come from; None: their labels are not known.
    """
    batch = encoded.batch(np.arange(len(references))).to(fitted.device)
    with torch.no_grad():
        logits = fitted.network.eval()(batch)[0]
    likeliest = logits.argmax(1)
    target = labels.encode(references).to(fitted.device)
    target = torch.where(is_ignored(target), likeliest, target)

    def loss(output: tuple[Tensor, Any]) -> Tensor:
        return F.cross_entropy(output[0] / temperature, target, reduction="sum")

    def log_odds(output: tuple[Tensor, Any], index: Tensor) -> Tensor:
        scaled = output[0] / temperature
        chosen = scaled.gather(1, index.unsqueeze(1)).squeeze(1)
        return chosen - scaled.scatter(1, index.unsqueeze(1), -torch.inf).logsumexp(1)

    back = torch.from_numpy(encoded.lengths).unsqueeze(1) - 1 - torch.arange(int(encoded.lengths.max()))
    return View(
        (batch,),
        words(logits.cpu().numpy()),
        loss=loss,
        output=lambda output: log_odds(output, likeliest),
        reads="classifier",
        layers=["classifier.networks.0.recurrent" if members > 1 else "classifier.recurrent"],
        evaluate=evaluate,
        distances=[back.clamp(min=-1).to(fitted.device)],
        alone=(
            (encoded.batch(np.arange(1)).to(fitted.device),),
            lambda output: log_odds(output, likeliest[:1]),
        ),
    )


def chosen_rows(seconds: Sequence[float], row: int, most: int, longest: float, whose: str) -> list[int]:
    """The item to plot, then others that are not much longer, spread over all.

    Args:
        seconds: of each item.
        row: of the item to plot, from 1.
        most: items in all.
        longest: seconds that others may have if the item plotted is shorter.
        whose: what the rows are, for the message.

    Raises:
        ParameterError: there is no such item.
    """
    if row > len(seconds):
        raise ParameterError("row", f"1 to {len(seconds)}, {whose}", row)
    limit = max(longest, seconds[row - 1])
    others = [k for k, one in enumerate(seconds) if k != row - 1 and one <= limit]
    spread = np.unique(np.linspace(0, len(others) - 1, min(most - 1, len(others))).round().astype(int))
    return [row - 1, *(others[k] for k in spread)]


def layers_in_words(options: dict[str, Any], reads: str) -> str:
    """Sentences about the network of a task with `SequenceNetworkOptions`; `reads`: one about what it reads."""
    sentences = [
        stack_in_words(options)
        or _NETWORK.format(
            **{key: options[key] for key in ("num_layers", "hidden_size", "cell")},
            layers="layer" if options["num_layers"] == 1 else "layers",
            directions=" in each direction" if options["bidirectional"] else "",
        ),
        reads,
    ]
    if options["members"] > 1:
        sentences.append(_ENSEMBLE.format_map(options))
    if options["filters"]:
        seen = 1 + sum(size - 1 for size in options["kernel_sizes"])
        sentences.append(_CONVOLUTION.format(seen=seen, **{key: options[key] for key in ("filters", "stride")}))
    return " ".join(sentences)
