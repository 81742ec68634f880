"""Ridge regression in closed form, from sums added up piece by piece: how the readout of a reservoir is fitted."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from recurra.errors import DataError, ParameterError, ShapeError

__all__ = ["PENALTIES", "RidgeReadout", "RidgeSums", "solve_ridge"]

#: Of the mean variance of a feature, times the number of rows: what is tried by default.
PENALTIES = tuple(10.0**power for power in range(-12, 4))


class RidgeSums:
    """The sums X^T X, X^T Y, Y^T Y and those of X and Y themselves, in float64, of rows that are added piece by piece.

    Their memory is that of F^2 + F K numbers, however many rows there are (Lukosevicius 2012, section 4.2).

    Args:
        features: F, columns of X.
        targets: K, columns of Y.
        device: of the sums.

    Attributes:
        count: N, rows so far.
        gram: X^T X (F, F).
        cross: X^T Y (F, K).
        squares: of each target, (K,).
        feature_sum: of each feature, (F,).
        target_sum: of each target, (K,).
    """

    def __init__(self, features: int, targets: int, device: torch.device | None = None) -> None:
        def zeros(*shape: int) -> Tensor:
            return torch.zeros(*shape, dtype=torch.float64, device=device)

        self.count = 0
        self.gram, self.cross = zeros(features, features), zeros(features, targets)
        self.feature_sum, self.target_sum, self.squares = zeros(features), zeros(targets), zeros(targets)

    @torch.no_grad()
    def add(self, features: Tensor, targets: Tensor) -> None:
        """Add rows.

        Args:
            features: (N, F).
            targets: (N, K). A row with NaN in it is left out.

        Raises:
            ShapeError: if the shapes do not fit each other or the sums.
            DataError: if a feature is not finite.
        """
        rows = len(features)
        for name, part, size in (("features", features, len(self.gram)), ("targets", targets, len(self.squares))):
            if tuple(part.shape) != (rows, size):
                raise ShapeError(name, f"shape (N = {rows}, {size})", tuple(part.shape))
        seen = ~targets.isnan().any(1)
        x, y = features[seen].to(self.gram), targets[seen].to(self.gram)
        if not bool(x.isfinite().all() & y.isfinite().all()):
            raise DataError("ridge regression: a feature or a target is infinite or, of features, missing (NaN)")
        self.count += len(x)
        self.gram += x.T @ x
        self.cross += x.T @ y
        self.feature_sum += x.sum(0)
        self.target_sum += y.sum(0)
        self.squares += (y * y).sum(0)

    def errors(self, weight: Tensor, bias: Tensor) -> Tensor:
        """The mean squared error (K,) of X weight^T + bias over all rows, from the sums alone.

        Args:
            weight: (K, F) float64.
            bias: (K,) float64.
        """
        count = max(1, self.count)
        means, level = self.feature_sum / count, self.target_sum / count
        # Around the means: what would cancel is smaller.
        gram = self.gram - count * torch.outer(means, means)
        cross = self.cross - count * torch.outer(means, level)
        squares = self.squares - count * level**2
        shift = bias + weight @ means - level
        total = squares - 2 * (weight.T * cross).sum(0) + ((weight @ gram) * weight).sum(1)
        return (total / count).clamp(min=0) + shift**2


@dataclass(frozen=True)
class RidgeReadout:
    """A solution of ridge regression.

    Attributes:
        weight: (K, F) float64.
        bias: (K,) float64, which has no penalty.
        penalty: the one chosen, of those tried.
        errors: the mean squared error of each target (K,): on validation data, or without them as generalised
            cross-validation estimates it.
        factor: (F, F); the square of a row that is centred and multiplied by it is the row's leverage, less 1 / N.
        means: of the features (F,).
        count: N.
    """

    weight: Tensor
    bias: Tensor
    penalty: float
    errors: Tensor
    factor: Tensor
    means: Tensor
    count: int

    @torch.no_grad()
    def copy_to(self, linear: nn.Linear) -> None:
        """Make a layer of the same size compute the solution, rounded to the layer's dtype.

        The penalty was chosen in float64: the weights of a tiny one may be large, and a layer in float32 errs more.
        """
        linear.weight.copy_(self.weight)
        linear.bias.copy_(self.bias)

    def predict(self, features: Tensor) -> Tensor:
        """The predictions (N, K) float64 for features (N, F)."""
        return features.to(self.weight) @ self.weight.T + self.bias

    def left_out(self, features: Tensor, targets: Tensor) -> Tensor:
        """What is predicted for each of the rows it was fitted to, had that row been left out; (N, K) float64.

        It follows from the row's leverage. The penalty stays as it was.

        Args:
            features: (N, F), rows that were added to the sums.
            targets: (N, K), theirs.
        """
        x, y = features.to(self.weight), targets.to(self.weight)
        leverage = ((x - self.means) @ self.factor).square().sum(1) + 1 / self.count
        predicted = self.predict(x)
        return y - (y - predicted) / (1 - leverage).clamp(min=1e-9).unsqueeze(1)


def solve_ridge(
    training: RidgeSums, validation: RidgeSums | None = None, penalties: Sequence[float] = PENALTIES
) -> RidgeReadout:
    """The readout of the penalty with the least error, all penalties tried after one decomposition.

    What is minimised is the squared error of X W^T + b plus p N v times the squared weights, with p the penalty and v
    the mean variance of a feature: p means the same for any number of rows and any units.

    Args:
        training: sums of the rows to fit.
        validation: sums of other rows, on which the mean squared error of all targets together chooses the penalty.
            None, or no rows: generalised cross-validation does (Golub, Heath and Wahba 1979), of the training rows.
        penalties: to try, above 0.

    Raises:
        DataError: there are no training rows.
        ParameterError: there are no penalties, or one is not above 0.
    """
    if not penalties or min(penalties) <= 0:
        raise ParameterError("penalties", "one or more numbers above 0", tuple(penalties))
    if not training.count:
        raise DataError("ridge regression: there are no rows to fit; every one has a missing target")
    count = training.count
    means, level = training.feature_sum / count, training.target_sum / count
    gram = training.gram - count * torch.outer(means, means)
    cross = training.cross - count * torch.outer(means, level)
    values, vectors = torch.linalg.eigh((gram + gram.T) / 2)
    values = values.clamp(min=0)
    unit = float(values.mean()) or 1.0
    along = vectors.T @ cross
    tried = []
    for penalty in penalties:
        shrunk = values + penalty * unit
        weight = (vectors @ (along / shrunk.unsqueeze(1))).T
        bias = level - weight @ means
        if validation is not None and validation.count:
            errors = validation.errors(weight, bias)
        else:
            free = 1 - (1 + float((values / shrunk).sum())) / count  # the fraction of degrees of freedom left
            errors = training.errors(weight, bias) / free**2 if free > 1e-6 else torch.full_like(level, torch.inf)
        tried.append((float(errors.mean()), penalty, weight, bias, errors, vectors / shrunk.sqrt()))
    _, penalty, weight, bias, errors, factor = min(tried, key=lambda one: one[0])
    return RidgeReadout(weight, bias, penalty, errors, factor, means, count)
