"""Utterances from whatever a user has: a manifest, a folder, a recording, or lists. The content decides."""

from pathlib import Path
from shlex import quote
from typing import Any

from recurra.data.audio.folders import ENDINGS, read_folder
from recurra.data.audio.kaldi_folder import is_kaldi_folder, read_kaldi_folder
from recurra.data.audio.manifest import read_manifest
from recurra.data.audio.sound import Sound
from recurra.data.audio.utterances import Utterance, Utterances, utterances_of
from recurra.data.files.text_file import check_file, is_binary
from recurra.errors import DataError, ParameterError

__all__ = ["SUPPORTED", "read_utterances"]

SUPPORTED = (
    "JSON lines with audio_filepath and text (NeMo), a folder with wav.scp (Kaldi), a TSV with path and sentence "
    "(Common Voice), metadata.csv (LJSpeech), a CSV or TSV with file and text, a folder of recordings with a .txt "
    "beside each, or a folder with a subfolder of recordings for each label"
)


def read_utterances(data: Any, texts: Any = None, *, sample_rate: int | None = None) -> Utterances:
    """Read utterances. Relative paths begin at the manifest's folder. Recordings are not opened.

    A file that begins with `{` is read as JSON lines; one with a header of names between tabs or commas, as a table;
    one with lines `id|text`, as the metadata of LJSpeech. A recording is a single utterance. In a folder, `wav.scp` and
    `metadata.csv` are looked for, then recordings with a text beside them, then subfolders of recordings: their names
    are the texts.

    Args:
        data: a path; a list of paths, sounds or arrays; or what this function returned.
        texts: of a list, the text of each. None: they are not known.
        sample_rate: samples a second of arrays.

    Raises:
        DataError: nothing there is of a supported form, or a line is at fault. The message names file and line.
        ParameterError: a combination has no meaning.
    """
    if not isinstance(data, Utterances | str | Path):
        if isinstance(data, Sound | Utterance) or getattr(data, "ndim", 0) == 1:
            data = [data]
        return utterances_of(list(data), texts, sample_rate)
    if texts is not None:
        raise ParameterError("y", "None with a manifest, which has the texts", type(texts).__name__)
    return data if isinstance(data, Utterances) else _read(Path(data))


def _read(path: Path) -> Utterances:
    if path.is_dir():
        metadata = path / "metadata.csv"
        if is_kaldi_folder(path):
            return read_kaldi_folder(path)
        utterances = read_manifest(metadata) if metadata.is_file() else read_folder(path)
    elif path.suffix.lower() in ENDINGS:
        return Utterances((Utterance(path.name, check_file(path)),), str(path))
    else:
        _refuse_binary(check_file(path))
        utterances = read_manifest(path)
    if utterances is None:
        raise DataError(f"{path}: not a list of recordings. Supported are {SUPPORTED}.")
    return utterances


def _refuse_binary(path: Path) -> None:
    if path.suffix.lower() == ".gz":
        return
    with path.open("rb") as file:
        start = file.read(65536)
    if is_binary(start):
        raise DataError(
            f"{path}: neither a recording ({', '.join(ENDINGS)}) nor a list of recordings. Convert a recording of "
            f"another form first: ffmpeg -i {quote(path.name)} {quote(path.stem + '.wav')}"
        )
