"""The reservoir network: fixed states of the context, and a forecast that is linear in them, solved in closed form."""

import logging
import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from recurra.data.series.windows import Window, WindowShape
from recurra.layers import EchoState, Reservoir
from recurra.models.forecasting.category_embedding import CategoryEmbedding
from recurra.models.forecasting.features import DirectInputs, direct_inputs, direct_sizes
from recurra.models.forecasting.normalization import Normalization
from recurra.models.ridge_readout import RidgeSums, solve_ridge

__all__ = ["ReservoirNetwork", "solve_forecast"]

_log = logging.getLogger("recurra.forecast")
# A target this many seasonal changes from that of a season ago says only that it is extreme: errors are squared.
_CLIP = 20.0
_LEAST_SPREAD = 2e-3


class ReservoirNetwork(nn.Module):
    """A reservoir reads the context; the whole horizon is linear in its last state.

    The forecast of a step ahead is the value of a season before, plus a linear function of the step's other candidates
    and of what is known of it, the same for all steps (`baseline`), plus one of the reservoir's last state and input,
    of its own for each step (`readout`). The spread of the errors of each step is a constant (`spread`).

    Args:
        echo_state: of the reservoir.
        shape: of the windows.
        example: any batch of windows, for the sizes of the inputs.
        cardinalities: categories by static category column; their vectors are random.
        hidden_size: H.
    """

    spread: Tensor

    def __init__(
        self, echo_state: EchoState, shape: WindowShape, example: Window, cardinalities: list[int], hidden_size: int
    ) -> None:
        super().__init__()
        self._shape = shape
        encoder_size, decoder_size, candidates = direct_sizes(direct_inputs(example, shape))
        self.embedding = CategoryEmbedding(cardinalities).requires_grad_(False)
        extra = self.embedding.size
        self.recurrent = Reservoir(echo_state, encoder_size + extra, hidden_size, batch_first=True)
        self.baseline = nn.Linear(candidates + decoder_size + extra, 1)
        self.readout = nn.Linear(hidden_size + encoder_size + extra, shape.horizon)
        self.register_buffer("spread", torch.zeros(shape.horizon))

    def forward(self, window: Window) -> tuple[tuple[Tensor, Normalization], None]:
        """Location and raw scale of each step of the horizon (B, T, 2), as `NormalHead` reads them; and the units."""
        inputs = self.inputs(window)
        centre = inputs.candidates[..., 0] + self.baseline(self.of_steps(inputs)).squeeze(2)
        centre = centre + self.readout(self.of_context(inputs))
        return (torch.stack([centre, self.spread.to(centre).expand_as(centre)], dim=2), inputs.units), None

    def inputs(self, window: Window) -> DirectInputs:
        """What is read of windows."""
        return direct_inputs(window, self._shape).to(self.baseline.weight.dtype)

    def of_steps(self, inputs: DirectInputs) -> Tensor:
        """What `baseline` reads of each step ahead (B, T, F): the candidates beside the first, and what is known."""
        beside = inputs.candidates - inputs.candidates[..., :1]
        beside = beside.masked_fill(~inputs.available, 0.0)
        return self.embedding.append(torch.cat([beside, inputs.decoder], dim=2), inputs.categories)

    def of_context(self, inputs: DirectInputs) -> Tensor:
        """What `readout` reads (B, F): the reservoir's last state, and its last input."""
        encoder = self.embedding.append(inputs.encoder, inputs.categories)
        hidden, _ = self.recurrent(encoder)
        return torch.cat([hidden[:, -1], encoder[:, -1]], dim=1)


@torch.no_grad()
def solve_forecast(
    network: ReservoirNetwork, training: Callable[[], Iterable[Window]], validation: Callable[[], Iterable[Window]]
) -> None:
    """Fit the baseline, then the readout to what it leaves, and set the spread; a ridge regression each.

    A window with a missing value in its horizon is not read by the readout, whose steps share one decomposition. The
    spread is that of generalised cross-validation.

    Args:
        network: changed in place.
        training: batches of windows to fit, anew at each call.
        validation: batches of windows by which penalties are chosen; if there are none, generalised cross-validation
            chooses.

    Raises:
        DataError: a feature is not finite, or no target was observed.
    """
    device, horizon = network.baseline.weight.device, network.spread.numel()

    def sums_of(windows: Iterable[Window], of_steps: bool) -> RidgeSums:
        layer = network.baseline if of_steps else network.readout
        sums = RidgeSums(layer.in_features, layer.out_features, device)
        for window in windows:
            inputs = network.inputs(window)
            # A window of zeros has no unit to measure errors in.
            target = inputs.units.apply(window.target).masked_fill(inputs.units.level == 0, torch.nan)
            target = (target - inputs.candidates[..., 0]).clamp(-_CLIP, _CLIP)
            features = network.of_steps(inputs)
            if of_steps:
                sums.add(features.flatten(0, 1), target.reshape(-1, 1))
            else:
                sums.add(network.of_context(inputs), target - network.baseline(features).squeeze(2).double())
        return sums

    solve_ridge(sums_of(training(), True), sums_of(validation(), True)).copy_to(network.baseline)
    sums = sums_of(training(), False)
    if not sums.count:
        _log.warning("every window has a missing value in its horizon: the forecast does not read the reservoir")
        for parameter in network.readout.parameters():
            parameter.zero_()
        network.spread.fill_(math.log(math.e - 1))
        return
    readout = solve_ridge(sums, sums_of(validation(), False))
    readout.copy_to(network.readout)
    variances = solve_ridge(sums, penalties=[readout.penalty]).errors
    finite = torch.where(variances.isfinite(), variances, sums.squares / sums.count)
    spread = finite.sqrt().clamp(min=_LEAST_SPREAD)
    # The inverse of the scale of `NormalHead`, softplus(raw) + 1e-3.
    network.spread.copy_((spread - 1e-3).expm1().log().reshape(horizon))
