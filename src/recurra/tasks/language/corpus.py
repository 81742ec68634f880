"""The texts a language model is trained, validated and tested on, and what it learns from them without gradients."""

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from recurra.data.files.part_names import PARTS, part_of
from recurra.data.files.text_file import check_file, read_text
from recurra.data.text.file_text import FileText
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
        texts: by part: "train", "validation" and, perhaps, "test"; strings, or large ones in their files.
        split: how they were divided, in words that end a sentence.
        is_cut: whether a single text was cut into these.
    """

    source: str
    texts: dict[str, str | FileText]
    split: str
    is_cut: bool = False

    def digest(self) -> str:
        digest = hashlib.sha256()
        for part, text in self.texts.items():
            digest.update(f"{part} {len(text)}\n".encode())
            content = text if isinstance(text, str) else text.digest()
            digest.update(content.encode("utf-8", "surrogatepass"))
        return digest.hexdigest()

    def validated_on(self, other: "Corpus") -> "Corpus":
        """These texts, all but the test text to train on, validated on all of another."""
        train = _joined([self.texts["train"], self.texts["validation"]])
        texts = {"train": train, "validation": _joined(other.texts.values())}
        if "test" in self.texts:
            texts["test"] = self.texts["test"]
        return Corpus(self.source, texts, f"validated on {other.source}")


def read_corpus(
    data: str | Path | Mapping[str, str],
    validation_fraction: float = 0.1,
    test_fraction: float = 0.0,
    map_above: int = 100,
) -> Corpus:
    """Read the texts of a file or a folder.

    Args:
        data: a text file (plain or gzipped, UTF-8), which is cut into train, validation and test text in this order; a
            folder with a file for each part, which has `train`, `validation` (or `valid`, `val`, `dev`) or `test` in
            its name, as ptb.train.txt; or the texts by part.
        validation_fraction: of a single file, in (0, 1).
        test_fraction: of a single file, in [0, 1).
        map_above: megabytes (10^6 bytes) of the files above which texts stay in them.

    Raises:
        DataError: a file is missing, empty, binary or not UTF-8, a part is missing or occurs twice, or a text has fewer
            than two characters.
        ParameterError: the parts of `data` have other names.
    """
    if isinstance(data, str | Path) and not os.path.isdir(data):
        return _cut(Path(data), validation_fraction, test_fraction, map_above)
    if isinstance(data, Mapping):
        texts: dict[str, str | FileText] = {part_of(name) or name: text for name, text in data.items()}
        if len(texts) < len(data) or set(texts) - set(PARTS) or not {"train", "validation"} <= set(texts):
            raise ParameterError("data", "texts named train, validation and, perhaps, test", ", ".join(data))
        return _checked(Corpus("the data", texts, "validated on the validation text"))
    files = _files(Path(data))
    texts = dict(zip(files, _texts(list(files.values()), map_above), strict=True))
    return _checked(Corpus(str(data), texts, f"validated on {files['validation'].name}"))


def _cut(path: Path, validation_fraction: float, test_fraction: float, map_above: int) -> Corpus:
    (text,) = _texts([path], map_above)
    ends = [int(len(text) * (1 - validation_fraction - test_fraction)), int(len(text) * (1 - test_fraction))]
    texts: dict[str, str | FileText] = {"train": text[: ends[0]], "validation": text[ends[0] : ends[1]]}
    split = f"the first {_percent(1 - validation_fraction - test_fraction)} to train, "
    split += f"{'then' if test_fraction else 'the last'} {_percent(validation_fraction)} to validate"
    if test_fraction:
        texts["test"] = text[ends[1] :]
        split += f", the last {_percent(test_fraction)} to test"
    return _checked(Corpus(str(path), texts, split, is_cut=True))


def _texts(paths: list[Path], map_above: int) -> list[str | FileText]:
    """The texts of files: all as strings, or, where they have more megabytes, all as they are in the files."""
    is_large = sum(check_file(path).stat().st_size for path in paths) > 1_000_000 * map_above
    return [FileText.of(path) if is_large else read_text(path) for path in paths]


def _joined(texts: Iterable[str | FileText]) -> str | FileText:
    """One text; either all of them are strings, or none is."""
    first, *others = texts
    for text in others:
        first += text  # type: ignore[operator]
    return first


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
        sizes: of the texts, by part: "train", "validation" and, perhaps, "test"; tokens, characters, bytes and so on.
        cutoffs: of the adaptive softmax: which tokens its head and each of its tails stand for.
        files: the texts that stay in their files, by part. Of the others the run has the tokens.
    """

    tokens: "Tokenization"
    sizes: dict[str, dict[str, int]]
    cutoffs: tuple[int, ...] = ()
    files: dict[str, FileText] = field(default_factory=dict)
    _encoded: "dict[str, EncodedText]" = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, tokens: "Tokenization", corpus: Corpus, cutoffs: tuple[int, ...]) -> Self:
        """Cut texts into tokens.

        Raises:
            DataError: a text has fewer than two tokens.
        """
        from recurra.data.text.tokens import stored_tokens

        texts = corpus.texts.items()
        parts = {
            part: tokens.encode(text) if isinstance(text, str) else stored_tokens(tokens, text) for part, text in texts
        }
        for part, text in parts.items():
            if len(text.ids) < 2:
                raise DataError(f"{corpus.source}: the {part} text has {len(text.ids)} tokens, expected at least 2")
        sizes = {part: {"tokens": len(text.ids), **text.counts} for part, text in parts.items()}
        return cls(tokens, sizes, cutoffs, {part: text for part, text in texts if not isinstance(text, str)}, parts)

    def text(self, part: str) -> "EncodedText":
        """The tokens of a part; of one in files, those in the user's cache, or else encoded anew.

        Raises:
            DataError: they are not in the cache, and the files are not there or have changed.
        """
        from recurra.data.text.tokens import stored_tokens

        if part not in self._encoded:
            self._encoded[part] = stored_tokens(self.tokens, self.files[part])
        return self._encoded[part]

    def to_json(self) -> dict[str, Any]:
        values = {"tokens": self.tokens.to_json(), "texts": self.sizes, "cutoffs": list(self.cutoffs)}
        return values | {"files": {part: text.to_json() for part, text in self.files.items()}}

    def tensors(self) -> "dict[str, Tensor]":
        from recurra.data.text.tokens import id_dtype

        dtype = id_dtype(len(self.tokens))
        return {part: self.text(part).ids.to(dtype) for part in self.sizes if part not in self.files}

    @classmethod
    def from_json(cls, values: dict[str, Any], tensors: "dict[str, Tensor]") -> Self:
        import torch

        from recurra.data.text.tokens import EncodedText, tokenization_from_json

        files = {part: FileText.from_json(spans) for part, spans in values.get("files", {}).items()}
        parts = {}
        for part, sizes in values["texts"].items():
            counts = {name: value for name, value in sizes.items() if name != "tokens"}
            if part not in files:
                parts[part] = EncodedText(tensors[part].to(torch.int64), **counts)
        return cls(tokenization_from_json(values["tokens"]), values["texts"], tuple(values["cutoffs"]), files, parts)

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
