"""Training and loading sentencepiece models, with its failures as Recurra's errors."""

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

from recurra.errors import DataError, MissingExtraError, ParameterError

__all__ = ["in_utf8", "learn_model", "load_model"]


def learn_model(lines: Sequence[str], vocabulary_size: int, **options: Any) -> bytes:
    """Train a model that spells rare characters in bytes and does not normalise text.

    The same lines always give the same model.

    Args:
        lines: the lines of the text.
        vocabulary_size: the largest number of subwords. A small text has fewer.
        **options: options of sentencepiece's trainer.

    Returns:
        The serialized model.

    Raises:
        MissingExtraError: sentencepiece is not installed.
        ParameterError: `vocabulary_size` is too small for the characters of the text.
        DataError: the text has no subwords to learn.
    """
    try:
        return _learn(lines, vocabulary_size, options)
    except RuntimeError as error:
        message = str(error)
    # If a text has fewer pieces, byte-pair encoding fails and reports their number.
    if most := re.search(r"set it to a value <= (\d+)", message):
        return _learn(lines, int(most[1]), options)
    if least := re.search(r"set it to a value >= (\d+)|smaller than required_chars. \d+ vs (\d+)", message):
        needed = least[1] or least[2]
        raise ParameterError("vocabulary_size", f"at least {needed}, for the text's characters", vocabulary_size)
    raise DataError(f"no subwords can be learned from the text ({message.splitlines()[0]})")


def load_model(model: bytes) -> Any:
    """The processor of a serialized model.

    Raises:
        MissingExtraError: sentencepiece is not installed.
        DataError: the model is damaged.
    """
    processor = _sentencepiece().SentencePieceProcessor()
    try:
        processor.LoadFromSerializedProto(model)
    except (RuntimeError, OSError):
        raise DataError("the subword model is damaged") from None
    return processor


def in_utf8(text: str) -> str:
    """The text with lone surrogates, which a Python string can hold but UTF-8 cannot, replaced by "?"."""
    return text.encode("utf-8", "replace").decode()


def _learn(lines: Sequence[str], vocabulary_size: int, options: Mapping[str, Any]) -> bytes:
    model = io.BytesIO()
    _sentencepiece().SentencePieceTrainer.train(
        sentence_iterator=map(in_utf8, lines),
        model_writer=model,
        vocab_size=vocabulary_size,
        byte_fallback=True,
        normalization_rule_name="identity",
        num_threads=1,  # with more threads, sums in another order could change the model
        minloglevel=2,
        **options,
    )
    return model.getvalue()


def _sentencepiece() -> Any:
    try:
        import sentencepiece
    except ImportError:
        raise MissingExtraError("sentencepiece", "text", "splitting text into subwords") from None
    return sentencepiece
