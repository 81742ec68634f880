from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from made_sounds import tone, write_sound
from recurra.data.audio.augmentation import speed_changed
from recurra.data.audio.augmentation_options import AugmentationOptions
from recurra.data.audio.feature_source import FeatureSource
from recurra.data.audio.log_mel import LogMel
from recurra.data.audio.normalization import FeatureStatistics
from recurra.data.audio.read import read_utterances
from recurra.data.audio.utterance_batches import UtteranceBatches
from recurra.data.audio.utterances import Utterances
from recurra.data.batches.batch import Partition
from recurra.errors import ParameterError

LOG_MEL = LogMel(bins=20)
SECONDS = [0.5, 0.8, 0.3, 1.2, 0.6]
LABELS = [[1, 2], [3], [1], [2, 2, 2], [4, 1]]
PLAIN = AugmentationOptions(speeds=(1.0,), volume_db=0.0, frequency_masks=0, time_masks=0)


@pytest.fixture
def utterances(tmp_path: Path) -> Utterances:
    paths = [write_sound(tmp_path / f"{k}.flac", tone(one, seed=k)) for k, one in enumerate(SECONDS)]
    return read_utterances(paths)


def test_without_augmentation_features_are_plain(utterances: Utterances) -> None:
    statistics = FeatureStatistics.of([LOG_MEL(tone())])
    source = FeatureSource(utterances, LOG_MEL, statistics)
    for row in range(5):
        expected = statistics(LOG_MEL(utterances[row].read(16000).samples))
        assert np.array_equal(source.plain(row), expected)
        assert np.array_equal(source.varied(row, 3), expected)
        same = FeatureSource(utterances, LOG_MEL, statistics, augmentation=PLAIN).varied(row, 3)
        np.testing.assert_allclose(same, expected, atol=1e-6)


@pytest.mark.parametrize("noisy", [False, True])
@pytest.mark.parametrize("cache_bytes", [0, 60_000, 1 << 24])
def test_variation_is_a_function_of_seed_epoch_and_row(
    utterances: Utterances, tmp_path: Path, noisy: bool, cache_bytes: int
) -> None:
    noise = write_sound(tmp_path / "noise" / "n.wav", tone(2.0, hertz=1500)).parent if noisy else None
    options = AugmentationOptions(noise=None if noise is None else str(noise))

    def source(seed: int = 0, size: int = cache_bytes) -> FeatureSource:
        return FeatureSource(utterances, LOG_MEL, augmentation=options, seed=seed, cache_bytes=size)

    first, whole = source(), source(size=1 << 24)
    rows = [(row, epoch) for epoch in range(4) for row in range(5)]
    made = {key: first.varied(*key) for key in rows}
    # In another order, from a cache of another size, and again: the same.
    for key in reversed(rows):
        assert np.array_equal(whole.varied(*key), made[key])
        assert np.array_equal(first.varied(*key), made[key])
    lengths = {len(made[0, epoch]) for epoch in range(4)} | {len(source(1).varied(0, epoch)) for epoch in range(9)}
    assert len(lengths) == 3  # one for each speed
    assert not np.array_equal(source(seed=2).varied(0, 0)[:20], made[0, 0][:20])
    assert max(len(one) for one in made.values()) <= source().lengths(SECONDS).max()


def test_plain_features_are_cached_apart_from_varied_ones(utterances: Utterances) -> None:
    source = FeatureSource(utterances, LOG_MEL, augmentation=replace_speed(0.9))
    before = source.plain(0)
    varied = source.varied(0, 0)
    expected = LOG_MEL(speed_changed(utterances[0].read(16000), 0.9).samples)
    np.testing.assert_allclose(varied, expected, atol=1e-6)
    assert np.array_equal(source.plain(0), before)
    assert len(before) < len(varied)


def replace_speed(speed: float) -> AugmentationOptions:
    return PLAIN.replaced(speeds=(speed,))


def test_a_deleted_file_is_no_longer_needed_once_cached(utterances: Utterances) -> None:
    source = FeatureSource(utterances, LOG_MEL)
    before = source.plain(0)
    assert isinstance(utterances[0].audio, Path)
    utterances[0].audio.unlink()
    assert np.array_equal(source.plain(0), before)


