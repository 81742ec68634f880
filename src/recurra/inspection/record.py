"""Run a module once on the reference, and record every state of every recurrent layer in it."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from recurra.cells import Cell
from recurra.errors import ParameterError
from recurra.inspection.segment import Segment, Track
from recurra.kernels import Masks, Weights, intercepted, reference
from recurra.kernels.projections import input_projection
from recurra.layers import Recurrent, RecurrentCell, accelerate
from recurra.layers.accelerate import ModuleReport

__all__ = ["Recording", "record"]


@dataclass(frozen=True, eq=False)
class Recording:
    """A module's run over some sequences.

    Attributes:
        output: what the module returned, in the graph.
        tracks: the states of its recurrent layers through time, in the order they ran.
        left_out: recurrent modules that could not be recorded, with the reason.
    """

    output: Any
    tracks: tuple[Track, ...]
    left_out: tuple[ModuleReport, ...] = ()

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The segments of all tracks, in the order they ran."""
        segments = [segment for track in self.tracks for segment in track.segments]
        return tuple(sorted(segments, key=lambda segment: segment.index))

    def name(self, segment: Segment) -> str:
        """What to call a segment."""
        return _name([segment], self.segments)


def record(module: nn.Module, *args: Any, layers: Sequence[str] | None = None, **kwargs: Any) -> Recording:
    """Run a copy of a module, in evaluation mode, with every step of its recurrent layers in autograd's graph.

    The layers are `recurra.Recurrent` (LSTM, GRU, RNN), `recurra.RecurrentCell`, and torch.nn.LSTM, GRU and RNN, which
    become Recurra's in the copy as by `recurra.accelerate`. The module itself is not touched. All run step by step on
    the reference: this is for looking, and takes about ten times as long as a forward pass.

    Args:
        module: with recurrent layers somewhere inside; they may be called once a sequence or once a step.
        *args: what to call it with.
        layers: the qualified names of those to see into, or of modules whose layers these are, such as a
            `recurra.Stack`; None: all. Leave out, say, one that reads the
            characters of words, and whose steps are not those of the sentence.
        **kwargs: what else to call it with.

    Raises:
        ParameterError: if it has no such layers, none of these names, or none of them ran.
    """
    if not isinstance(module, nn.Module):
        raise ParameterError("module", "a torch.nn.Module", module)
    # What torch.compile made holds the module it was made from; the compiled code cannot be watched.
    copy = deepcopy(getattr(module, "_orig_mod", module)).eval()
    report = accelerate(copy, backend="reference")
    recurrent = {name: m for name, m in copy.named_modules() if isinstance(m, Recurrent | RecurrentCell)}
    left_out = tuple(other for other in report.modules if not other.after and other.name not in recurrent)
    if not recurrent:
        reasons = "".join(
            f" {m.name or 'The module itself'} ({m.before}) cannot be recorded: {m.reason}." for m in left_out
        )
        raise ParameterError(
            "module",
            "a module with recurrent layers: recurra.Recurrent, or torch.nn.LSTM, GRU or RNN as they are",
            type(module),
            f"Write a recurrence of your own as a recurra.cells.Cell and run it in recurra.Recurrent.{reasons}",
        )
    within = {name: [one for one in recurrent if one == name or one.startswith(f"{name}.")] for name in layers or ()}
    if unknown := [name for name, ones in within.items() if not ones]:
        raise ParameterError("layers", f"names of recurrent layers, of {', '.join(recurrent)}", ", ".join(unknown))
    names = list(recurrent) if layers is None else [one for ones in within.values() for one in ones]
    recorder = _Recorder(everything=layers is None)
    for name in names:
        recorder.watch(name, recurrent[name])
    with torch.enable_grad(), intercepted(recorder.run):
        output = copy(*args, **kwargs)
    if not recorder.segments:
        hint = "Compiled layers (torch.compile) cannot be watched: give the module before it was compiled."
        raise ParameterError("module", f"to run its recurrent layers {', '.join(names)}", "a run of none", hint)
    return Recording(output, _tracks(recorder.segments), left_out)


