from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from made_sounds import tone, write_sound
from recurra.data.audio.log_mel import LogMel
from recurra.data.audio.pieces import pauses_between, with_pieces
from recurra.data.audio.read import read_utterances
from recurra.data.audio.utterances import Utterances
from recurra.errors import ParameterError

LOG_MEL = LogMel(bins=20)


def spoken(words: list[float], pause: float) -> np.ndarray:
    """Tones of these seconds, with pauses in which there is noise between them, and 0.2 s of it around all."""
    parts = [tone(0.2, seed=9) * 0.01]
    for k, seconds in enumerate(words):
        parts += [tone(seconds, hertz=300.0 + 200 * k, seed=k), tone(pause, seed=k) * 0.01]
    return np.concatenate([*parts, tone(0.2, seed=8) * 0.01])


def test_cuts_are_in_the_pauses() -> None:
    samples = spoken([0.3, 0.25, 0.4], 0.2)
    cuts = pauses_between(LOG_MEL(samples), 3)
    assert cuts is not None
    first, second = cuts
    assert 50 <= first <= 70
    assert 95 <= second <= 115
    # Another number of words is not what is heard, and there is nothing to cut in one word.
    assert pauses_between(LOG_MEL(samples), 2) is None
    assert pauses_between(LOG_MEL(samples), 1) is None
    assert pauses_between(LOG_MEL(samples)[:0], 3) is None


def test_words_without_a_pause_are_not_cut() -> None:
    assert pauses_between(LOG_MEL(spoken([0.3, 0.3], 0.05)), 2) is None


@pytest.mark.parametrize("in_memory", [True, False])
def test_pieces_are_the_sound_of_their_words(tmp_path: Path, in_memory: bool) -> None:
    samples = spoken([0.3, 0.25, 0.4], 0.2)
    path = write_sound(tmp_path / "a.wav", samples)
    data = read_utterances(
        [samples if in_memory else path], ["one two three"], sample_rate=16000 if in_memory else None
    )
    more = with_pieces(data, LOG_MEL, 10)
    whole, *pieces = more
    assert whole == data[0]
    assert sorted(piece.text or "" for piece in pieces) == ["one", "one two", "three", "two", "two three"]
    sounds = {piece.text: piece.read(16000).samples for piece in pieces}
    joined = np.concatenate([sounds["one"], sounds["two"], sounds["three"]])
    np.testing.assert_allclose(joined, samples, atol=1e-4)
    assert all(piece.seconds == pytest.approx(len(sounds[piece.text]) / 16000) for piece in pieces)
    assert len({piece.id for piece in more}) == 6


def test_as_many_pieces_as_asked_for_chosen_by_the_seed() -> None:
    samples = spoken([0.3, 0.25, 0.4, 0.3], 0.2)
    data = read_utterances([samples, samples[:8000]], ["a b c d", "word"], sample_rate=16000)

    def texts(more: Utterances) -> list[str | None]:
        return [one.text for one in more]

    assert len(with_pieces(data, LOG_MEL, 4)) == 6
    assert texts(with_pieces(data, LOG_MEL, 4)) == texts(with_pieces(data, LOG_MEL, 4))
    assert any(texts(with_pieces(data, LOG_MEL, 4)) != texts(with_pieces(data, LOG_MEL, 4, seed)) for seed in (1, 2, 3))
    assert with_pieces(data, LOG_MEL, 0) == data
    with pytest.raises(ParameterError, match="count"):
        with_pieces(data, LOG_MEL, -1)


def test_a_piece_of_a_segment_begins_within_it(tmp_path: Path) -> None:
    samples = spoken([0.3, 0.3], 0.2)
    path = write_sound(tmp_path / "a.wav", np.concatenate([tone(1.0), samples, tone(1.0)]))
    data = read_utterances([path], ["one two"])
    segment = replace(data[0], offset=1.0, duration=len(samples) / 16000)
    _, *pieces = with_pieces(replace(data, items=(segment,)), LOG_MEL, 2)
    assert [piece.text for piece in pieces] == ["one", "two"]
    joined = np.concatenate([piece.read(16000).samples for piece in pieces])
    np.testing.assert_allclose(joined, samples, atol=1e-4)
