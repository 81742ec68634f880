from typing import Any

import pytest
import torch
from torch.nn import functional as F

from covering import parametrize
from recurra import cells
from recurra.models.image import CaptionBatch, CaptionLoss, GridNetwork, ImageCaptioner

V, D = 9, 12
CAPTIONS = torch.tensor([[2, 4, 5, 6], [2, 7, 0, 0]])
LENGTHS = torch.tensor([4, 2])


def make(cell: Any, attention_size: int, grid: bool = False) -> ImageCaptioner:
    network = ImageCaptioner(
        V,
        cell,
        begin_id=2,
        end_id=3,
        grid=GridNetwork(16, 8) if grid else None,
        channels=D,
        feature_size=8,
        hidden_size=6,
        embedding_size=5,
        attention_size=attention_size,
        never_written=(0, 1, 2),
    )
    return network.eval()


@parametrize({"cell": [cells.LSTM(), cells.GRU()], "attention_size": [0, 7], "grid": [False, True]})
def test_a_caption_is_its_steps_and_the_batch_changes_nothing(cell: Any, attention_size: int, grid: bool) -> None:
    network = make(cell, attention_size, grid)
    images = torch.randint(0, 256, (2, 16, 16, 3), dtype=torch.uint8) if grid else torch.randn(2, 4, D)
    output, _ = network(CaptionBatch(images, CAPTIONS, LENGTHS))
    assert output.logits.shape == (6, V)
    assert output.weights.shape[:2] == (2, 4)
    assert output.weights.shape[2] == (0 if not attention_size else 64 if grid else 4)
    alone, _ = network(CaptionBatch(images[1:], CAPTIONS[1:, :2], LENGTHS[1:]))
    torch.testing.assert_close(alone.logits, output.logits[4:])
    state, steps = network.begin(images), []
    for tokens in CAPTIONS.unbind(1):
        log_probs, state = network.step(tokens, state)
        assert log_probs[:, :3].isneginf().all()
        steps.append(log_probs[0, 3:])
    torch.testing.assert_close(torch.stack(steps), output.logits[:4].log_softmax(1)[:, 3:])


def test_without_attention_the_first_state_is_all_that_is_seen() -> None:
    network, images = make(cells.LSTM(), 0), torch.randn(1, 4, D)
    same_mean = images[:, [3, 2, 1, 0]]
    first, again = (network(CaptionBatch(one, CAPTIONS[:1], LENGTHS[:1]))[0] for one in (images, same_mean))
    torch.testing.assert_close(first.logits, again.logits)
    other, _ = network(CaptionBatch(images + 1, CAPTIONS[:1], LENGTHS[:1]))
    assert not torch.allclose(first.logits, other.logits)
    assert first.uneven == 0


def test_the_loss_by_hand() -> None:
    network, target = make(cells.GRU(), 7), torch.tensor([4, 5, 6, 3, 7, 3])
    output, _ = network(CaptionBatch(torch.randn(2, 4, D), CAPTIONS, LENGTHS))
    words = F.cross_entropy(output.logits, target)
    assert CaptionLoss()(output, target).item() == pytest.approx(words.item())
    attended = torch.stack([output.weights[0].sum(0), output.weights[1, :2].sum(0)])
    uneven = (1 - attended).square().mean()
    assert CaptionLoss(0.0, 2.0)(output, target).item() == pytest.approx((words + 2 * uneven).item(), rel=1e-5)
    smoothed = F.cross_entropy(output.logits, target, label_smoothing=0.1)
    assert CaptionLoss(0.1)(output, target).item() == pytest.approx(smoothed.item())
