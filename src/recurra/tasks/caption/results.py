"""Captions as results, and how good they are: BLEU as sacreBLEU computes it, CIDEr-D, ROUGE-L, copies."""

import json
import time
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from recurra.data.text.caption_scores import CiderD, rouge_l
from recurra.errors import MissingExtraError
from recurra.files import prepare_folder, write_text
from recurra.models.image import ReadImages
from recurra.task import Evaluation
from recurra.task.results import Table, TablePredictions
from recurra.tasks.caption.captioning import Caption, attention, write_captions
from recurra.tasks.caption.options import CaptionSearch
from recurra.tasks.caption.pictures import Attended, draw_attention, write_page
from recurra.tasks.caption.training import FittedCaptioner

__all__ = ["Captions", "evaluate_images", "score_captions"]

Words = tuple[str, ...]

_MOST_SHOWN = 12  # images of a page
_WORST_SHOWN = 4  # images of the picture of an evaluation
_SIGNATURE = (
    "BLEU: {}, on words in lower case without punctuation, near to coco-caption's; other tokenisers give other numbers."
)
_SCALE = "CIDEr-D is on its scale of 0 to 10 (papers show 100 times that), ROUGE-L has coco-caption's beta of 1.2."


class Captions(TablePredictions[list[str]]):
    """Captions of images, computed as they are asked for.

    Args:
        models: the captioner, and those of an ensemble.
        images: as each of them reads the images.
        search: how.
        scores: whether the text has scores too.
        read_from: the file or folder of the images, if there are several.
        attention_path: a PNG file to draw the attention of the first image into. None: none is drawn.
        page: an HTML file that shows the attention of the first images. None: none is written.
    """

    def __init__(
        self,
        models: Sequence[FittedCaptioner],
        images: Sequence[ReadImages],
        search: CaptionSearch,
        scores: bool = False,
        read_from: Path | None = None,
        attention_path: str | Path | None = None,
        page: str | Path | None = None,
    ) -> None:
        self._models, self._images, self._search = models, images, search
        self._scores = scores or search.n_best > 1
        self.read_from = read_from
        self._draw = (attention_path, page)

    @property
    def values(self) -> list[str]:
        """The best caption of each image."""
        return [best[0].text for best in self.captions]

    @cached_property
    def captions(self) -> list[list[Caption]]:
        """The `n_best` captions of each image, best first."""
        captions = write_captions(self._models, self._images, self._search)
        path, page = self._draw
        if path is not None or page is not None:
            most = 1 if page is None else _MOST_SHOWN
            shown = [
                _attended(self._models[0], self._images[0], row, best[0].words)
                for row, best in enumerate(captions[:most])
            ]
            if path is not None:
                draw_attention(shown[:1], Path(path))
            if page is not None:
                write_page(shown, Path(page))
        return captions

    def text(self, color: bool = False) -> Iterator[str]:
        names = [image.name for image in self._images[0].images]
        for name, best in zip(names, self.captions, strict=True):
            for one in best:
                fields = [name] if len(names) > 1 else []
                fields += [f"{one.score:.4f}"] if self._scores else []
                yield "\t".join([*fields, one.text]) + "\n"

    def table(self) -> Table:
        """One row for each caption: the image, its rank from 1, the caption, its score and log-probability."""
        names = [image.name for image in self._images[0].images]
        rows = [
            (name, rank, one.text, one.score, one.log_prob)
            for name, best in zip(names, self.captions, strict=True)
            for rank, one in enumerate(best, start=1)
        ]
        return Table(("image", "rank", "caption", "score", "log_prob"), rows)

    def write(self, path: str | Path) -> list[Path]:
        """Write the table as CSV, or as JSON lines with an image and its captions each; see `Result.write`."""
        target = Path(path)
        if target.suffix.lower() != ".jsonl":
            return super().write(path)
        names = [image.name for image in self._images[0].images]
        lines = [
            json.dumps({"image": name, "captions": [one.text for one in best]}, ensure_ascii=False)
            for name, best in zip(names, self.captions, strict=True)
        ]
        prepare_folder(target.parent)
        write_text(target, "".join(f"{line}\n" for line in lines))
        return [target]


