"""The reader of frames: padding is not read, and frames one by one are the whole."""

import pytest
import torch

from recurra.errors import ShapeError
from recurra.models.frame_reader import FrameReader


@pytest.mark.parametrize(("differences", "map_hidden_size", "parts"), [(False, 0, 4), (True, 0, 0), (True, 4, 0)])
def test_padding_is_not_read_and_single_frames_are_the_whole(
    differences: bool, map_hidden_size: int, parts: int
) -> None:
    torch.manual_seed(0)
    reader = FrameReader(16, 8, differences, map_hidden_size, parts).eval()
    frames = torch.randint(0, 256, (2, 5, 16, 16, 3), dtype=torch.uint8)
    lengths = torch.tensor([5, 3])
    features, _ = reader(frames, lengths)
    assert features.shape == (2, 5, 128)
    changed = frames.clone()
    changed[1, 3:] = 255 - changed[1, 3:]
    torch.testing.assert_close(reader(changed, lengths)[0], features)
    assert not features[1, 3:].any()
    # One frame at a time, with the state and the frame before.
    state, before, one = None, None, torch.tensor([1])
    for t in range(5):
        step, state = reader(frames[:1, t : t + 1], one, state, before)
        torch.testing.assert_close(step[0, 0], features[0, t], rtol=1e-4, atol=1e-5)
        before = frames[:1, t]
    assert (state is None) == (map_hidden_size == 0)


def test_differences_are_read_and_gradients_reach_every_parameter() -> None:
    torch.manual_seed(1)
    still, moving = (torch.full((1, 3, 16, 16, 3), 90, dtype=torch.uint8) for _ in range(2))
    moving[:, 1] = 200
    reader = FrameReader(16, 8, True, 4)
    features, _ = reader(moving, torch.tensor([3]))
    features.square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in reader.parameters())
    reader.eval()
    plain = FrameReader(16, 8).eval()
    # What stands still looks the same at each step, only without differences also after something moved.
    own, other = (one(moving, torch.tensor([3]))[0][0] for one in (reader, plain))
    torch.testing.assert_close(other[0], other[2])
    assert not torch.allclose(own[0], own[2])
    assert torch.allclose(plain(still, torch.tensor([3]))[0][0, 0], plain(still, torch.tensor([3]))[0][0, 1])
    with pytest.raises(ShapeError, match=r"\(B, T, 16, 16, 3\)"):
        reader(moving[:, :, :8], torch.tensor([3]))


@pytest.mark.parametrize(("parts", "tells"), [(0, True), (2, True), (1, False)])
def test_cells_and_parts_tell_where_something_is(parts: int, tells: bool) -> None:
    torch.manual_seed(2)
    reader, one = FrameReader(64, 8, parts=parts, num_features=16).eval(), torch.tensor([1])
    assert reader.output_size == 16
    frames = torch.zeros(2, 1, 64, 64, 3, dtype=torch.uint8)
    frames[0, 0, 24:32, 24:32] = 255
    frames[1, 0, 24:32, 32:40] = 255  # one cell of the maps farther
    left, right = (reader(frame[None], one)[0] for frame in frames)
    assert torch.allclose(left, right, atol=1e-4) != tells
