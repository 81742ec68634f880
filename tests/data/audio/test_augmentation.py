from pathlib import Path
from typing import Any

import numpy as np
import pytest

from made_sounds import tone, write_sound
from recurra.data.audio.augmentation import Noise, louder, masked, speed_changed, warped
from recurra.data.audio.augmentation_options import AugmentationOptions
from recurra.data.audio.log_mel import LogMel
from recurra.data.audio.sound import Sound
from recurra.errors import DataError, ParameterError


@pytest.mark.parametrize("speed", [0.9, 1.0, 1.1])
def test_speed_changes_length_and_pitch(speed: float) -> None:
    changed = speed_changed(Sound(tone(1.0), 16000), speed)
    assert changed.sample_rate == 16000
    assert len(changed.samples) == pytest.approx(16000 / speed, abs=1)
    spectrum = np.abs(np.fft.rfft(changed.samples))
    assert spectrum.argmax() / changed.seconds == pytest.approx(440 * speed, abs=1.5)


@pytest.mark.parametrize("decibels", [-12.0, 0.0, 6.0])
def test_louder_features_are_those_of_louder_samples(decibels: float) -> None:
    log_mel, samples = LogMel(), tone(0.3)
    direct = log_mel(samples * np.float32(10 ** (decibels / 20)))
    np.testing.assert_allclose(louder(log_mel(samples), decibels), direct, atol=1e-3)


def test_masks_are_within_their_limits() -> None:
    options = AugmentationOptions(
        frequency_masks=1, frequency_mask_width=0.25, time_masks=1, time_mask_width=9, time_mask_fraction=0.2
    )
    features = np.ones((40, 20), np.float32)
    bands, spans, begins = set(), set(), set()
    for seed in range(300):
        result = masked(features, options, np.random.default_rng(seed))
        empty_bands, empty_frames = (result == 0).all(axis=0), (result == 0).all(axis=1)
        # Nothing is masked but one band and one span, each without a gap.
        assert np.array_equal(result == 0, empty_bands[None, :] | empty_frames[:, None])
        for empty in (empty_bands, empty_frames):
            assert np.abs(np.diff(np.concatenate([[0], empty, [0]]))).sum() in (0, 2)
        bands.add(int(empty_bands.sum()))
        spans.add(int(empty_frames.sum()))
        begins.add(int(empty_frames.argmax()))
    assert bands == set(range(6))
    assert spans == set(range(9))  # a fifth of 40 frames is less than 9
    assert max(begins) > 30
    assert (features == 1).all()


def test_very_short_features_are_masked_without_an_error() -> None:
    for frames in (0, 1, 2):
        assert masked(np.ones((frames, 3), np.float32), AugmentationOptions(), np.random.default_rng(0)).shape == (
            frames,
            3,
        )


def test_noise_has_the_ratio_that_is_asked_for(tmp_path: Path) -> None:
    write_sound(tmp_path / "deep" / "long.wav", tone(3.0, 8000, 900), 8000)
    write_sound(tmp_path / "short.flac", tone(0.05, hertz=2000))
    noise, samples = Noise(tmp_path, 16000), tone(1.0)
    results = set()
    for seed in range(20):
        noisy = noise.added(samples, 10.0, np.random.default_rng(seed))
        assert (noisy.dtype, noisy.shape) == (np.float32, samples.shape)
        added = noisy - samples
        assert 10 * np.log10(np.mean(samples**2) / np.mean(added**2)) == pytest.approx(10.0, abs=0.01)
        results.add(noisy.tobytes())
    assert len(results) > 2
    assert np.array_equal(noise.added(np.zeros(99, np.float32), 10.0, np.random.default_rng(0)), np.zeros(99))


def test_a_folder_of_noise_without_noise_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no recordings of noise"):
        Noise(tmp_path, 16000)
    write_sound(tmp_path / "silent.wav", np.zeros(100, np.float32))
    with pytest.raises(DataError, match=r"silent\.wav: .*silent"):
        Noise(tmp_path, 16000)


@pytest.mark.parametrize(
    "options",
    [{"speeds": ()}, {"speeds": (3.0,)}, {"speeds": (1.0, 1.0)}, {"noise_snr": (9.0, 3.0)}, {"volume_db": -1.0}],
)
def test_options_out_of_range_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match=next(iter(options))):
        AugmentationOptions(**options)


def test_a_longer_vocal_tract_lowers_what_is_heard():
    log_mel = LogMel(sample_rate=16000, bins=40)
    seconds = np.arange(8000) / 16000
    high, low = (log_mel(np.sin(2 * np.pi * hertz * seconds).astype(np.float32)) for hertz in (1200, 1000))
    moved = warped(high, 1.2, log_mel)
    assert moved.shape == high.shape
    assert moved.mean(axis=0).argmax() == low.mean(axis=0).argmax() != high.mean(axis=0).argmax()
    np.testing.assert_allclose(warped(high, 1.0, log_mel), high, atol=1e-4)
