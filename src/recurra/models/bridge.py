"""From the final state of an encoder to the first state of a decoder."""

from typing import Any

import torch
from torch import Tensor, nn

from recurra.errors import ParameterError
from recurra.layers import Recurrent

__all__ = ["Bridge"]

_KINDS = ("dense", "copy", "zeros")


class Bridge(nn.Module):
    """Brings an encoder's final state to the layers, directions and sizes of a decoder's first state.

    Both directions of an encoder's layer are concatenated. Layer k of the decoder starts from layer k of the encoder,
    or from the top one where the encoder has fewer.

    "dense": a linear map for each layer and part of the state; of the output h through tanh, as Bahdanau et al. (2015,
    appendix A.2.2) do, of the memory cell c, which is not bounded, without. Other parts (normalisers, say), whose
    values are not free, start as they start in any sequence. "copy": the state as it is. "zeros": nothing.

    Args:
        encoder: of any direction.
        decoder: in one direction.
        kind: "dense", "copy" or "zeros".

    Attributes:
        directions: of the encoder.
        encoder_parts: the names of its state's parts.
        layers: for each layer of the decoder the layer of the encoder that it starts from.
        wanted: the features of each part of the decoder's state.

    Raises:
        ParameterError: for an unknown kind, a bidirectional decoder, or a "copy" between states that differ in size
            or parts.
    """

    def __init__(self, encoder: Recurrent, decoder: Recurrent, kind: str = "dense") -> None:
        super().__init__()
        if kind not in _KINDS:
            raise ParameterError("kind", f"one of {', '.join(_KINDS)}", kind)
        if decoder.bidirectional:
            raise ParameterError("decoder", "a Recurrent in one direction", "a bidirectional one")
        self.kind = kind
        self.directions = 2 if encoder.bidirectional else 1
        self.encoder_parts = encoder.cell.state
        self.layers = [min(layer, encoder.num_layers - 1) for layer in range(decoder.num_layers)]
        sizes, wanted = _sizes(encoder), _sizes(decoder)
        self.wanted = wanted
        if kind == "copy" and {name: self.directions * size for name, size in sizes.items()} != wanted:
            got = f"a state {sizes} in {self.directions} direction{'s' * (self.directions - 1)}"
            raise ParameterError("encoder", f"one whose state is the decoder's, {wanted}", got, "Use kind='dense'.")
        self.maps = nn.ModuleDict()
        if kind == "dense":
            first = next(iter(sizes))
            for part in (next(iter(wanted)), "c"):
                if part in wanted:
                    size = self.directions * sizes.get(part, sizes[first])
                    self.maps[part] = nn.ModuleList(nn.Linear(size, wanted[part]) for _ in self.layers)

    def forward(self, state: Any) -> Any:
        """The decoder's first state (L, B, H), a tuple of these where its cell's state has several parts.

        Args:
            state: the encoder's final state, by part (D * L, B, H).
        """
        parts = dict(zip(self.encoder_parts, state if isinstance(state, tuple) else (state,), strict=True))
        first = next(iter(parts.values()))
        initial = [
            self._part(name, parts.get(name, first), bounded=index == 0) for index, name in enumerate(self.wanted)
        ]
        return tuple(initial) if len(initial) > 1 else initial[0]

    def _part(self, name: str, final: Tensor, bounded: bool) -> Tensor:
        """A part of the decoder's state (L, B, H) from the encoder's (D * L, B, H)."""
        batch = final.shape[1]
        if self.kind == "zeros" or (self.kind == "dense" and name not in self.maps):
            return final.new_zeros(len(self.layers), batch, self.wanted[name])
        joined = final.unflatten(0, (-1, self.directions)).movedim(1, 2).flatten(2)  # (L, B, D * H)
        joined = joined[torch.tensor(self.layers, device=final.device)]
        if self.kind == "copy":
            return joined
        maps: Any = self.maps[name]
        mapped = torch.stack([one(layer) for one, layer in zip(maps, joined, strict=True)])
        return mapped.tanh() if bounded else mapped


def _sizes(recurrent: Recurrent) -> dict[str, int]:
    """The features of each part of the state."""
    return dict(zip(recurrent.cell.state, recurrent.state_sizes, strict=True))
