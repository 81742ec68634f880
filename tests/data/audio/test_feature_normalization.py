import json

import numpy as np
import pytest

from recurra.data.audio.normalization import FeatureStatistics, SlidingMean
from recurra.errors import DataError


def made_features(frames: int = 50, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal((frames, 5)) * [1, 2, 3, 4, 5] + 7).astype(np.float32)


def test_training_has_mean_0_and_deviation_1() -> None:
    sounds = [made_features(30, 1), made_features(0), made_features(70, 2)]
    statistics = FeatureStatistics.of(sounds)
    normalized = np.concatenate([statistics(one) for one in sounds])
    assert normalized.dtype == np.float32
    np.testing.assert_allclose(normalized.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(normalized.std(axis=0), 1, atol=1e-5)
    again = FeatureStatistics.from_json(json.loads(json.dumps(statistics.to_json())))
    assert np.array_equal(again(sounds[0]), statistics(sounds[0]))


def test_a_constant_feature_is_not_divided_by_0() -> None:
    assert (FeatureStatistics.of([np.ones((9, 2), np.float32)])(np.ones((3, 2), np.float32)) == 0).all()
    with pytest.raises(DataError, match="no recording is long enough"):
        FeatureStatistics.of([made_features(0)])


@pytest.mark.parametrize("window", [1, 7, 20, 500])
@pytest.mark.parametrize("chunk", [1, 3, 20, 50])
def test_the_sliding_mean_in_chunks_is_that_of_the_whole(window: int, chunk: int) -> None:
    statistics, features = FeatureStatistics.of([made_features(99, 9)]), made_features()
    normalization = SlidingMean(statistics, window)
    whole = normalization(features)
    # By its definition: the mean of the last `window` frames, those before the first being the mean of training.
    padded = np.concatenate([np.tile(statistics.mean, (window, 1)), features]).astype(np.float64)
    means = np.stack([padded[t + 1 : t + 1 + window].mean(axis=0) for t in range(len(features))])
    np.testing.assert_allclose(whole, (features - means) / statistics.deviation, atol=1e-5)
    stream = normalization.stream()
    parts = [stream.accept(features[at : at + chunk]) for at in range(0, len(features), chunk)]
    assert np.array_equal(np.concatenate(parts), whole)
