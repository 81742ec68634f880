"""Which modules of a modular layer were active when."""

from copy import deepcopy
from dataclasses import dataclass
from inspect import signature
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from recurra.errors import ParameterError
from recurra.layers import RIM

__all__ = ["ModuleActivity", "module_activity"]


@dataclass(frozen=True)
class ModuleActivity:
    """Of one layer, while one sequence was read.

    Attributes:
        name: of the layer in its module; "" for the module itself.
        active: bool (T, N), at the true steps of the sequence.
    """

    name: str
    active: np.ndarray

    @property
    def fractions(self) -> np.ndarray:
        """Fraction of the steps at which each module was active, (N,)."""
        return self.active.mean(0)


def module_activity(module: nn.Module, *args: Any, sequence: int = 0, **kwargs: Any) -> tuple[ModuleActivity, ...]:
    """The activity of each layer of recurrent independent mechanisms.

    Args:
        module: a `recurra.RIM`, or a module that holds some; it is copied, and not touched.
        *args: what to call it with.
        sequence: which of the batch.
        **kwargs: what else to call it with.

    Returns:
        One for each layer that ran, in the order of their first runs. The steps of several calls follow each other.

    Raises:
        ParameterError: if the module has no such layer, or none ran; for a sequence that the batch does not have.
    """
    copy = deepcopy(module).eval()
    layers = {name: layer for name, layer in copy.named_modules() if isinstance(layer, RIM)}
    if not layers:
        raise ParameterError("module", "a module with a recurra.RIM", type(module))
    calls: dict[str, list[Tensor]] = {}

    def watch(name: str, layer: RIM) -> None:
        def before(_: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
            active = layer.activity(*arguments, **keywords)
            active = active if layer.batch_first else active.transpose(0, 1)
            if not 0 <= sequence < len(active):
                expected = f"from 0 to {len(active) - 1}, of the {len(active)} sequences"
                raise ParameterError("sequence", expected, sequence)
            lengths = signature(layer.forward).bind(*arguments, **keywords).arguments.get("lengths")
            steps = active.shape[1] if lengths is None else int(torch.as_tensor(lengths)[sequence])
            calls.setdefault(name, []).append(active[sequence, :steps])

        layer.register_forward_pre_hook(before, with_kwargs=True)

    for name, layer in layers.items():
        watch(name, layer)
    with torch.no_grad():
        copy(*args, **kwargs)
    if not calls:
        raise ParameterError("module", f"to run its layers {', '.join(layers)}", "a run of none")
    return tuple(ModuleActivity(name, torch.cat(read).cpu().numpy()) for name, read in calls.items())
