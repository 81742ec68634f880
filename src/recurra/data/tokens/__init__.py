"""Text as numbers and back: by characters, bytes, words or subwords."""

from recurra.data.tokens.learn import TOKENS, learn_tokens
from recurra.data.tokens.subwords import Subwords
from recurra.data.tokens.symbols import Bytes, Characters, Words
from recurra.data.tokens.tokenization import EncodedText, Tokenization, tokenization_from_json

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
