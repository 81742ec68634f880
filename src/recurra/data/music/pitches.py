"""Pitches by name, keys and scales."""

import re

import numpy as np

from recurra.errors import ParameterError

__all__ = ["LOWEST", "MODES", "NOTES", "key_classes", "pitch_name", "within_keys"]

LOWEST = 21
"""MIDI pitch of the lowest key of a piano, A0, which is note 0 of a frame."""
NOTES = 88

_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_SIGNS = {"": 0, "#": 1, "b": -1}
MODES = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "harmonic": (0, 2, 3, 5, 7, 8, 11),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
    "lydian": (0, 2, 4, 6, 7, 9, 11),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "pentatonic": (0, 2, 4, 7, 9),
    "blues": (0, 3, 5, 6, 7, 10),
    "chromatic": tuple(range(12)),
}
"""Semitones above the tonic of each scale."""


def pitch_name(pitch: int) -> str:
    """A MIDI pitch in words, such as "C4" for 60."""
    return f"{_NAMES[pitch % 12]}{pitch // 12 - 1}"


def within_keys(pitch: np.ndarray) -> np.ndarray:
    """MIDI pitches, those beyond the keys of a piano moved into them by octaves."""
    pitch = np.where(pitch < LOWEST, pitch + 12 * -((pitch - LOWEST) // 12), pitch)
    highest = LOWEST + NOTES - 1
    return np.where(pitch > highest, pitch - 12 * -((highest - pitch) // 12), pitch)


def key_classes(key: str) -> np.ndarray:
    """Which pitch classes are in a key, bool (12,), C first.

    Args:
        key: a tonic and a scale, such as "D minor", "F# major" or "Bb blues"; a tonic alone is major.

    Raises:
        ParameterError: it is not such a name.
    """
    match = re.fullmatch(rf"\s*([A-Ga-g])([#b]?)\s*({'|'.join(MODES)})?\s*", key)
    if match is None:
        expected = f"a tonic from A to G, perhaps with # or b, and one of {', '.join(MODES)}"
        raise ParameterError("key", expected, key, 'As in: --key "D minor"')
    tonic, sign, mode = match.groups()
    classes = np.zeros(12, bool)
    classes[(_STEPS[tonic.upper()] + _SIGNS[sign] + np.array(MODES[mode or "major"])) % 12] = True
    return classes
