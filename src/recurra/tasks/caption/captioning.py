"""From images to captions, free-running."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from recurra.errors import ParameterError
from recurra.models import beam_search, ensemble
from recurra.models.image import ReadImages
from recurra.tasks.caption.learned import CaptionLearned
from recurra.tasks.caption.options import CaptionSearch
from recurra.tasks.caption.training import FittedCaptioner, make_batch

__all__ = ["Caption", "attention", "write_captions"]


@dataclass(frozen=True)
class Caption:
    """A caption that a network wrote.

    Attributes:
        words: of it.
        score: what it is ranked by: `log_prob` over the length penalty.
        log_prob: of the whole, its end included.
        token_log_probs: of each word, and of the end.
    """

    words: tuple[str, ...]
    score: float
    log_prob: float
    token_log_probs: tuple[float, ...]

    @property
    def text(self) -> str:
        """The words with a space between two."""
        return " ".join(self.words)


@torch.no_grad()
def write_captions(
    models: Sequence[FittedCaptioner], images: Sequence[ReadImages], search: CaptionSearch
) -> list[list[Caption]]:
    """The `n_best` captions of each image, best first, by one model or by the mean of several.

    Args:
        models: with the same vocabulary.
        images: as each of the models reads them, at least the same number for each.
        search: how.

    Raises:
        ParameterError: the models have different vocabularies.
    """
    first = models[0]
    if any(model.learned.vocabulary.symbols != first.learned.vocabulary.symbols for model in models):
        expected = "runs with the same vocabulary: trained on the same data with the same min_count"
        raise ParameterError("ensemble", expected, "another one")
    results: list[list[Caption]] = []
    most = search.max_words or first.options["max_length"]
    for start in range(0, len(images[0]), search.batch_size):
        rows = range(start, min(start + search.batch_size, len(images[0])))
        states = tuple(
            model.network.eval().begin(own.batch(rows).to(model.device))
            for model, own in zip(models, images, strict=True)
        )
        hypotheses = beam_search(
            ensemble([model.network.step for model in models]),
            states,
            torch.full((len(rows),), CaptionLearned.begin, device=first.device),
            CaptionLearned.end,
            search.beam_size,
            most,
            search.length_penalty,
            search.n_best,
            search.no_repeat_ngram,
        )
        results += [
            [
                Caption(
                    tuple(first.learned.vocabulary.decode(one.tokens)), one.score, one.log_prob, one.token_log_probs
                )
                for one in best
            ]
            for best in hypotheses
        ]
    return results


@torch.no_grad()
def attention(model: FittedCaptioner, images: ReadImages, row: int, words: Sequence[str]) -> np.ndarray:
    """What each word of a caption of an image attends to, and the caption's end: (T, G, G) for a grid of G x G cells.

    Of several frames the grids stand side by side: (T, G, F * G).

    Raises:
        ParameterError: the network has no attention.
    """
    network = model.network.eval()
    if not network.attends:
        raise ParameterError("attention", "None for a run without attention (attention='none')", "an attention to draw")
    batch = make_batch(images.batch([row]), [model.learned.vocabulary.encode(words)], model.device)
    weights = network(batch.inputs)[0].weights[0].cpu().numpy()
    frames = images.reader.frames
    side = round((weights.shape[1] / frames) ** 0.5)
    return weights.reshape(len(weights), frames, side, side).swapaxes(1, 2).reshape(len(weights), side, -1)
