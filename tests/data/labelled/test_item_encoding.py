import json
import logging
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from recurra.data.labelled.series_encoding import EncodedSeries, SeriesEncoding
from recurra.data.labelled.text_encoding import EncodedTexts, TextEncoding
from recurra.data.text.word_encoding import UNKNOWN, WordEncoding
from recurra.errors import DataError

NAN = np.nan
TRAINING = [np.array([[1.0, 7], [3, 7]]), np.array([[5.0, 7], [7, 7], [NAN, 7]])]


def series_encoding(normalization: Any = "channel", series: list[np.ndarray] = TRAINING) -> SeriesEncoding:
    return SeriesEncoding.of(series, ("x", "y"), normalization)


def text_encoding(max_length: int = 4) -> TextEncoding:
    return TextEncoding(WordEncoding.of([["a", "b", "c", "d"]], True, 1), "words", max_length)


def test_channels_are_normalised_as_in_training() -> None:
    encoding = series_encoding()
    assert encoding.mean == pytest.approx((4, 7))
    assert encoding.deviation == pytest.approx((5**0.5, 1))
    assert encoding.missing
    assert encoding.size == 4
    found = encoding.encode(np.array([[4 + 2 * 5**0.5, NAN], [NAN, 9]], np.float32))
    assert found.dtype == torch.float32
    assert_allclose(found, [[2, 0, 0, 1], [0, 2, 1, 0]], atol=1e-6)


def test_series_are_normalised_by_themselves() -> None:
    found = series_encoding("series").encode(np.array([[1.0, 5], [3, NAN], [NAN, 5]]))
    assert_allclose(found, [[-1, 0, 0, 0], [1, 0, 0, 1], [0, 0, 1, 0]])
    assert not series_encoding("series").encode(np.full((2, 2), NAN))[:, :2].any()


def test_series_may_stay_as_they_are() -> None:
    found = series_encoding("none").encode(np.array([[1.5, NAN]]))
    assert found.tolist() == [[1.5, 0, 0, 1]]


def test_without_missing_values_in_training_there_is_no_indicator() -> None:
    encoding = series_encoding(series=TRAINING[:1])
    assert encoding.size == 2
    assert_allclose(encoding.encode(np.array([[NAN, 7], [4, 7]])), [[0, 0], [2, 0]])


@pytest.mark.parametrize("value", [0.0, 0.1, -1e7, 1e-30])
def test_a_channel_that_never_changes_is_only_shifted(value: float) -> None:
    encoding = series_encoding(series=[np.full((7, 2), np.float32(value))])
    assert encoding.deviation == (1, 1)
    assert not encoding.encode(np.full((2, 2), np.float32(value))).any()


def test_json() -> None:
    for encoding in (series_encoding(), text_encoding()):
        read = type(encoding).from_json(json.loads(json.dumps(encoding.to_json())))
        assert read.to_json() == encoding.to_json()
    assert SeriesEncoding.from_json(json.loads(json.dumps(series_encoding().to_json()))) == series_encoding()


def test_batches_and_beginnings_of_series() -> None:
    series = [np.arange(2.0 * steps).reshape(steps, 2) for steps in (10, 1, 3)]
    encoded = EncodedSeries(series_encoding("none", series), series)
    assert encoded.lengths.tolist() == [10, 1, 3]
    batch = encoded.batch(np.array([2, 1]))
    assert batch.lengths.tolist() == [3, 1]
    assert batch.values[1, 0].tolist() == [0, 1]
    assert batch.values.shape == (2, 3, 2)
    for lengths in ([1, 1, 1], [4, 1, 2], [10, 1, 3]):
        shorter = encoded.beginnings(np.array(lengths))
        assert shorter.lengths.tolist() == lengths
        found = shorter.batch(np.array([0]))
        assert found.values[0].tolist() == series[0][: lengths[0]].tolist()


def test_beginnings_of_series_are_normalised_by_themselves() -> None:
    series = [np.array([[0.0], [2], [40], [40]])]
    encoded = EncodedSeries(SeriesEncoding.of(series, ("x",), "series"), series)
    assert encoded.beginnings(np.array([2])).batch(np.array([0])).values.tolist() == [[[-1], [1]]]


def test_batches_and_beginnings_of_texts() -> None:
    encoding = text_encoding()
    encoded = EncodedTexts(encoding, ["a B zz c", " ", "d"], None)
    assert encoded.lengths.tolist() == [4, 1, 1]
    words = encoding.words
    expected = [words.word(word) for word in ("a", "b", "zz", "c")]
    batch = encoded.batch(np.array([0, 1]))
    assert batch.lengths.tolist() == [4, 1]
    assert [batch.words[0].tolist(), int(batch.words[1, 0])] == [expected, 0]
    assert expected[2] == 0 < min(expected[:2])
    shorter = encoded.beginnings(np.array([2, 1, 1]))
    assert shorter.lengths.tolist() == [2, 1, 1]
    assert shorter.batch(np.array([0])).words.tolist() == [expected[:2]]
    assert encoding.tokens(" \n") == [UNKNOWN]


def test_longer_texts_are_cut_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        EncodedTexts(text_encoding(), ["a b c d", "a"], None)
    assert not caplog.records
    encoded = EncodedTexts(text_encoding(), ["a", "a b c d a", "b " * 100_000], None, "here")
    assert encoded.lengths.tolist() == [1, 4, 4]
    (record,) = caplog.records
    assert "here: 2 of 3 texts have more than max_length = 4 tokens" in record.getMessage()


@pytest.mark.parametrize("shape", [(3, 1), (3,), (0, 2), (3, 3)])
def test_series_of_other_channels_are_refused(shape: tuple[int, ...]) -> None:
    given = [np.zeros((2, 2)), np.zeros(shape)]
    with pytest.raises(DataError, match=r"here: series 2 has the shape .* expected \(T, 2\) with T at least 1"):
        EncodedSeries(series_encoding(), given, "here")
