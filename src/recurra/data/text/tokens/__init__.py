"""Text as numbers and back: by characters, bytes, words or subwords."""

from recurra.data.text.tokens.learn import TOKENS, learn_tokens
from recurra.data.text.tokens.subwords import Subwords
from recurra.data.text.tokens.symbols import Bytes, Characters, Words
from recurra.data.text.tokens.tokenization import EncodedText, Tokenization, tokenization_from_json

__all__ = [
    "TOKENS",
    "Bytes",
    "Characters",
    "EncodedText",
    "Subwords",
    "Tokenization",
    "Words",
    "learn_tokens",
    "tokenization_from_json",
]
