"""The music of an ABC tune, symbol by symbol."""

import re
from collections.abc import Mapping
from fractions import Fraction

from recurra.data.music.abc_bars import Bar, TimedNote
from recurra.errors import DataError

__all__ = ["Body", "read_body", "whole_number"]

_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_SIGNS = {"^^": 2, "^": 1, "=": 0, "_": -1, "__": -2}
_FIFTHS = "FCGDAEB"
# The sharps of C in each mode; negative: flats.
_MODES = {
    "": 0,
    "maj": 0,
    "ion": 0,
    "lyd": 1,
    "mix": -1,
    "dor": -2,
    "m": -3,
    "min": -3,
    "aeo": -3,
    "phr": -4,
    "loc": -5,
}
_MIDDLE_C = 60
_MOST_DIGITS, _LONGEST_LINE = 6, 10_000
_LENGTH = r"(\d*)(/*)(\d*)"
_SYMBOL = re.compile(
    r'(?P<ignored>"[^"]*"|![^!\n]*!|\+[^+\n]*\+|\{[^}]*\}|[.~HLMOPSTuv](?=[\^_=A-Ga-gzx\[(])|(?:[\s)\\&`*y$]|\((?!\d))+)'
    r"|\[(?P<field>[A-Za-z]):(?P<value>[^\]]*)\]"
    r"|(?P<ending>\[|(?<=[|:]))(?P<turns>\d[\d,\-]*)"
    rf"|(?P<sign>\^\^|\^|__|_|=)?(?P<letter>[A-Ga-g])(?P<octave>[',]*)(?P<length>{_LENGTH})"
    rf"|(?P<rest>[zx])(?P<rest_length>{_LENGTH})"
    r"|(?P<bar_rest>[ZX])(?P<bars>\d*)"
    r"|\((?P<tuplet>\d+)(?::(?P<in_time>\d*))?(?::(?P<over>\d*))?"
    r"|(?P<line>:*\|[\]|]?:*|\[\||::)"
    r"|(?P<chord>\[)"
    rf"|(?P<chord_end>\])(?P<chord_length>{_LENGTH})"
    r"|(?P<broken>>+|<+)"
    r"|(?P<tie>-)"
)


