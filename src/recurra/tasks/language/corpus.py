"""The texts a language model is trained, validated and tested on, and what it learns from them without gradients."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from recurra.data.files.part_names import PARTS, part_of
from recurra.data.files.text_file import read_text
from recurra.errors import DataError, ParameterError
from recurra.task.learned import Learned

if TYPE_CHECKING:
    from torch import Tensor

    from recurra.data.text.tokens import EncodedText, Tokenization

__all__ = ["Corpus", "LanguageLearned", "read_corpus"]


@dataclass(frozen=True)
class Corpus:
    """Texts by part.

    Attributes:
        source: where the texts come from.
        texts: by part: "train", "validation" and, perhaps, "test".
        split: how they were divided, in words that end a sentence.
        is_cut: whether a single text was cut into these.
    """

    source: str
    texts: dict[str, str]
    split: str
    is_cut: bool = False

    def digest(self) -> str:
        digest = hashlib.sha256()
        for part, text in self.texts.items():
            digest.update(f"{part} {len(text)}\n".encode())
            digest.update(text.encode("utf-8", "surrogatepass"))
        return digest.hexdigest()

    def validated_on(self, other: "Corpus") -> "Corpus":
        """These texts, all but the test text to train on, validated on all of another."""
        texts = {"train": self.texts["train"] + self.texts["validation"], "validation": "".join(other.texts.values())}
        if "test" in self.texts:
            texts["test"] = self.texts["test"]
        return Corpus(self.source, texts, f"validated on {other.source}")


def read_corpus(
    data: str | Path | Mapping[str, str], validation_fraction: float = 0.1, test_fraction: float = 0.0
) -> Corpus:
    """Read the texts of a file or a folder.

    Args:
        data: a text file (plain or gzipped, UTF-8), which is cut into train, validation and test text in this order; a
            folder with a file for each part, which has `train`, `validation` (or `valid`, `val`, `dev`) or `test` in
            its name, as ptb.train.txt; or the texts by part.
        validation_fraction: of a single file, in (0, 1).
        test_fraction: of a single file, in [0, 1).

    Raises:
        DataError: a file is missing, empty, binary or not UTF-8, a part is missing or occurs twice, or a text has fewer
            than two characters.
        ParameterError: the parts of `data` have other names.
    """
    if isinstance(data, str | Path) and not os.path.isdir(data):
        return _cut(Path(data), validation_fraction, test_fraction)
    if isinstance(data, Mapping):
        texts = {part_of(name) or name: text for name, text in data.items()}
        if len(texts) < len(data) or set(texts) - set(PARTS) or not {"train", "validation"} <= set(texts):
            raise ParameterError("data", "texts named train, validation and, perhaps, test", ", ".join(data))
        return _checked(Corpus("the data", texts, "validated on the validation text"))
    files = _files(Path(data))
    texts = {part: read_text(path) for part, path in files.items()}
    return _checked(Corpus(str(data), texts, f"validated on {files['validation'].name}"))


def _cut(path: Path, validation_fraction: float, test_fraction: float) -> Corpus:
    text = read_text(path)
    ends = [int(len(text) * (1 - validation_fraction - test_fraction)), int(len(text) * (1 - test_fraction))]
    texts = {"train": text[: ends[0]], "validation": text[ends[0] : ends[1]]}
    split = f"the first {_percent(1 - validation_fraction - test_fraction)} to train, "
    split += f"{'then' if test_fraction else 'the last'} {_percent(validation_fraction)} to validate"
    if test_fraction:
        texts["test"] = text[ends[1] :]
        split += f", the last {_percent(test_fraction)} to test"
    return _checked(Corpus(str(path), texts, split, is_cut=True))


def _files(folder: Path) -> dict[str, Path]:
    """The file of each part in a folder."""
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        part = part_of(path.name)
        if not path.is_file() or path.name.startswith(".") or part is None:
            continue
        if part in files:
            raise DataError(f"{folder}: two files for {part}, {files[part].name} and {path.name}. Remove one.")
        files[part] = path
    missing = [part for part in ("train", "validation") if part not in files]
    if missing:
        raise DataError(
            f"{folder}: no file for {' and '.join(missing)}. Name the files train.txt, validation.txt and (perhaps) "
            "test.txt, or use a single file, whose last tenth is then for validation."
        )
    return files


def _checked(corpus: Corpus) -> Corpus:
    for part, text in corpus.texts.items():
        if len(text) < 2:
            raise DataError(f"{corpus.source}: the {part} text has {len(text)} characters, expected at least 2")
    return corpus


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.4g} %"


@dataclass(frozen=True)
class LanguageLearned(Learned):
    """Tokens and texts.

    Attributes:
        tokens: how text is cut.
        parts: the texts: "train", "validation" and, perhaps, "test".
        cutoffs: of the adaptive softmax: which tokens its head and each of its tails stand for.
    """

    tokens: "Tokenization"
    parts: "dict[str, EncodedText]"
    cutoffs: tuple[int, ...] = ()

    @classmethod
    def of(cls, tokens: "Tokenization", corpus: Corpus, cutoffs: tuple[int, ...]) -> Self:
        """Cut texts into tokens.

        Raises:
            DataError: a text has fewer than two tokens.
        """
        parts = {part: tokens.encode(text) for part, text in corpus.texts.items()}
        for part, text in parts.items():
            if len(text.ids) < 2:
                raise DataError(f"{corpus.source}: the {part} text has {len(text.ids)} tokens, expected at least 2")
        return cls(tokens, parts, cutoffs)

    def to_json(self) -> dict[str, Any]:
        return {
            "tokens": self.tokens.to_json(),
            "texts": {part: {"tokens": len(text.ids), **text.counts} for part, text in self.parts.items()},
            "cutoffs": list(self.cutoffs),
        }

    def tensors(self) -> "dict[str, Tensor]":
        import torch

        sizes = (torch.uint8, torch.int16, torch.int32)
        dtype = next(size for size in sizes if len(self.tokens) <= torch.iinfo(size).max + 1)
        return {part: text.ids.to(dtype) for part, text in self.parts.items()}

    @classmethod
    def from_json(cls, values: dict[str, Any], tensors: "dict[str, Tensor]") -> Self:
        import torch

        from recurra.data.text.tokens import EncodedText, tokenization_from_json

        parts = {}
        for part, counts in values["texts"].items():
            sizes = {name: value for name, value in counts.items() if name != "tokens"}
            parts[part] = EncodedText(tensors[part].to(torch.int64), **sizes)
        return cls(tokenization_from_json(values["tokens"]), parts, tuple(values["cutoffs"]))

    def rows(self) -> dict[str, list[Any]]:
        names: list[Any] = list(self.tokens.names())
        rows = {"embedding.weight": names, "weight": names, "bias": names}
        if self.cutoffs:
            ends = [*self.cutoffs, len(names)]
            tails = [names[start:end] for start, end in pairwise(ends)]
            # The head has a row for each tail, which stands for all tokens in it.
            rows["adaptive.head.weight"] = names[: ends[0]] + [tuple(tail) for tail in tails]
            rows |= {f"adaptive.tail.{index}.1.weight": tail for index, tail in enumerate(tails)}
        return rows