class _Recorder:
    """Stands in for the kernels while a module runs.

    Args:
        everything: whether what runs outside the layers watched is recorded too.
    """

    def __init__(self, everything: bool = True) -> None:
        self._everything = everything
        self.segments: list[Segment] = []
        # Module, runs in a pass over its stack, directions, runs so far.
        self._running: list[tuple[str, int, int, int]] = []

    def watch(self, name: str, module: Recurrent | RecurrentCell) -> None:
        """Know by name when this module is running."""
        directions = 2 if getattr(module, "bidirectional", False) else 1
        runs = directions * getattr(module, "num_layers", 1)

        def enter(*_: Any) -> None:
            self._running.append((name, runs, directions, 0))

        def leave(*_: Any) -> None:
            self._running.pop()

        module.register_forward_pre_hook(enter)
        module.register_forward_hook(leave, always_call=True)

    def run(
        self,
        cell: Cell,
        inputs: Tensor,
        state: tuple[Tensor, ...],
        weights: Weights,
        lengths: Tensor | None = None,
        reverse: bool = False,
        masks: Masks | None = None,
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """As `recurra.kernels.reference.run`."""
        steps, batch = inputs.shape[:2]
        if not steps or not (self._running or self._everything):
            return reference.run(cell, inputs, state, weights, lengths, reverse, masks)
        fed = _watched(inputs).unbind(0)
        valid = torch.ones(steps, batch, dtype=torch.bool)
        if lengths is not None:
            valid = torch.arange(steps).unsqueeze(1) < lengths
        valid = valid.to(inputs.device)
        initial = state = tuple(map(_watched, state))
        outputs: list[Tensor] = [inputs] * steps
        carried: list[tuple[Tensor, ...]] = [()] * steps
        for t in reversed(range(steps)) if reverse else range(steps):
            after = reference.step(cell, input_projection(cell, fed[t], weights), state, weights, masks, t)
            here = valid[t].unsqueeze(1)
            outputs[t] = torch.where(here, after[0], 0)
            state = carried[t] = tuple(
                torch.where(here, new, old).view_as(new) for new, old in zip(after, state, strict=True)
            )
        module, layer = self._whose()
        segment = Segment(
            *(module, layer, reverse, cell, weights, masks, initial, fed, tuple(outputs), tuple(carried), valid),
            index=len(self.segments),
        )
        self.segments.append(segment)
        return torch.stack(outputs), state

    def _whose(self) -> tuple[str, int]:
        if not self._running:
            return "(outside a layer)", 0
        module, runs, directions, done = self._running[-1]
        self._running[-1] = (module, runs, directions, done + 1)
        return module, done % runs // directions


def _tracks(segments: list[Segment]) -> tuple[Track, ...]:
    """Segments that hand their state on are one track, and one segment where the module is the same."""
    chains: list[list[Segment]] = []
    for segment in segments:
        chain = next((chain for chain in chains if chain[-1].continued_by(segment)), None)
        if chain is None:
            chains.append([segment])
        elif chain[-1].module == segment.module:
            chain[-1] = chain[-1].joined(segment)
        else:
            chain.append(segment)
    joined = [segment for chain in chains for segment in chain]
    return tuple(Track(_name(chain, joined), tuple(chain)) for chain in chains)


def _name(chain: Sequence[Segment], among: Sequence[Segment]) -> str:
    """The modules' names without what all have in common, the layer where there are several, and the direction."""
    paths = [segment.module.split(".") for segment in among]
    shared = 0
    while all(len(path) > shared + 1 and path[shared] == paths[0][shared] for path in paths):
        shared += 1
    modules = dict.fromkeys(".".join(segment.module.split(".")[shared:]) for segment in chain)
    first = chain[0]
    words = [" to ".join(modules)]
    if any(segment.layer for segment in among) or not first.module:
        words.append(f"layer {first.layer + 1}")
    if any(segment.reverse for segment in among):
        words.append("reverse" if first.reverse else "forward")
    calls = [s for s in among if (s.module, s.layer, s.reverse) == (first.module, first.layer, first.reverse)]
    if len(calls) > 1:
        words.append(f"call {calls.index(first) + 1}")
    return " ".join(filter(None, words))


def _watched(tensor: Tensor) -> Tensor:
    """A node of the graph of its own, whose gradient can be asked for."""
    return tensor.view_as(tensor) if tensor.requires_grad else tensor.detach().requires_grad_()