def test_batches_are_padded_and_each_epoch_has_each_utterance_once(utterances: Utterances) -> None:
    source = FeatureSource(utterances, LOG_MEL)
    batches = UtteranceBatches(source, LABELS, SECONDS, 2, seed=1)
    assert batches.steps_per_epoch == 3
    for epoch in range(2):
        seen = []
        for step in range(3 * epoch + 1, 3 * epoch + 4):
            batch = batches(step)
            (features, lengths), (labels, label_lengths) = batch.inputs, batch.target
            assert features.dtype == torch.float32
            assert (lengths.dtype, labels.dtype, label_lengths.dtype) == (torch.int64,) * 3
            assert features.shape == (len(lengths), int(lengths.max()), 20)
            assert batch.weight == len(lengths)
            for b, (length, size) in enumerate(zip(lengths.tolist(), label_lengths.tolist(), strict=True)):
                [row] = [k for k in range(5) if LOG_MEL.frames(round(16000 * SECONDS[k])) == length]
                seen.append(row)
                assert labels[b, :size].tolist() == LABELS[row]
                assert not labels[b, size:].any()
                assert np.array_equal(features[b, :length].numpy(), source.plain(row))
                assert not features[b, length:].any()
        assert sorted(seen) == [0, 1, 2, 3, 4]
    assert torch.equal(UtteranceBatches(source, LABELS, SECONDS, 2, seed=1)(5).inputs[0], batches(5).inputs[0])


def test_batches_of_seconds_stay_below_them(utterances: Utterances) -> None:
    source = FeatureSource(utterances, LOG_MEL, augmentation=AugmentationOptions())
    batches = UtteranceBatches(source, LABELS, SECONDS, seconds_per_batch=2.0)
    for step in range(1, 20):
        features = batches(step).inputs[0]
        assert features.shape[0] * features.shape[1] <= 200 / 0.9
    with pytest.raises(ParameterError, match=r"seconds_per_batch: .*longest.*1\.2"):
        UtteranceBatches(source, LABELS, SECONDS, seconds_per_batch=1.0)
    with pytest.raises(ParameterError, match="labels"):
        UtteranceBatches(source, LABELS[1:], SECONDS, 2)


def test_plain_steps_come_before_augmentation(utterances: Utterances) -> None:
    source = FeatureSource(utterances, LOG_MEL, augmentation=AugmentationOptions())
    plain = UtteranceBatches(FeatureSource(utterances, LOG_MEL), LABELS, SECONDS, 2)
    varied = UtteranceBatches(source, LABELS, SECONDS, 2)
    batches = UtteranceBatches(source, LABELS, SECONDS, 2, plain_steps=4)
    for step in range(1, 9):
        inputs = batches(step).inputs
        assert all(map(torch.equal, inputs, (plain if step <= 4 else varied)(step).inputs))


def test_each_process_reads_its_part(utterances: Utterances) -> None:
    source = FeatureSource(utterances, LOG_MEL)
    parts = [UtteranceBatches(source, LABELS, SECONDS, 2, partition=Partition(rank, 2)) for rank in range(2)]
    whole = UtteranceBatches(source, LABELS, SECONDS, 2)
    for step in range(1, 7):
        both = [part(step) for part in parts]
        assert sum(batch.weight for batch in both) == whole(step).weight
        lengths = [n for batch in both for n in batch.inputs[1].tolist()[: int(batch.weight)]]
        assert sorted(lengths) == sorted(whole(step).inputs[1].tolist())


def test_segments_are_utterances_too(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "long.flac", tone(2.0))
    one = read_utterances([path])[0]
    segments = Utterances((replace(one, offset=0.0, duration=0.5), replace(one, offset=0.5, duration=1.5)))
    source = FeatureSource(segments, LOG_MEL)
    assert [len(source.plain(row)) for row in range(2)] == [LOG_MEL.frames(8000), LOG_MEL.frames(24000)]
