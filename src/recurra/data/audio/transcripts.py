"""Transcripts in one form: Unicode, case, punctuation, white space."""

import re
import unicodedata
from typing import Literal

from recurra.options import Options, option

__all__ = ["TranscriptForm"]

_APOSTROPHES = str.maketrans({"\u2019": "'", "\u02bc": "'", "\u2018": "'"})
_WITHIN_A_WORD = re.compile(r"(?<=\w)'(?=\w)")


class TranscriptForm(Options):
    """How transcripts are normalised before a recogniser learns them and before they are compared.

    Unicode is composed (NFC), and white space becomes single spaces.

    Example:
        >>> TranscriptForm().normalized("Don\u2019t stop \u2013 it's 20\u202fkm!")
        "don't stop it's 20 km"
    """

    case: Literal["lower", "upper", "as_written"] = option(
        default="lower", help="the case of transcripts", group="transcripts"
    )
    punctuation: Literal["remove", "as_written"] = option(
        default="remove",
        help="remove: punctuation becomes a space, except an apostrophe within a word",
        group="transcripts",
    )

    def normalized(self, text: str) -> str:
        """A transcript in this form."""
        text = unicodedata.normalize("NFC", text)
        if self.punctuation == "remove":
            text = text.translate(_APOSTROPHES)
            inside = {match.start() for match in _WITHIN_A_WORD.finditer(text)}
            text = "".join(
                " " if unicodedata.category(one).startswith("P") and at not in inside else one
                for at, one in enumerate(text)
            )
        if self.case != "as_written":
            # A capital letter may become two characters, which are composed again.
            text = unicodedata.normalize("NFC", text.lower() if self.case == "lower" else text.upper())
        return " ".join(text.split())
