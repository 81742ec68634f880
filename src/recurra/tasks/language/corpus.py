"""The texts a language model is trained, validated and tested on."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from recurra.data.files.text_file import read_text
from recurra.errors import DataError, ParameterError

__all__ = ["Corpus", "read_corpus"]

_VALIDATION_SHARE = 0.1
_PARTS = ("train", "valid", "test")
_OTHER_NAMES = {"training": "train", "validation": "valid", "val": "valid", "dev": "valid", "testing": "test"}


@dataclass(frozen=True)
class Corpus:
    """Texts by part.

    Attributes:
        source: where they are from.
        texts: by name of the part, "train", "valid" and, where there is one, "test".
        split: what was done to part them, as a sentence's end.
    """

    source: str
    texts: dict[str, str]
    split: str


def read_corpus(
    data: str | Path | Mapping[str, str], validation_share: float | None = None, test_share: float | None = None
) -> Corpus:
    """Read the texts of a file, of a folder, or given.

    Args:
        data: a text file (plain or gzipped, UTF-8), which is cut into its parts in the order train, valid, test; a
            folder with a file for each, which has `train`, `valid` (or `validation`, `val`, `dev`) or `test` in its
            name, as ptb.train.txt; or the texts by part.
        validation_share: of a single file, in (0, 1); a tenth where None.
        test_share: of a single file, in [0, 1); 0 where None.

    Raises:
        DataError: for a file that is missing, empty, binary or not UTF-8, a part that is missing or there twice, or a
            text of fewer than two characters.
        ParameterError: for shares out of range, or with a folder.
    """
    if isinstance(data, str | Path) and not Path(data).is_dir():
        return _cut(Path(data), _VALIDATION_SHARE if validation_share is None else validation_share, test_share or 0.0)
    for name, share in (("validation_share", validation_share), ("test_share", test_share)):
        if share is not None:
            raise ParameterError(name, "None where the parts are given", share)
    if isinstance(data, Mapping):
        unknown = sorted(set(data) - set(_PARTS))
        if unknown or not {"train", "valid"} <= set(data):
            raise ParameterError("data", "texts named train, valid and, optionally, test", ", ".join(data))
        return _checked(Corpus("texts given", dict(data), "validated on the valid text"))
    files = _files(Path(data))
    texts = {part: read_text(path) for part, path in files.items()}
    return _checked(Corpus(str(data), texts, f"validated on {files['valid'].name}"))


def _cut(path: Path, validation_share: float, test_share: float) -> Corpus:
    shares = {"validation_share": validation_share, "test_share": test_share}
    for name, share in shares.items():
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share < 1:
            raise ParameterError(name, "a number in [0, 1)", share)
    if validation_share == 0 or validation_share + test_share >= 1:
        raise ParameterError("validation_share", "more than 0, and with test_share less than 1", validation_share)
    text = read_text(path)
    ends = [int(len(text) * (1 - validation_share - test_share)), int(len(text) * (1 - test_share))]
    texts = {"train": text[: ends[0]], "valid": text[ends[0] : ends[1]]}
    split = f"the first {_percent(1 - validation_share - test_share)} to train, "
    split += f"{'then' if test_share else 'the last'} {_percent(validation_share)} to validate"
    if test_share:
        texts["test"] = text[ends[1] :]
        split += f", the last {_percent(test_share)} to test"
    return _checked(Corpus(str(path), texts, split))


def _files(folder: Path) -> dict[str, Path]:
    """The file of each part in a folder."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        words = [_OTHER_NAMES.get(word, word) for word in re.split(r"[^a-z]+", path.name.lower())]
        parts = [part for part in _PARTS if part in words]
        if not path.is_file() or path.name.startswith(".") or len(parts) != 1:
            continue
        if parts[0] in found:
            raise DataError(f"{folder}: two files for {parts[0]}, {found[parts[0]].name} and {path.name}. Remove one.")
        found[parts[0]] = path
    missing = [part for part in ("train", "valid") if part not in found]
    if missing:
        raise DataError(
            f"{folder}: no file for {' and '.join(missing)}. Name the files train.txt, valid.txt and (optionally) "
            "test.txt, or give a single file, of which the last tenth is then for validation."
        )
    return found


def _checked(corpus: Corpus) -> Corpus:
    for part, text in corpus.texts.items():
        if len(text) < 2:
            raise DataError(f"{corpus.source}: the {part} text has {len(text)} characters, expected at least 2")
    return corpus


def _percent(share: float) -> str:
    return f"{100 * share:.4g} %"
