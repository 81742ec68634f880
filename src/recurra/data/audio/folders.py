"""Folders of recordings: with a text beside each, with a subfolder for each label, or without texts."""

import os
from collections.abc import Iterator
from pathlib import Path

from recurra.data.audio.utterances import Utterance, Utterances
from recurra.errors import DataError

__all__ = ["ENDINGS", "read_folder"]

ENDINGS = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au", ".w64", ".caf", ".sph")


def read_folder(folder: Path) -> Utterances | None:
    """Read a folder of recordings, in alphabetical order; None: there are no recordings in it.

    If any recording has a `.txt` of its name beside it, these are the texts, at any depth. Otherwise the name of a
    subfolder is the text of the recordings in it and below. Names that begin with a dot or an underscore are skipped
    (`_background_noise_`, say).

    Raises:
        DataError: a text is not UTF-8, or recordings are both in the folder and in subfolders, without texts.
    """
    files = list(_files(folder))
    recordings = [path for path in files if path.suffix.lower() in ENDINGS]
    if not recordings:
        return None
    names = set(files)
    texts = [path.with_suffix(".txt") for path in recordings]
    ids = [path.relative_to(folder).with_suffix("").as_posix() for path in recordings]
    # Two recordings of one name differ by their endings.
    if len(set(ids)) < len(ids):
        ids = [path.relative_to(folder).as_posix() for path in recordings]
    if any(text in names for text in texts):
        items = [
            Utterance(one, path, _text(text) if text in names else None, where=f"{folder}")
            for one, path, text in zip(ids, recordings, texts, strict=True)
        ]
        return Utterances(tuple(items), str(folder))
    deep = [len(path.relative_to(folder).parts) > 1 for path in recordings]
    if any(deep) and not all(deep):
        alone = recordings[deep.index(False)]
        raise DataError(
            f"{folder}: recordings are in subfolders, one for each label, and {alone.name} is in none. Move it, or "
            "put a .txt beside each recording."
        )
    items = [
        Utterance(one, path, path.relative_to(folder).parts[0] if any(deep) else None, where=f"{folder}")
        for one, path in zip(ids, recordings, strict=True)
    ]
    return Utterances(tuple(items), str(folder))


def _files(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "_")))
        yield from (Path(parent, name) for name in sorted(names) if not name.startswith((".", "_")))


def _text(path: Path) -> str:
    try:
        return " ".join(path.read_text(encoding="utf-8-sig").split())
    except UnicodeDecodeError:
        raise DataError(f"{path}: the text is not UTF-8. Save the file as UTF-8.") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from None
