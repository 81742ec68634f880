"""Subword models of sentencepiece: learned and loaded, and what goes wrong said in our words."""

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

from recurra.errors import DataError, MissingExtraError, ParameterError

__all__ = ["in_utf8", "learn_model", "load_model"]


def learn_model(lines: Sequence[str], vocabulary_size: int, **options: Any) -> bytes:
    """Learn subwords, with bytes for what is rare and nothing normalised; the same lines give the same model.

    Args:
        lines: of text.
        vocabulary_size: subwords at most, fewer where the text does not have so many.
        **options: of sentencepiece's trainer.

    Raises:
        MissingExtraError: without sentencepiece.
        ParameterError: for a vocabulary too small for the characters of the text.
        DataError: where the text has nothing to learn from.
    """
    try:
        return _learn(lines, vocabulary_size, options)
    except RuntimeError as error:
        message = str(error)
    # Byte-pair encoding says how many pieces there are, where they are too few.
    if most := re.search(r"set it to a value <= (\d+)", message):
        return _learn(lines, int(most[1]), options)
    if least := re.search(r"set it to a value >= (\d+)|smaller than required_chars. \d+ vs (\d+)", message):
        needed = least[1] or least[2]
        raise ParameterError("vocabulary_size", f"at least {needed}, for the text's characters", vocabulary_size)
    raise DataError(f"no subwords can be learned from the text ({message.splitlines()[0]})")


def load_model(model: bytes) -> Any:
    """The processor of a model that `learn_model` gave.

    Raises:
        MissingExtraError: without sentencepiece.
        DataError: where the model is damaged.
    """
    processor = _sentencepiece().SentencePieceProcessor()
    try:
        processor.LoadFromSerializedProto(model)
    except (RuntimeError, OSError):
        raise DataError("the subword model is damaged") from None
    return processor


def in_utf8(text: str) -> str:
    """A text without lone surrogates, which no file has but a Python string may."""
    return text.encode("utf-8", "replace").decode()


def _learn(lines: Sequence[str], vocabulary_size: int, options: Mapping[str, Any]) -> bytes:
    model = io.BytesIO()
    _sentencepiece().SentencePieceTrainer.train(
        sentence_iterator=map(in_utf8, lines),
        model_writer=model,
        vocab_size=vocabulary_size,
        byte_fallback=True,
        normalization_rule_name="identity",
        num_threads=1,  # sums in another order would be another model
        minloglevel=2,
        **options,
    )
    return model.getvalue()


def _sentencepiece() -> Any:
    try:
        import sentencepiece
    except ImportError:
        raise MissingExtraError("sentencepiece", "text", "cutting text into subwords") from None
    return sentencepiece
