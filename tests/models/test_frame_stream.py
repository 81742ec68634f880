from itertools import islice

import numpy as np
import pytest
import torch

from recurra.cells import GRU
from recurra.models.frames import FrameModel, sample_frames, stream_frames


@pytest.mark.parametrize("nade_size", [0, 5])
def test_a_stream_is_what_is_sampled_at_once(nade_size: int) -> None:
    torch.manual_seed(1)
    network = FrameModel(GRU(), 6, 4, 2, nade_size, dropout=0.5)
    opening = np.random.default_rng(0).integers(0, 2, (3, 6))
    shift = np.array([0, 1, -1, 0, -np.inf, 0])
    expected = sample_frames(network, opening, np.full((40, 6), -1), [9], temperature=1.5, shift=shift)[0]
    stream = stream_frames(network, opening, 9, temperature=1.5, shift=shift)
    assert np.array_equal(list(islice(stream, 40)), expected)
    assert expected.any()
    assert not expected[:, 4].any()
    none = stream_frames(network, opening[:0], 9)
    assert np.array_equal(list(islice(none, 4)), sample_frames(network, opening[:0], np.full((4, 6), -1), [9])[0])
