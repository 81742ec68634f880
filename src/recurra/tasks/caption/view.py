"""What `inspect` shows of a captioner."""

from typing import Any

import numpy as np
from torch import Tensor

from recurra.errors import DataError, ParameterError
from recurra.inspection import Words
from recurra.models.image import CaptionBatch, ReadImages
from recurra.task import View
from recurra.tasks.caption.training import FittedCaptioner, make_batch

__all__ = ["view"]

_MOST = 16  # images

_NETWORK = (
    "{num_layers} x {cell} of {hidden_size} units read the words before, and {read}. The first state is computed of "
    "the mean of the features."
)
_READ = {"soft": "at each step the cells of the image that it attends to", "none": "of the image nothing more"}
_LOOKED_AT = (
    "Word {position} of the first caption of {count} images is looked at. The decoder reads each caption up to there. "
    "The pictures show image {row}, {name}, and its word {word}."
)
_INPUTS = (
    "A word is not a number. Gradients and attributions are with respect to its embedding, and a word that is taken "
    "away becomes the mean embedding."
)


def view(fitted: FittedCaptioner, images: ReadImages, row: int, name: str) -> View:
    """What `inspect` shows of a captioner; see `Captioner.view`."""
    rows = _chosen(fitted, images, row)
    vocabulary = fitted.learned.vocabulary
    first = images.words[row - 1][0]
    position = len(first)
    captions = [vocabulary.encode(images.words[one][0][:position]) for one in rows]
    batch = make_batch(images.batch(rows), captions, fitted.device).inputs
    # The last word is what the network is to expect.
    read = CaptionBatch(batch.images, batch.inputs[:, :-1].contiguous(), batch.lengths - 1)
    following = batch.inputs[:, -1]

    def log_probability(output: Any, following: Tensor = following) -> Tensor:
        logits = output[0].logits.view(len(following), position, -1)[:, -1]
        return logits.log_softmax(1).gather(1, following.unsqueeze(1)).squeeze(1)

    alone = CaptionBatch(read.images[:1], read.inputs[:1], read.lengths[:1])
    options = fitted.options
    facts = {
        "run": name,
        "data": images.source,
        "network": _NETWORK.format_map({**options, "read": _READ[options["attention"]]}),
        "looked at": _LOOKED_AT.format(
            position=position, count=len(rows), row=row, name=images.images[row - 1].name, word=first[-1]
        ),
        "inputs": _INPUTS,
    }
    words = Words(
        title=f"Inspection of {name}" if name else "Inspection of a captioner",
        facts={key: value for key, value in facts.items() if value},
        loss=f"the surprise of word {position}, here {first[-1]}",
        output=f"log-probability of word {position}",
        plotted=f"log-probability of {first[-1]}",
        unit="nats",
        first_step=0,
        step="word",
        labels=["<s>", *first[:-1]],
        mean="the mean embedding",
    )
    return View(
        (read,),
        words,
        loss=lambda output: -log_probability(output).sum(),
        output=log_probability,
        reads="decoder",
        alone=((alone,), lambda output: log_probability(output, following[:1])),
    )


def _chosen(fitted: FittedCaptioner, images: ReadImages, row: int) -> list[int]:
    """The image to show, then others whose first caption is at least as long, spread over all."""
    if row > len(images):
        raise ParameterError("row", f"1 to {len(images)}, the images of {images.source}", row)
    most = fitted.options["max_length"]
    length = len(images.words[row - 1][0])
    if not 2 <= length <= most:
        name = images.images[row - 1].name
        raise DataError(f"{images.source}: the first caption of {name} has {length} words, expected 2 to {most}.")
    others = np.array([one for one, own in enumerate(images.words) if len(own[0]) >= length and one != row - 1])
    spread = np.unique(np.linspace(0, len(others) - 1, min(_MOST - 1, len(others))).round().astype(int))
    return [row - 1, *others[spread].tolist()] if len(others) else [row - 1]
