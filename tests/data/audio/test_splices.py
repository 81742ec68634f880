from dataclasses import replace

import numpy as np
import pytest

from made_sounds import tone
from recurra.data.audio.log_mel import LogMel
from recurra.data.audio.read import read_utterances
from recurra.data.audio.splices import CutRecording, cut_at_pauses, cut_by_words, spliced
from recurra.data.audio.timed_words import Word
from recurra.data.audio.utterances import Utterance
from recurra.errors import ParameterError

LOG_MEL = LogMel(bins=20)


def spoken(text: str, words: list[float], pause: float) -> Utterance:
    """Tones of these seconds, with pauses in which there is noise between them, and 0.2 s of it around all."""
    parts = [tone(0.2, seed=9) * 0.01]
    for k, seconds in enumerate(words):
        parts += [tone(seconds, hertz=300.0 + 200 * k, seed=k), tone(pause, seed=k) * 0.01]
    samples = np.concatenate([*parts, tone(0.2, seed=8) * 0.01])
    return read_utterances([samples], [text], sample_rate=16000)[0]


def test_cuts_are_in_the_pauses() -> None:
    utterance = spoken("one two three", [0.3, 0.25, 0.4], 0.2)
    cut = cut_at_pauses(utterance, "me", LOG_MEL)
    assert cut is not None
    assert cut.words == ("one", "two", "three")
    assert np.array_equal(np.concatenate(cut.parts), utterance.read(16000).samples)
    first, second = np.cumsum([len(part) for part in cut.parts])[:2] / 16000
    assert 0.5 <= first <= 0.7
    assert 0.95 <= second <= 1.15
    # Another number of words is not what is heard.
    assert cut_at_pauses(replace(utterance, text="one two"), "me", LOG_MEL) is None
    assert cut_at_pauses(replace(utterance, text=""), "me", LOG_MEL) is None


def test_words_without_a_pause_are_not_cut() -> None:
    assert cut_at_pauses(spoken("one two", [0.3, 0.3], 0.05), "me", LOG_MEL) is None
    whole = cut_at_pauses(spoken("one", [0.3], 0.05), "me", LOG_MEL)
    assert whole is not None
    assert len(whole.parts) == 1


def test_a_cut_is_where_it_is_softest_between_aligned_words() -> None:
    utterance = spoken("one two", [0.3, 0.3], 0.05)
    words = (Word("one", 0.3, 0.4, 1.0), Word("two", 0.65, 0.8, 1.0))
    cut = cut_by_words(utterance, "me", words, 16000)
    assert cut is not None
    assert cut.words == ("one", "two")
    assert 0.5 <= len(cut.parts[0]) / 16000 <= 0.55
    assert np.array_equal(np.concatenate(cut.parts), utterance.read(16000).samples)
    wrong = (Word("one", 0.0, 0.01, 1.0), Word("two", 0.02, 0.8, 1.0))
    assert cut_by_words(utterance, "me", wrong, 16000) is None
    assert cut_by_words(utterance, "me", (), 16000) is None


def test_splices_are_words_of_one_speaker_in_other_orders() -> None:
    names = {"a": "one two three four five", "b": "six seven eight nine ten"}
    sounds = {word: np.full(100 + k, k, np.float32) for k, word in enumerate(" ".join(names.values()).split())}
    recordings = []
    for speaker, text in names.items():
        words = tuple(text.split())
        recordings.append(CutRecording(words, tuple(sounds[word] for word in words), speaker))
        recordings.append(CutRecording(words[:2], tuple(sounds[word] for word in words[:2]), speaker))
    made = spliced(recordings, 40, 8000, seed=1)
    assert len(made) == 40
    for one in made:
        words = (one.text or "").split()
        assert len(words) in (2, 5)
        assert one.speaker is not None
        assert set(words) <= set(names[one.speaker].split())
        assert np.array_equal(one.read(8000).samples, np.concatenate([sounds[word] for word in words]))
        assert one.seconds == one.duration == sum(len(sounds[word]) for word in words) / 8000
    texts = [one.text for one in made]
    assert len({text.split()[0] for text in texts if text}) > 6
    assert texts == [one.text for one in spliced(recordings, 40, 8000, seed=1)]
    assert texts != [one.text for one in spliced(recordings, 40, 8000, seed=2)]
    with pytest.raises(ParameterError, match="count"):
        spliced(recordings, -1, 8000)
