"""What was recorded of a layer in one direction."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from recurra.cells import Cell
from recurra.kernels import Masks, Weights
from recurra.kernels.projections import input_projection

__all__ = ["Segment", "Track"]


@dataclass(frozen=True, eq=False)
class Segment:
    """One layer in one direction over one sequence. All lists are in the order of time, for the reverse direction too.

    The tensors are nodes of autograd's graph, and each is used only once: the gradient with respect to
    `carried[t]` is what flows back into the state of step t from the next step of the recurrence, that with respect to
    `outputs[t]` what flows back from whatever reads the output, and their sum is dL/ds_t.

    Attributes:
        module: the qualified name of the module; empty if it was inspected itself.
        layer: its index in the stack, from 0.
        reverse: whether it runs from the last step to the first.
        cell: the equations.
        weights: of the layer in this direction.
        masks: of zoneout, or None.
        initial: the state before the first step, by part; the first (B, R), the others (B, H).
        inputs: by step, (B, I).
        outputs: by step, (B, R), zero at padding.
        carried: by step, the state that the next step reads, by part.
        valid: (T, B) bool, false at padding.
        index: in the order in which all of a recording ran.
    """

    module: str
    layer: int
    reverse: bool
    cell: Cell
    weights: Weights
    masks: Masks | None
    initial: tuple[Tensor, ...]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    carried: tuple[tuple[Tensor, ...], ...]
    valid: Tensor
    index: int

    @property
    def steps(self) -> int:
        """T."""
        return len(self.inputs)

    @property
    def final(self) -> tuple[Tensor, ...]:
        """The state after the last step in the layer's own direction, by part."""
        return self.carried[0 if self.reverse else -1]

    def after(self) -> tuple[Tensor, ...]:
        """The state after each step by part, (T, B, R) or (T, B, H), outside the graph."""
        return tuple(torch.stack(part).detach() for part in zip(*self.carried, strict=True))

    def before(self) -> tuple[Tensor, ...]:
        """The state that each step started from by part, as `after`."""
        shifted = [*self.carried[1:], self.initial] if self.reverse else [self.initial, *self.carried[:-1]]
        return tuple(torch.stack(part).detach() for part in zip(*shifted, strict=True))

    def projected(self) -> Tensor:
        """The input projection of each step, (T, B, G * H), outside the graph."""
        with torch.no_grad():
            return input_projection(self.cell, torch.stack(self.inputs), self.weights)

    def continued_by(self, other: "Segment") -> bool:
        """Whether the other ran later, forward in time, from the state this one ended with."""
        if self.reverse or other.reverse or self.layer != other.layer or other.index <= self.index:
            return False
        if self.cell.state != other.cell.state or not any(bool(part.any()) for part in self.final):
            return False
        return all(
            a.shape == b.shape and torch.equal(a, b.to(a.dtype)) for a, b in zip(self.final, other.initial, strict=True)
        )

    def joined(self, other: "Segment") -> "Segment":
        """Both as one, the other being later steps of the same module."""
        return replace(
            self,
            inputs=self.inputs + other.inputs,
            outputs=self.outputs + other.outputs,
            carried=self.carried + other.carried,
            valid=torch.cat([self.valid, other.valid]),
            index=other.index,
        )


@dataclass(frozen=True, eq=False)
class Track:
    """A state's way through time: one segment, or several of which each starts from the final state of the one before.

    So an encoder's layer and the decoder's layer that takes over its state are one track.

    Attributes:
        name: what to call it.
        segments: in the order of time.
    """

    name: str
    segments: tuple[Segment, ...]

    @property
    def layer(self) -> int:
        """Its index in the stack, from 0."""
        return self.segments[0].layer

    @property
    def reverse(self) -> bool:
        """Whether it runs from the last step to the first."""
        return self.segments[0].reverse

    @property
    def steps(self) -> int:
        """T, of all segments."""
        return sum(segment.steps for segment in self.segments)

    @property
    def starts(self) -> tuple[int, ...]:
        """The step at which each segment begins."""
        return tuple(sum(s.steps for s in self.segments[:k]) for k in range(len(self.segments)))

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of the parts of the state, the output first."""
        return self.segments[0].cell.state

    @property
    def valid(self) -> Tensor:
        """(T, B) bool, false at padding."""
        return torch.cat([segment.valid for segment in self.segments])

    @property
    def outputs(self) -> list[Tensor]:
        """By step, (B, R)."""
        return [output for segment in self.segments for output in segment.outputs]

    @property
    def carried(self) -> list[tuple[Tensor, ...]]:
        """By step, the state that the next step reads, by part."""
        return [state for segment in self.segments for state in segment.carried]
