import base64
from typing import Any

import numpy as np
import pytest

from recurra.data.audio.json_samples import read_json_samples
from recurra.errors import DataError


def test_numbers_and_base64_are_the_same_samples() -> None:
    whole = np.array([0, 1, -1, 16384, 32767, -32768], "<i2")
    expected = np.array([0, 1, -1, 16384, 32767, -32768], np.float32) / 32768
    for value in (expected.tolist(), base64.b64encode(whole.tobytes()).decode()):
        samples = read_json_samples(value)
        assert samples.dtype == np.float32
        np.testing.assert_array_equal(samples, expected)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "at least one sample"),
        ("", "at least one sample"),
        ("/etc/hostname", "not base64"),
        ("AAAA", "2 bytes for each sample, got 3"),
        ([0.5, True], "a list of numbers"),
        ([0.5, None], "a list of numbers"),
        ([0.5, [0.5]], "a list of numbers"),
        ([0.5, float("nan")], "finite"),
        ([0.5, 1e300], "finite"),
        ([0.5, 10**400], "finite"),
        (0.5, "a list of numbers"),
        ({"samples": [0.5]}, "a list of numbers"),
    ],
)
def test_what_is_no_sound_is_refused(value: Any, message: str) -> None:
    with pytest.raises(DataError, match=f"data, sound 2: .*{message}"):
        read_json_samples(value, "data, sound 2")
