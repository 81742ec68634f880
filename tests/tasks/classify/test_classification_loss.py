import torch
from torch.nn import functional as F

from recurra.tasks.classify.training import classification_loss


def test_the_loss_of_one_label() -> None:
    logits = torch.randn(3, 3, dtype=torch.float64)
    target = torch.tensor([2, -100, 0])
    logs = logits.log_softmax(1)
    expected = -(logs[0, 2] + logs[2, 0]) / 2
    torch.testing.assert_close(classification_loss(logits, target), expected)
    weights = torch.tensor([2.0, 1.0, 0.5], dtype=torch.float64)
    torch.testing.assert_close(classification_loss(logits, target, weights), -(0.5 * logs[0, 2] + 2 * logs[2, 0]) / 2)
    smoothed = classification_loss(logits, target, label_smoothing=0.3)
    torch.testing.assert_close(smoothed, 0.7 * expected - 0.3 * (logs[0].mean() + logs[2].mean()) / 2)
    assert classification_loss(logits, torch.full((3,), -100)) == 0


def test_the_loss_of_several_labels() -> None:
    logits = torch.randn(2, 3, dtype=torch.float64)
    target = torch.tensor([[1.0, 0, 1], [0, 0, 0]], dtype=torch.float64)
    for_it, against = -F.logsigmoid(logits), -F.logsigmoid(-logits)
    weights = torch.tensor([2.0, 1.0, 0.5], dtype=torch.float64)
    expected = (target * weights * for_it + (1 - target) * against).mean()
    torch.testing.assert_close(classification_loss(logits, target, weights), expected)
    smoothed = 0.8 * target + 0.1
    torch.testing.assert_close(
        classification_loss(logits, target, label_smoothing=0.2), (smoothed * for_it + (1 - smoothed) * against).mean()
    )
