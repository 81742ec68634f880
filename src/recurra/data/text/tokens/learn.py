"""A tokenisation by its name, learned from a text."""

from recurra.data.text.tokens.subwords import Subwords
from recurra.data.text.tokens.symbols import Bytes, Characters, Words
from recurra.data.text.tokens.tokenization import Tokenization
from recurra.errors import ParameterError
from recurra.shapes import check_positive

__all__ = ["TOKENS", "learn_tokens"]

TOKENS = ("characters", "bytes", "words", "subwords")


def learn_tokens(text: str, tokens: str, vocabulary_size: int | None = None, min_count: int = 1) -> Tokenization:
    """Learn a tokenisation.

    Args:
        text: to learn from.
        tokens: a name among `TOKENS`.
        vocabulary_size: tokens at most: of words and characters the rarest are left out, all are kept where None; of
            subwords 2000 where None.
        min_count: occurrences below which a word or a character is left out.

    Raises:
        ParameterError: for another name, or a number that the tokenisation does not have.
        MissingExtraError: for subwords without sentencepiece.
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
        return Bytes() if tokens == "bytes" else Subwords.learn(text, vocabulary_size or 2000)
    kind = Characters if tokens == "characters" else Words
    return kind.learn(text, min_count, vocabulary_size)
