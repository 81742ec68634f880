"""Tokenizations: text to token ids and back, by characters, bytes, words or subwords."""

from recurra.data.text.tokens.kinds import TOKENS, learn_tokens, tokenization_from_json
from recurra.data.text.tokens.stored_tokens import learn_stored_tokens, stored_tokens
from recurra.data.text.tokens.subword_tokens import SubwordTokens
from recurra.data.text.tokens.symbols import Bytes, Characters, Words
from recurra.data.text.tokens.tokenization import EncodedText, Tokenization, id_dtype

__all__ = [
    "TOKENS",
    "Bytes",
    "Characters",
    "EncodedText",
    "SubwordTokens",
    "Tokenization",
    "Words",
    "id_dtype",
    "learn_stored_tokens",
    "learn_tokens",
    "stored_tokens",
    "tokenization_from_json",
]
