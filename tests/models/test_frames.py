import math
from itertools import product

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import Tensor

from recurra.cells import LSTM
from recurra.errors import ParameterError
from recurra.models.frames import NADE, FrameModel, IndependentNotes

NOTES = 4
EVERY = torch.tensor(list(product((0.0, 1.0), repeat=NOTES)), dtype=torch.float64)


def nade(seed: int = 0) -> tuple[NADE, Tensor]:
    """A small estimator in double precision, and the features of one frame."""
    torch.manual_seed(seed)
    made = NADE(3, NOTES, 5).double()
    torch.nn.init.normal_(made.visible.weight)
    return made, torch.randn(3, dtype=torch.float64)


def literal(made: NADE, features: Tensor, frame: list[float]) -> float:
    """log p of a frame, by the equations of the paper alone, note by note from the highest."""
    summed = (made.hidden.weight @ features + made.hidden.bias).tolist()
    biases = (made.visible.weight @ features + made.visible.bias).tolist()
    total = 0.0
    for note in reversed(range(NOTES)):
        units = [1 / (1 + math.exp(-one)) for one in summed]
        logit = biases[note] + sum(v * h for v, h in zip(made.readout[note].tolist(), units, strict=True))
        probability = 1 / (1 + math.exp(-logit))
        total += math.log(probability if frame[note] else 1 - probability)
        if frame[note]:
            summed = [one + w for one, w in zip(summed, made.above.weight[note].tolist(), strict=True)]
    return total


def test_the_likelihood_is_that_of_the_equations_for_every_frame() -> None:
    made, features = nade()
    found = made.log_probability(features.expand(len(EVERY), -1), EVERY).detach()
    assert_allclose(found.tolist(), [literal(made, features, frame) for frame in EVERY.tolist()], rtol=1e-10)
    assert float(found.exp().sum()) == pytest.approx(1)
    # Frames with no note, alone and in a batch of any shape.
    assert float(made.log_probability(features, EVERY[0]).detach()) == pytest.approx(float(found[0]))
    shaped = made.log_probability(features.expand(2, 8, -1), EVERY.reshape(2, 8, NOTES))
    assert_allclose(shaped.flatten().tolist(), found.tolist())
    assert made.log_probability(features[None][:0], EVERY[:0]).shape == (0,)


def test_gradients() -> None:
    made, features = nade(1)
    rows = features.expand(len(EVERY), -1).clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: made.log_probability(x, EVERY), (rows,))
    names, parameters = zip(*made.named_parameters(), strict=True)

    def of(*values: Tensor) -> Tensor:
        return torch.func.functional_call(made, dict(zip(names, values, strict=True)), (features.expand(16, -1), EVERY))

    made.forward = made.log_probability  # type: ignore[method-assign]
    assert torch.autograd.gradcheck(of, parameters)
    made.log_probability(rows, EVERY).sum().backward()
    assert made.above.weight.grad is not None
    assert not made.above.weight.grad[-1].any()  # the row that pads


@pytest.mark.parametrize("kind", [NADE, IndependentNotes])
def test_samples_have_the_frequencies_of_the_density(kind: type) -> None:
    torch.manual_seed(2)
    made = (NADE(3, NOTES, 5) if kind is NADE else IndependentNotes(3, NOTES)).double()
    features, count = torch.randn(3, dtype=torch.float64), 20_000
    rows = features.expand(count, -1)
    uniform = torch.rand(count, NOTES, dtype=torch.float64)
    free, none = torch.full((count, NOTES), -1.0, dtype=torch.float64), torch.zeros(NOTES, dtype=torch.float64)
    frames, nothing = made.sample(rows, uniform, free, none, 1.0)
    index = (frames @ (2.0 ** torch.arange(NOTES - 1, -1, -1, dtype=torch.float64))).long()
    expected = made.log_probability(features.expand(len(EVERY), -1), EVERY).exp().detach().numpy()
    found = np.bincount(index.numpy(), minlength=len(EVERY)) / count
    # Four standard deviations of a binomial frequency.
    assert np.all(np.abs(found - expected) < 4 * np.sqrt(expected * (1 - expected) / count) + 1e-9)
    assert not nothing.any()
    # Notes that are set stay, and all of them together have the likelihood of the frame.
    chosen = EVERY.clone()
    set_frames, likelihood = made.sample(features.expand(16, -1), uniform[:16], chosen, none, 0.5)
    assert torch.equal(set_frames, EVERY)
    assert_allclose(likelihood.detach(), made.log_probability(features.expand(16, -1), EVERY).detach())
    silent = none.clone()
    silent[1] = -math.inf
    assert not made.sample(rows, uniform, free, silent, 1.0)[0][:, 1].any()
    certain = made.sample(rows, uniform, free, none, 0.0)[0]
    assert torch.equal(certain, certain[:1].expand(count, -1))


def test_the_loss_is_the_mean_over_frames_of_the_sum_over_notes() -> None:
    torch.manual_seed(0)
    model = FrameModel(LSTM(), 3, 4)
    model.distribution.start_from(torch.tensor([0.25, 0.5, 0.5]))
    torch.nn.init.zeros_(model.distribution.visible.weight)
    target = torch.tensor([[[1.0, 0, 0], [0, 0, 0], [float("nan")] * 3]])
    features, _ = model(torch.zeros(1, 3, 3))
    # By hand: a frame with the first note costs -log(1/4), one without it -log(3/4); the other two cost log 2 each.
    expected = (-math.log(0.25) - math.log(0.75)) / 2 + 2 * math.log(2)
    assert float(model.loss(features, target).detach()) == pytest.approx(expected)
    assert isinstance(FrameModel(LSTM(), 3, 4, nade_size=2).distribution, NADE)
    with pytest.raises(ParameterError, match="input_dropout"):
        FrameModel(LSTM(), 3, 4, input_dropout=2)
