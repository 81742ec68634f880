from pathlib import Path

import numpy as np
import pytest

from made_sounds import FORMATS, tone, write_sound
from recurra.data.audio.sound import Sound, read_header, read_sound, resampled
from recurra.errors import DataError, MissingExtraError, ParameterError


@pytest.mark.parametrize("ending", FORMATS)
def test_a_segment_is_that_part_of_the_whole(tmp_path: Path, ending: str) -> None:
    path = write_sound(tmp_path / f"one.{ending}", tone(2.0, 48000), 48000)
    whole = read_sound(path)
    assert (whole.sample_rate, whole.samples.dtype, whole.seconds) == (48000, np.float32, 2.0)
    assert np.abs(whole.samples - tone(2.0, 48000))[4800:-4800].mean() < 0.05
    segment = read_sound(path, offset=0.51, duration=0.3)
    np.testing.assert_allclose(segment.samples, whole.samples[24480 : 24480 + 14400], atol=1e-6)
    assert read_sound(path, offset=1.9, duration=5.0).seconds == pytest.approx(0.1)
    header = read_header(path)
    assert (header.sample_rate, header.samples, header.channels, header.seconds) == (48000, 96000, 1, 2.0)


def test_channels_are_averaged_or_chosen(tmp_path: Path) -> None:
    left, right = tone(0.2, hertz=300), tone(0.2, hertz=900)
    path = write_sound(tmp_path / "two.flac", np.stack([left, right], axis=1))
    for channel, expected in ((None, (left + right) / 2), (0, left), (1, right)):
        np.testing.assert_allclose(read_sound(path, channel=channel).samples, expected, atol=1e-4)
    with pytest.raises(DataError, match=r"two\.flac.*channel 2.*it has 2"):
        read_sound(path, channel=2)


def test_resampling_keeps_a_tone_and_removes_what_is_too_high() -> None:
    def level(hertz: float) -> float:
        samples = tone(1.0, 16000, hertz) - tone(1.0, 16000, 0.0)  # without the noise
        half = resampled(Sound(samples, 16000), 8000)
        assert (half.sample_rate, len(half.samples)) == (8000, 8000)
        return float(np.abs(half.samples[500:-500]).max())

    assert level(1000) == pytest.approx(0.3, rel=0.01)
    assert level(7000) < 1e-4
    sound = Sound(tone(), 16000)
    assert resampled(sound, 16000) is sound


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    whole = write_sound(tmp_path / "whole.flac", tone(2.0)).read_bytes()
    index = write_sound(tmp_path / "index.mp3", tone(4.0)).read_bytes()
    contents = {
        "empty.wav": (b"", "empty"),
        "text.wav": (b"this is not a recording", "not a recording"),
        "damaged.flac": (whole[: len(whole) // 2], "damaged|cut off"),
        "short.mp3": (index[: len(index) // 2], "cut off"),
    }
    for name, (content, reason) in contents.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=f"{name}: .*({reason})") as caught:
            read_sound(tmp_path / name)
        assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match=r"none\.wav: no such file"):
        read_header(tmp_path / "none.wav")
    with pytest.raises(DataError, match=r"not a file but a folder"):
        read_header(tmp_path)
    with pytest.raises(DataError, match=r"nothing\.wav: .*no samples"):
        read_sound(write_sound(tmp_path / "nothing.wav", tone(0.0)))
    with pytest.raises(DataError, match=r"begins at 3 s.*ends at 2.00 s"):
        read_sound(tmp_path / "whole.flac", offset=3.0)


@pytest.mark.parametrize(
    "values", [{"offset": -1.0}, {"offset": float("nan")}, {"duration": 0.0}, {"channel": -1}, {"sample_rate": 0}]
)
def test_parameters_out_of_range_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(ParameterError, match=next(iter(values))):
        read_sound("any.wav", **values)  # type: ignore[arg-type]


def test_without_the_extra_the_message_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "soundfile", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'recurra\[audio\]'"):
        read_sound("any.wav")