def score_captions(captions: Sequence[Words], references: Sequence[Sequence[Words]]) -> tuple[dict[str, float], str]:
    """The scores of captions, one for each image, beside all references of each; and the signature of BLEU.

    BLEU-1 to 4 are of the corpus, 0 to 100; CIDEr-D, 0 to 10, and ROUGE-L, 0 to 1, are means over images.

    Raises:
        MissingExtraError: without sacrebleu.
    """
    try:
        from sacrebleu.metrics.bleu import BLEU
    except ImportError:
        raise MissingExtraError("sacrebleu", "caption", "scoring captions") from None
    texts = [" ".join(caption) for caption in captions]
    most = max(map(len, references))
    streams: list[Any] = [
        [" ".join(own[index]) if index < len(own) else None for own in references] for index in range(most)
    ]
    scores, signature = {}, ""
    for order in range(1, 5):
        # The words are cut already; and a caption that shares nothing has a score of 0, without smoothing.
        bleu = BLEU(max_ngram_order=order, tokenize="none", smooth_method="none", force=True)
        scores[f"BLEU-{order}"] = bleu.corpus_score(texts, streams).score
        signature = str(bleu.get_signature())
    cider = CiderD(references)
    scores["CIDEr-D"] = cider.mean(captions, references)
    scores["ROUGE-L"] = float(np.mean([rouge_l(one, own) for one, own in zip(captions, references, strict=True)]))
    return scores, signature


def evaluate_images(
    models: Sequence[FittedCaptioner], images: Sequence[ReadImages], search: CaptionSearch, ensemble: Sequence[str]
) -> Evaluation:
    """Caption images, and compare with people's captions; see `Captioner.evaluate`."""
    learned, own = models[0].learned, images[0]
    references = own.words
    nearest = learned.nearest(own.descriptors)
    methods: dict[str, dict[str, float]] = {}
    started = time.perf_counter()
    written = [best[0].words for best in write_captions(models, images, search)]
    seconds = time.perf_counter() - started
    methods["model"], signature = score_captions(written, references)
    baselines = {
        "most frequent caption": [learned.most_frequent] * len(own),
        "nearest training image": [learned.captions[row][0] for row in nearest],
    }
    for name, captions in baselines.items():
        methods[name], _ = score_captions(captions, references)
    copied, people = learned.known(written), learned.known([one for captions in references for one in captions])
    cider = CiderD(references)
    scores = [cider(one, captions) for one, captions in zip(written, references, strict=True)]
    rows = [
        (
            image.name,
            " ".join(one),
            scores[row],
            learned.copies.get(one, ""),
            " | ".join(map(" ".join, references[row])),
            learned.names[nearest[row]],
        )
        for row, (image, one) in enumerate(zip(own.images, written, strict=True))
    ]

    def draw_worst(path: Path) -> None:
        worst = [row for row in np.argsort(scores, kind="stable").tolist() if written[row]][:_WORST_SHOWN]
        draw_attention([_attended(models[0], own, row, written[row], references[row][0]) for row in worst], path)

    different = len(set(written))
    return Evaluation(
        f"{len(own):,} image{'s' * (len(own) != 1)} of {own.source}, free-running, beam size {search.beam_size}, "
        f"{seconds:.1f} s",
        methods,
        "CIDEr-D",
        formats={name: ".2f" if name.startswith("BLEU") else ".3f" for name in methods["model"]},
        tables={"captions": Table(("image", "caption", "CIDEr-D", "copied from", "references", "nearest image"), rows)},
        notes=[
            f"{100 * copied:.1f} % of the captions are, word for word, captions of training images; of people's "
            f"captions of these images {100 * people:.1f} % are. "
            f"{different:,} different caption{'s were' if different != 1 else ' was'} written.",
            _SIGNATURE.format(signature),
            _SCALE,
        ],
        facts={
            "images": len(own),
            "references": sum(map(len, references)),
            "search": search.get_params(),
            "ensemble": list(ensemble),
            "seconds": round(seconds, 2),
            "copied": copied,
            "copied by people": people,
            "different captions": different,
            "signature": signature,
        },
        pictures={"worst": draw_worst} if models[0].network.attends and any(written) else {},
    )


def _attended(model: FittedCaptioner, images: ReadImages, row: int, words: Words, reference: Words = ()) -> Attended:
    """An image as it is read, with what each word attends to."""
    image = images.images[row]
    weights = attention(model, images, row, words)
    pixels = images.reader.pixels(image)
    # Frames stand side by side.
    pixels = pixels if pixels.ndim == 3 else np.concatenate(list(pixels), axis=1)
    return Attended(image.name, pixels, words, weights, reference)
