"""The kinds of tokenization by name: learned from a text, or read from JSON."""

from typing import Any

from recurra.data.text.file_text import FileText
from recurra.data.text.tokens.subword_tokens import SubwordTokens
from recurra.data.text.tokens.symbols import Bytes, Characters, Words
from recurra.data.text.tokens.tokenization import Tokenization
from recurra.errors import DataError, ParameterError
from recurra.shapes import check_positive

__all__ = ["TOKENS", "learn_tokens", "tokenization_from_json"]

_KINDS = {kind.name: kind for kind in (Characters, Bytes, Words, SubwordTokens)}
TOKENS = tuple(_KINDS)


def learn_tokens(
    text: str | FileText, tokens: str, vocabulary_size: int | None = None, min_count: int = 1
) -> Tokenization:
    """Learn a tokenization from a text.

    Args:
        text: the text to learn from.
        tokens: a name among `TOKENS`.
        vocabulary_size: the largest number of tokens. The rarest words and characters are left out. None: all words
            and characters, or 2000 subwords.
        min_count: words and characters that occur less often than this are left out.

    Raises:
        ParameterError: `tokens` is not a known name, or a parameter does not apply to this kind of token.
        MissingExtraError: subwords need sentencepiece, and it is not installed.
        DataError: the text has no subwords to learn.
    """
    if tokens not in TOKENS:
        raise ParameterError("tokens", f"one of {', '.join(TOKENS)}", tokens)
    check_positive("min_count", min_count)
    if vocabulary_size is not None:
        check_positive("vocabulary_size", vocabulary_size, at_least=2)
        if tokens == "bytes":
            raise ParameterError("vocabulary_size", "None with bytes, of which there are 256", vocabulary_size)
    if tokens in ("bytes", "subwords"):
        if min_count > 1:
            raise ParameterError("min_count", f"1 with {tokens}, which are all known", min_count)
        return Bytes() if tokens == "bytes" else SubwordTokens.learn(text, vocabulary_size or 2000)
    kind = Characters if tokens == "characters" else Words
    return kind.learn(text, min_count, vocabulary_size)


def tokenization_from_json(values: dict[str, Any]) -> Tokenization:
    """The tokenization that `to_json` described.

    Raises:
        DataError: the kind is unknown, or the description is damaged.
        MissingExtraError: subwords need sentencepiece, and it is not installed.
    """
    kind = _KINDS.get(values.get("tokens", ""))
    if kind is None:
        raise DataError(f"tokens: expected one of {', '.join(TOKENS)}, got {values.get('tokens')!r}")
    try:
        return kind.from_json(values)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"tokens: damaged ({error!r})") from error
