"""The spectral radius of recurrent weights."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from recurra.inspection.jacobians import in_double
from recurra.inspection.record import Recording
from recurra.inspection.segment import Segment

__all__ = ["RecurrentSpectrum", "recurrent_spectra"]


@dataclass(frozen=True)
class RecurrentSpectrum:
    """The recurrent weights of one gate.

    Attributes:
        name: of the layer.
        gate: whose weights.
        eigenvalues: (H,) complex, of the matrix that the gate multiplies the last output by.
        norm: its spectral norm, the largest singular value.
    """

    name: str
    gate: str
    eigenvalues: np.ndarray
    norm: float

    @property
    def radius(self) -> float:
        """The spectral radius, the largest modulus of an eigenvalue."""
        return float(np.abs(self.eigenvalues).max())


def recurrent_spectra(recording: Recording) -> tuple[RecurrentSpectrum, ...]:
    """Eigenvalues of the recurrent weights, gate by gate, of each layer that ran; a cell without them has none.

    Where the output is projected, by W_hr, the matrix is W_hh W_hr. Scales of layer normalisation are left out, and so
    is what the gates make of the products: an LSTM with large weights may forget, and one with small ones remember.
    """
    spectra = []
    seen: set[tuple[str, int, bool]] = set()
    for segment in recording.segments:
        which = (segment.module, segment.layer, segment.reverse)
        if which in seen or segment.weights.weight_hh is None:
            continue
        seen.add(which)
        name = recording.name(segment)
        for gate, matrix in _matrices(segment).items():
            eigenvalues = torch.linalg.eigvals(matrix).flatten().cpu().numpy()
            norm = float(torch.linalg.matrix_norm(matrix, ord=2).max())
            spectra.append(RecurrentSpectrum(name, gate, eigenvalues, norm))
    return tuple(spectra)


def _matrices(segment: Segment) -> dict[str, Tensor]:
    """By gate, the blocks (N, K, K) that the recurrent weights are made of."""
    cell, weights = segment.cell, in_double(segment.weights)
    assert weights.weight_hh is not None
    blocks = {}
    sizes = cell.sizes(cell.gates, cell.units(cell.gates, len(weights.weight_hh)))
    for gate, rows in zip(cell.gates, weights.weight_hh.split(sizes), strict=True):
        if gate in cell.widths():
            continue  # not a square matrix
        if cell.recurrence == "diagonal":
            blocks[gate] = rows.reshape(-1, 1, 1)
        elif cell.recurrence == "block_diagonal":
            blocks[gate] = rows.reshape(cell.heads, -1, rows.shape[1])
        else:
            square = rows if weights.weight_hr is None else rows @ weights.weight_hr
            blocks[gate] = square.unsqueeze(0)
    return blocks
