"""Token ids of large texts, computed once and mapped from a file into the memory of each process."""

import json
import logging
import warnings
from collections import Counter
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch

from recurra.data.files.stored import checksum, made_once, read_json, stored_path
from recurra.data.text.file_text import FileText
from recurra.data.text.tokens.kinds import learn_tokens, tokenization_from_json
from recurra.data.text.tokens.tokenization import EncodedText, Tokenization, id_dtype
from recurra.files import write_atomically, write_text

__all__ = ["learn_stored_tokens", "stored_tokens"]

_log = logging.getLogger("recurra.data")
_FORMAT = 1  # of the files, and of what they are computed by


def learn_stored_tokens(text: FileText, tokens: str, vocabulary_size: int | None, min_count: int) -> Tokenization:
    """Learn a tokenization from a text once: the next call reads it from the user's cache folder.

    The arguments and exceptions are those of `learn_tokens`; also DataError if the files of the text changed, and
    RunError if the cache cannot be written.
    """
    path = stored_path("tokens", [_FORMAT, "learned", text.digest(), tokens, vocabulary_size, min_count]).with_suffix(
        ".json"
    )

    def learn() -> None:
        _log.info("learning %s from %s characters, once", tokens, f"{len(text):,}")
        values = learn_tokens(text, tokens, vocabulary_size, min_count).to_json()
        text.check()  # it may have changed while it was read
        write_text(path, json.dumps(values, ensure_ascii=False) + "\n")

    return tokenization_from_json(made_once(path, lambda: read_json(path), learn))


def stored_tokens(tokens: Tokenization, text: FileText) -> EncodedText:
    """Encode a text once, into a file of the user's cache folder, from which its ids are mapped; memory is bounded.

    Another text or tokenization has another file. Of several processes one encodes, and the others wait. A file that is
    not whole, or whose checksum is not the one it had, is encoded anew.

    Args:
        tokens: how the text is cut.
        text: to encode.

    Returns:
        The text, whose ids (N,) have the fewest bits that hold V - 1; they cannot be written to.

    Raises:
        DataError: the files of the text changed or cannot be read.
        RunError: the cache cannot be written.
    """
    path = stored_path("tokens", [_FORMAT, "ids", text.digest(), tokens.to_json()])

    def encode() -> None:
        text.check()
        _log.info("encoding %s characters once, into %s", f"{len(text):,}", path)
        _encode(tokens, text, path)

    return made_once(path, lambda: _mapped(path), encode)


def _encode(tokens: Tokenization, text: FileText, path: Path) -> None:
    dtype, digest, counts = (
        str(id_dtype(len(tokens))).removeprefix("torch."),
        sha256(),
        Counter(tokens.encode("").counts),
    )

    def write(aside: Path) -> None:
        with aside.open("wb") as file:
            for piece in text.pieces(tokens.piece_ends):
                encoded = tokens.encode(piece)
                ids = encoded.ids.numpy().astype(dtype)
                digest.update(ids.data)
                file.write(ids.data)
                counts.update(encoded.counts)
        text.check()  # it may have changed while it was read

    write_atomically(path, write)
    values = {"dtype": dtype, "checksum": digest.hexdigest(), "counts": dict(counts)}
    write_text(path.with_suffix(".json"), json.dumps(values) + "\n")


def _mapped(path: Path) -> EncodedText | None:
    """The text of a file of ids; None: there is none that is whole."""
    values = read_json(path.with_suffix(".json"))
    if values is None or not path.is_file() or checksum(path) != values["checksum"]:
        return None
    ids = np.memmap(path, values["dtype"], "r") if path.stat().st_size else np.zeros(0, values["dtype"])
    with warnings.catch_warnings():
        # torch warns that the tensor must not be written to. Nothing writes to ids.
        warnings.simplefilter("ignore", UserWarning)
        return EncodedText(torch.from_numpy(ids), **values["counts"])
