import pytest
import torch
from numpy.testing import assert_allclose

from recurra.cells import find_cell
from recurra.errors import ParameterError
from recurra.models import EvidenceClassifier


def test_the_classifier_adds_the_sum_of_valid_steps() -> None:
    torch.manual_seed(0)
    model = EvidenceClassifier(find_cell("lstm"), 7, 3, 2, 2).eval()
    inputs, lengths = torch.randn(3, 5, 7), torch.tensor([5, 2, 0])
    before, _ = model(inputs, lengths)
    with torch.no_grad():
        model.evidence.add_(torch.tensor([1.0, -2.0]))
    after, _ = model(inputs, lengths)
    sums = torch.stack([one[:length, 3:].sum(0) for one, length in zip(inputs, lengths, strict=True)])
    assert_allclose((after - before).detach(), sums[:, :2] - 2 * sums[:, 2:], atol=1e-5)
    assert_allclose(model(inputs[:1])[0].detach(), after[:1].detach(), atol=1e-5)
    inputs[1, 2:] = torch.nan
    assert_allclose(model(inputs, lengths)[0].detach(), after.detach(), atol=1e-5)
    with pytest.raises(ParameterError, match="input_size"):
        EvidenceClassifier(find_cell("lstm"), 3, 3, 2, 2)
