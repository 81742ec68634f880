"""Blocks of zeros are left out of the C of a model, which computes the same."""

from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from c_models import needs_compiler, needs_extension

import recurra
from recurra.export.c import export_c
from recurra.export.c.arrays import stored_blocks
from recurra.training import BlockPruning, TrainingSettings

pytestmark = [needs_extension]


@needs_compiler
@pytest.mark.parametrize(("weights", "weights_in"), [("float32", "source"), ("int8", "binary")])
def test_a_pruned_layer(
    tmp_path: Path, weights: Literal["float32", "int8"], weights_in: Literal["source", "binary"]
) -> None:
    torch.manual_seed(2)
    layer = recurra.GRU(37, 50)
    dense = export_c(layer, tmp_path / "dense", "model", weights, weights_in=weights_in, steps=50)
    settings = TrainingSettings(max_steps=1, sparsity=0.8, pruning_begin=0.0, pruning_end=1.0)
    BlockPruning(layer, settings).prune(1)
    # The check compares each step with the layer's own.
    sparse = export_c(layer, tmp_path / "sparse", "model", weights, weights_in=weights_in, steps=200)
    assert sparse.check.largest < (1e-5 if weights == "float32" else 0.1)
    assert sparse.weight_bytes < 0.65 * dense.weight_bytes


def test_what_is_stored() -> None:
    weight = np.zeros((20, 50), np.float32)
    assert stored_blocks(np.ones((20, 50), np.float32)) is None
    weight[3, [0, 17, 49]] = 1.0
    weight[17, 33] = 2.0
    stored = stored_blocks(weight)
    assert stored is not None
    runs, values = stored
    # Two neighbours and the last columns of the first rows, and one block of the four rows below.
    assert runs.tolist() == [2, 0, 32, 48, 2, 1, 32, 16]
    assert len(values) == 16 * 34 + 4 * 16
    assert np.flatnonzero(values).tolist() == [3, 17 * 16 + 3, 33 * 16 + 3, 34 * 16 + 4 + 1]
    nothing = stored_blocks(np.zeros((5, 3), np.float32))
    assert nothing is not None
    assert (nothing[0].tolist(), nothing[1].tolist()) == ([0], [])
