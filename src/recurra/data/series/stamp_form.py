"""The form in which time stamps came, and in which they are written again."""

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from recurra.data.series.zones import from_local, offset_text, polars_zone, to_local

__all__ = ["SINCE_1970", "StampForm", "Unit", "form_of_text", "from_counts"]

Unit = Literal["seconds", "milliseconds", "microseconds", "nanoseconds"]
#: The units of integers since 1970, and how many are a second.
SINCE_1970: dict[Unit, int] = {"seconds": 1, "milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}
# What each part of a form tells apart, the finest first.
_RESOLUTION = {
    "us": ("%.", "%f"),
    "s": ("%S", "%T", "%s"),
    "m": ("%M", "%R"),
    "h": ("%H", "%I"),
    "D": ("%d", "%-d", "%j", "%F", "%D", "%V"),
    "M": ("%m", "%-m", "%b", "%B", "%q"),
}
_ISO = re.compile(
    r"\d{4}(?P<first>[-/ ]?)(?:(?P<quarter>[Qq])\d|(?P<month>\d{1,2}))?(?P<second>[-/]?)(?P<day>\d{1,2})?"
    r"(?P<gap>[T ]?)(?P<hour>\d{1,2})?(?::\d{2}(?P<seconds>:\d{2})?)?(?:\.(?P<fraction>\d+))?(?P<zone> ?(?:Z|UTC)|.*)"
)


@dataclass(frozen=True)
class StampForm:
    """What stamps were in their source. Here they are datetime64[us] without a zone, or integers.

    Attributes:
        kind: of the values in the source.
        text: their form in `strftime`'s words, in text and in integers such as 20240131; empty: ISO. An offset from UTC
            is "%z" or "%:z" at its end.
        unit: what integers since 1970 count; empty: they are not such.
        zone: the name of their zone, or a fixed offset such as "+05:30". None: they have none.
        is_local: whether the stamps are by the calendar of the zone; otherwise, with a zone, they are in UTC.
        period: the frequency of pandas' periods, such as "M", whose first moments they are; empty: they were none.
        from_text_file: whether the source was a text file, whose stamps become typed in a frame.
    """

    kind: Literal["datetime", "date", "text", "integer"] = "datetime"
    text: str = ""
    unit: Unit | Literal[""] = ""
    zone: str | None = None
    is_local: bool = False
    period: str = ""
    from_text_file: bool = False

    @property
    def ambiguous_text(self) -> str | None:
        """The form in which later files are to be read: they may be too short to tell the day from the month."""
        return self.text if self.text.startswith(("%d", "%-d", "%m", "%-m")) else None

    def local(self, stamps: np.ndarray) -> np.ndarray:
        """The stamps (N,) by the clock of their zone."""
        if self.zone is None or self.is_local or stamps.dtype.kind != "M":
            return stamps
        return to_local(stamps.astype("M8[us]"), self.zone)

    def utc(self, stamps: np.ndarray) -> np.ndarray:
        """The stamps (N,) in UTC, if they have a zone."""
        return from_local(stamps.astype("M8[us]"), self.zone) if self.zone and self.is_local else stamps

    def column(self, stamps: np.ndarray) -> pl.Series:
        """The stamps (N,) as a column of a frame: as in the frame that they came from, or typed if from a text file."""
        if self.kind in ("text", "integer") and not self.from_text_file:
            return self.written(stamps)
        if stamps.dtype.kind != "M":
            return pl.Series(stamps)
        if self.zone is not None:
            return pl.Series(self.utc(stamps)).dt.replace_time_zone("UTC").dt.convert_time_zone(polars_zone(self.zone))
        is_date = self.kind == "date" and bool((stamps == stamps.astype("M8[D]")).all())
        return pl.Series(stamps).cast(pl.Date) if is_date else pl.Series(stamps)

    def written(self, stamps: np.ndarray) -> pl.Series:
        """The stamps (N,) as they stand in a text file: text or integers, in the form of the source."""
        if stamps.dtype.kind != "M":
            return pl.Series(stamps).cast(pl.String) if self.kind == "text" else pl.Series(stamps)
        stamps = stamps.astype("M8[us]")
        if self.unit:
            counts = pl.Series(_to_counts(stamps, self.unit))
            return counts.cast(pl.String) if self.kind == "text" else counts
        local = self.local(stamps)
        text = self.text
        if not text or not _tells_apart(text, local):
            daily = bool((local == local.astype("M8[D]")).all()) and self.zone is None
            ending = next((one for one in ("Z", "%z") if text.endswith(one)), "%:z")
            text = "%Y-%m-%d" if daily else "%Y-%m-%d %H:%M:%S" + ending * (self.zone is not None)
        column = self._formatted(local, stamps, text)
        return column.cast(pl.Int64, strict=False) if self.kind == "integer" else column

    def shown(self, stamp: np.datetime64 | np.integer | int) -> str:
        """One stamp, for messages: as in the source, otherwise the shortest text: "17", "2024-01-31 05:00"."""
        if not isinstance(stamp, np.datetime64):
            return str(stamp)
        if self.text or self.unit or self.zone:
            return str(self.written(np.array([stamp]))[0])
        text = np.datetime_as_string(stamp.astype("M8[us]")).replace("T", " ")
        return re.sub(r"( 00:00)?(:00)?(\.0+)?$", "", text, count=1)

    def _formatted(self, local: np.ndarray, stamps: np.ndarray, text: str) -> pl.Series:
        plain = re.sub(r"%:?z$", "", text)
        times = pl.Series(local)
        column = times.dt.strftime(plain.removesuffix("%q"))
        if plain.endswith("%q"):
            column = pl.select(pl.concat_str(column, times.dt.quarter())).to_series()
        if plain == text:
            return column
        offsets = offset_text(local, self.utc(stamps), colon="%:z" in text)
        return pl.select(pl.concat_str(column, offsets)).to_series()


def from_counts(counts: np.ndarray, unit: Unit) -> np.ndarray:
    """Integers since 1970 (N,) as datetime64[us] (N,); what is below a microsecond is left out."""
    per_second = SINCE_1970[unit]
    us = counts * (10**6 // per_second) if per_second <= 10**6 else counts // (per_second // 10**6)
    return us.astype("M8[us]")


def _to_counts(stamps: np.ndarray, unit: Unit) -> np.ndarray:
    us, per_second = stamps.astype(np.int64), SINCE_1970[unit]
    return us // (10**6 // per_second) if per_second <= 10**6 else us * (per_second // 10**6)


def form_of_text(column: pl.Series) -> str:
    """The form of ISO stamps in text, in `strftime`'s words: that of the longest."""
    longest = column[int(column.str.len_chars().arg_max() or 0)]
    match = _ISO.fullmatch(longest)
    if match is None:
        return ""
    single = {
        "month": bool(column.str.contains(r"^\d{4}[-/]\d(?:\D|$)").any()),
        "day": bool(column.str.contains(r"^\d{4}[-/]\d{1,2}[-/]\d(?:\D|$)").any()),
    }
    form = "%Y" + match["first"]
    if match["quarter"]:
        form += f"{match['quarter']}%q"
    elif match["month"]:
        form += "%-m" if single["month"] else "%m"
    form += match["second"]
    if match["day"]:
        form += "%-d" if single["day"] else "%d"
    if match["hour"]:
        form += f"{match['gap']}%H:%M" + (":%S" if match["seconds"] else "")
    if match["fraction"]:
        digits = len(match["fraction"])
        form += f"%.{3 if digits <= 3 else 6}f"
    return form + re.sub(r"[+-]\d{2}(:?)\d{2}$", r"%\1z", match["zone"])


def _tells_apart(text: str, local: np.ndarray) -> bool:
    """Whether a form writes the stamps without loss."""
    unit = next((unit for unit, parts in _RESOLUTION.items() if any(part in text for part in parts)), "Y")
    return bool((local.astype(f"M8[{unit}]") == local).all())