class Body:
    """Reads the music of a tune into bars.

    Args:
        fields: of the header, by letter: the key, the meter and the unit of length.

    Attributes:
        bars: that were read.
        meter: of the bar that is read, in whole notes. None: it is free.
        first_meter: that of the header.

    Raises:
        DataError: a field cannot be read.
    """

    def __init__(self, fields: Mapping[str, str]) -> None:
        self.bars = [Bar()]
        self.meter: Fraction | None = Fraction(1)
        self._unit = Fraction(1, 8)
        self._signature: dict[str, int] = {}
        self._accidentals: dict[str, int] = {}  # of the bar, in all octaves
        self._chord: list[TimedNote] | None = None
        self._last: tuple[int, Fraction] | None = None  # the first of the last notes in the bar, and their length
        self._factor = Fraction(1)  # of the next note's length
        self._tuplet: tuple[int, Fraction] = (0, Fraction(1))  # notes to come, and the factor of their length
        self.set("M", fields.get("M", "4/4"))
        self.first_meter = self.meter
        if self.meter is not None and self.meter < Fraction(3, 4):
            self._unit = Fraction(1, 16)
        for name in "LK":
            if name in fields:
                self.set(name, fields[name])

    def set(self, name: str, value: str) -> None:
        """Read a field, of the header or of the music. Raises DataError."""
        value = value.strip()
        if name == "K":
            self._signature = _signature(value)
            self._accidentals = {}
        elif name == "L":
            self._unit = _fraction(value, "the unit of length (L:)")
        elif name == "M":
            word = {"C": "4/4", "C|": "2/2"}.get(value, value)
            self.meter = None if word in ("", "none") else _fraction(word, "the meter (M:)")
        elif name == "V":
            raise DataError("several voices (V:) are not read. Export it as MIDI.")

    def read(self, line: str) -> None:
        """Read a line of music; what is not part of the notation is left out. Raises DataError."""
        if len(line) > _LONGEST_LINE:
            raise DataError(f"a line has more than {_LONGEST_LINE:,} characters. Break it.")
        at = 0
        while at < len(line):
            match = _SYMBOL.match(line, at)
            if match is None or match.end() == at:
                at += 1
                continue
            at = match.end()
            self._symbol(match)
        self._check_chord()

    def _symbol(self, match: re.Match[str]) -> None:
        symbol = match.groupdict()
        if symbol["field"]:
            self.set(symbol["field"], symbol["value"])
        elif symbol["turns"]:
            self._begin_bar()
            self.bars[-1].endings = _turns(symbol["turns"])
        elif symbol["letter"]:
            self._note(symbol)
        elif symbol["rest"]:
            self._advance(self._unit * _length(symbol["rest_length"]), [])
        elif symbol["bar_rest"]:
            self._advance((self.meter or Fraction(1)) * whole_number(symbol["bars"] or "1"), [])
        elif symbol["tuplet"]:
            self._begin_tuplet(whole_number(symbol["tuplet"]), symbol["in_time"], symbol["over"])
        elif symbol["line"]:
            self._bar_line(symbol["line"])
        elif symbol["chord"]:
            self._chord = []
        elif symbol["chord_end"] and self._chord is not None:
            chord, self._chord = self._chord, None
            if chord:
                self._advance(chord[0].length * _length(symbol["chord_length"]), chord)
        elif symbol["broken"]:
            self._break_rhythm(symbol["broken"])
        elif symbol["tie"]:
            self._tie()

    def _note(self, symbol: Mapping[str, str]) -> None:
        letter, octave = symbol["letter"].upper(), symbol["octave"].count("'") - symbol["octave"].count(",")
        octave += symbol["letter"].islower()
        if symbol["sign"]:
            self._accidentals[letter] = _SIGNS[symbol["sign"]]
        change = self._accidentals.get(letter, self._signature.get(letter, 0))
        pitch = _MIDDLE_C + _STEPS[letter] + 12 * octave + change
        note = TimedNote(Fraction(0), self._unit * _length(symbol["length"]), pitch, False)
        if self._chord is None:
            self._advance(note.length, [note])
        else:
            self._chord.append(note)

    def _advance(self, length: Fraction, notes: list[TimedNote]) -> None:
        """Add notes that begin together, or a rest, at the end of the bar."""
        left, factor = self._tuplet
        if left:
            length *= factor
            self._tuplet = (left - 1, factor)
        length *= self._factor
        self._factor = Fraction(1)
        bar = self.bars[-1]
        self._last = (len(bar.notes), length)
        bar.notes += [note._replace(start=bar.length, length=length) for note in notes]
        bar.length += length

    def _begin_tuplet(self, notes: int, in_time: str | None, over: str | None) -> None:
        if not 2 <= notes <= 9:
            raise DataError(f"a tuplet has {notes} notes, expected 2 to 9, as in (3ABC.")
        compound = self.meter is not None and self.meter.numerator % 3 == 0 and self.meter != Fraction(3, 4)
        usual = {2: 3, 3: 2, 4: 3, 6: 2, 8: 3}.get(notes, 3 if compound else 2)
        every = whole_number(over) if over else notes
        time = whole_number(in_time) if in_time else usual
        if not every or not time:
            raise DataError(f"a tuplet has the form ({notes}:{in_time or ''}:{over or ''}, expected no 0 in it.")
        self._tuplet = (every, Fraction(time, notes))

    def _break_rhythm(self, signs: str) -> None:
        if self._last is None:
            return
        short = Fraction(1, 2 ** min(len(signs), 4))
        own, following = (2 - short, short) if signs[0] == ">" else (short, 2 - short)
        first, length = self._last
        bar = self.bars[-1]
        bar.notes[first:] = [note._replace(length=length * own) for note in bar.notes[first:]]
        bar.length += length * (own - 1)
        self._factor = following

    def _tie(self) -> None:
        if self._chord:
            self._chord[-1] = self._chord[-1]._replace(tied=True)
        elif self._last is not None:
            bar, first = self.bars[-1], self._last[0]
            bar.notes[first:] = [note._replace(tied=True) for note in bar.notes[first:]]

    def _check_chord(self) -> None:
        if self._chord is not None:
            raise DataError("a chord begins with [ and does not end. Add the ].")

    def _bar_line(self, line: str) -> None:
        self._check_chord()
        closes, opens = line.startswith(":"), line.endswith(":")
        endings = self.bars[-1].endings
        self.bars[-1].closes |= closes
        self._begin_bar()
        if closes or opens or line in ("||", "|]", "[|"):
            endings = frozenset()
        self.bars[-1].endings = endings
        self.bars[-1].opens |= opens

    def _begin_bar(self) -> None:
        """A new bar, unless nothing was written into this one."""
        self._accidentals, self._last = {}, None
        if self.bars[-1].length or self.bars[-1].closes:
            self.bars.append(Bar())


