import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from made_sounds import tone
from recurra.data.audio.log_mel import LogMel
from recurra.errors import ParameterError, ShapeError


def reference(samples: np.ndarray, log_mel: LogMel) -> np.ndarray:
    """The features by their definition (Kaldi's), in float64."""
    size = 1 << (log_mel.window - 1).bit_length()
    n = np.arange(log_mel.window)
    povey = (0.5 - 0.5 * np.cos(2 * np.pi * n / (log_mel.window - 1))) ** 0.85

    def mel(hertz: Any) -> Any:
        return 1127 * np.log1p(np.asarray(hertz) / 700)

    edges = np.linspace(mel(log_mel.low_hz), mel(log_mel.high_hz or log_mel.sample_rate / 2), log_mel.feature_size + 2)
    bins = mel(np.arange(size // 2) * log_mel.sample_rate / size)
    up = (bins[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    down = (edges[2:] - bins[:, None]) / (edges[2:] - edges[1:-1])
    weights = np.maximum(np.minimum(up, down), 0)
    frames = []
    for t in range(log_mel.frames(len(samples))):
        frame = samples[t * log_mel.shift :][: log_mel.window].astype(np.float64)
        frame = frame - frame.mean()
        frame = frame - 0.97 * np.concatenate([frame[:1], frame[:-1]])
        power = np.abs(np.fft.rfft(frame * povey, size))[: size // 2] ** 2
        frames.append(np.log(np.maximum(power @ weights, np.finfo(np.float32).eps)))
    return np.array(frames)


@pytest.mark.parametrize(
    "options",
    [{}, {"sample_rate": 8000}, {"sample_rate": 22050, "bins": 40, "window_ms": 32.0}, {"low_hz": 0.0, "high_hz": 5e3}],
)
def test_features_are_those_of_their_definition(options: dict[str, Any]) -> None:
    log_mel = LogMel(**options)
    samples = tone(0.3, log_mel.sample_rate)
    features = log_mel(samples)
    assert features.shape == (log_mel.frames(len(samples)), log_mel.feature_size)
    np.testing.assert_allclose(features, reference(samples, log_mel), atol=0.02)
    # A tone of 440 Hz is loudest in the band around it.
    assert (features.argmax(axis=1) == features.mean(axis=0).argmax()).all()


@settings(max_examples=30, deadline=None)
@given(sizes=st.lists(st.integers(0, 2000), max_size=12))
def test_a_stream_in_any_chunks_gives_the_same_numbers(sizes: list[int]) -> None:
    log_mel, samples = LogMel(), tone(0.6)
    stream = log_mel.stream()
    chunks = np.split(samples, np.minimum(np.cumsum(sizes), len(samples)))
    streamed = np.concatenate([stream.accept(chunk) for chunk in chunks])
    assert np.array_equal(streamed, log_mel(samples))


def test_the_number_of_frames_is_stated() -> None:
    log_mel = LogMel()
    assert (log_mel.window, log_mel.shift, log_mel.frame_seconds, log_mel.frames(16000)) == (400, 160, 0.01, 98)
    for samples in (0, 1, 399, 400, 559, 560, 561, 16000):
        assert log_mel(np.ones(samples, np.float32)).shape == (log_mel.frames(samples), 80)
    assert np.isfinite(log_mel(np.zeros(800, np.float32))).all()


def test_options_are_data() -> None:
    log_mel = LogMel(sample_rate=8000, bins=40)
    assert LogMel(**log_mel.get_params()) == log_mel
    assert pickle.loads(pickle.dumps(log_mel)) == log_mel
    assert [LogMel(sample_rate=rate).feature_size for rate in (4000, 8000, 16000, 44100)] == [30, 60, 80, 80]


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"high_hz": 9000.0}, "high_hz"),
        ({"low_hz": 500.0, "high_hz": 400.0}, "high_hz"),
        ({"low_hz": 8000.0}, "low_hz"),
        ({"window_ms": 0.1}, "window_ms"),
        ({"shift_ms": 0.01}, "shift_ms"),
        ({"bins": 2}, "bins"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: dict[str, Any], name: str) -> None:
    with pytest.raises(ParameterError, match=f"^{name}: "):
        LogMel(**options)


def test_bands_narrower_than_what_a_window_resolves_are_refused() -> None:
    with pytest.raises(ParameterError, match=r"bins: .*128.*window_ms"):
        LogMel(sample_rate=8000, bins=128).stream()
    with pytest.raises(ShapeError, match="samples"):
        LogMel()(np.zeros((2, 1600), np.float32))
    with pytest.raises(ShapeError, match="int16"):
        LogMel()(np.zeros(1600, np.int16))
