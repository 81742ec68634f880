"""Which splices training also reads: how many, and where the recordings are cut of which they are made."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from recurra.data.audio.log_mel import LogMel
from recurra.data.audio.splices import CutRecording, cut_at_pauses, cut_by_words, spliced
from recurra.data.audio.utterances import Utterances
from recurra.errors import RunError
from recurra.task.registry import load
from recurra.tasks.speech.alignment import align_rows

__all__ = ["with_splices"]

_log = logging.getLogger("recurra.speech")
_FEW = 100  # recordings, of which the first words are likely to be few too
_SPLICES = 4.0


def with_splices(training: Utterances, log_mel: LogMel, options: Mapping[str, Any]) -> Utterances:
    """The recordings, and after them those that are made of their words.

    Args:
        training: recordings with texts.
        log_mel: the features.
        options: of the recogniser, by name.

    Raises:
        DataError: a recording cannot be read, or is too short for its text.
        RunError: there is no recogniser to align by.
    """
    fraction = options["splices"]
    if fraction is None:
        fraction = _SPLICES if len(training) < _FEW else 0.0
    if not fraction:
        return training
    cut = _cut(training, log_mel, options["align_by"])
    if not any(len(one.words) > 1 for one in cut):
        return training
    # A recording that cannot be cut is not spliced either; the others are not to be heard the more.
    made = spliced(cut, round(fraction * len(cut)), log_mel.sample_rate, options["seed"])
    _log.info("%s: %d recordings are made of the words of %d, and trained on too", training.source, len(made), len(cut))
    return replace(training, items=(*training.items, *made))


def _cut(training: Utterances, log_mel: LogMel, run: str | None) -> list[CutRecording]:
    """The recordings that can be cut. One without a speaker is a speaker of its own."""
    speakers = [speaker or f"of recording {row}" for row, speaker in enumerate(training.speakers)]
    if run is None:
        cut = [cut_at_pauses(one, speaker, log_mel) for one, speaker in zip(training, speakers, strict=True)]
    else:
        other = load(run)
        if other.task != "speech":
            raise RunError(f"{run}: a run of {other.task}, expected one of speech to align by.")
        segments = align_rows(other.fitted, training)
        rows = zip(training, speakers, segments, strict=True)
        cut = [cut_by_words(one, speaker, segment.words, log_mel.sample_rate) for one, speaker, segment in rows]
    return [one for one in cut if one is not None]