def read_body(lines: list[str], fields: Mapping[str, str]) -> Body:
    """Read the lines of a tune after its header. Raises DataError."""
    body = Body(fields)
    for line in lines:
        field = re.fullmatch(r"([A-Za-z]):(?![|:])(.*)", line)
        if field is None:
            body.read(line)
        elif field[1] not in "wW":
            body.set(field[1], field[2])
    return body


def whole_number(digits: str) -> int:
    """The number that some digits are. Raises DataError: no music has so large a number."""
    if len(digits) > _MOST_DIGITS:
        raise DataError(f"a number has more than {_MOST_DIGITS} digits: {digits[:20]}")
    return int(digits)


def _length(text: str) -> Fraction:
    """The factor that digits and slashes after a note mean: "3/2", "/", "//", "2"."""
    match = re.fullmatch(_LENGTH, text)
    assert match is not None
    times, slashes, by = match.groups()
    factor, divisor = whole_number(times or "1"), whole_number(by) if by else 2 ** len(slashes)
    if not divisor or not factor:
        raise DataError(f"a note has the length {text}.")
    return Fraction(factor, divisor)


def _fraction(text: str, what: str) -> Fraction:
    match = re.fullmatch(r"\s*(\d+)\s*/\s*(\d+).*|\s*(1)\s*", text)
    if match is not None and match[3]:
        return Fraction(1)
    above, below = (0, 0) if match is None else (whole_number(match[1]), whole_number(match[2]))
    if not above or not below:
        raise DataError(f"{what} is {text!r}, expected a fraction such as 3/4.")
    return Fraction(above, below)


def _signature(text: str) -> dict[str, int]:
    """The signs of a key such as "G", "Bb", "F#m", "D dorian", by letter."""
    match = re.match(r"([A-G])([#b]?)\s*([A-Za-z]*)", text)
    if match is None or text.startswith(("HP", "Hp")):
        if text in ("", "none", "HP", "Hp"):
            return {}
        raise DataError(f"the key (K:) is {text!r}, expected one such as Am or Bb.")
    mode = match[3].lower()
    mode = mode if mode == "m" else mode[:3]
    if mode not in _MODES:
        mode = ""  # such as "clef" or "exp"
    sharps = _FIFTHS.index(match[1]) - 1 + 7 * {"": 0, "#": 1, "b": -1}[match[2]] + _MODES[mode]
    if sharps > 0:
        return dict.fromkeys(_FIFTHS[:sharps], 1)
    return dict.fromkeys(_FIFTHS[sharps:], -1) if sharps else {}


def _turns(text: str) -> frozenset[int]:
    """The turns of an ending such as "1", "1,3" or "1-3"."""
    turns: set[int] = set()
    for part in text.strip(",-").split(","):
        first, _, last = part.partition("-")
        if first:
            begin = whole_number(first)
            turns.update(range(begin, min(whole_number(last or first), begin + 16) + 1))
    return frozenset(turns)
