"""Everything there is to see of a module's run."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor, nn

from recurra.errors import ParameterError
from recurra.inspection import texts
from recurra.inspection.attribution import (
    Attribution,
    ScalarFunction,
    gradient_times_input,
    integrated_gradients,
    mean_baselines,
)
from recurra.inspection.findings import Finding, find
from recurra.inspection.forgetting import Forgetting, forgetting
from recurra.inspection.gradients import Loss
from recurra.inspection.lag import GradientByLag, gradient_by_lag
from recurra.inspection.lyapunov import LyapunovSpectrum, lyapunov_spectrum
from recurra.inspection.memory import JacobianNorms, jacobian_norms
from recurra.inspection.reading import function_of_inputs
from recurra.inspection.record import record
from recurra.inspection.saturation import GateSaturation, gate_saturation
from recurra.inspection.spectra import RecurrentSpectrum, recurrent_spectra
from recurra.inspection.standing import Standing
from recurra.inspection.states import StateStatistics, state_statistics
from recurra.inspection.unroll import UnrolledGradients, unrolled_gradients
from recurra.progress import Progress

__all__ = ["Inspection", "Words", "inspect"]

_TOLERANCE = 0.005  # of integrated gradients
_EXPONENTS = 64
_SEQUENCES = 2  # whose Jacobians are taken
_STARTS = 4  # of their products
_SECONDS_BETWEEN_LINES = 10.0


@dataclass(frozen=True)
class Words:
    """What to call things on the page.

    Attributes:
        title: of the page.
        facts: what was inspected, by name: the data, the network.
        loss: what L is.
        output: what the output is that is attributed.
        plotted: what it is in the sequence plotted, where that says more.
        unit: of the output.
        first_step: the index of the first step on the page.
        step: what steps are counted from, for the axes.
        labels: what to call the true steps of the sequence plotted, those of several modules one after the other; if
            empty, steps have their index.
        layer_step: what steps of the recurrent layers are counted from, where they are fewer than the inputs': these
            then have their index, and the labels are the inputs' alone.
        mean: what replaces an input that is taken away.
        nearest: which k steps are left where the others are replaced.
    """

    title: str = "Inspection"
    facts: Mapping[str, str] = field(default_factory=dict)
    loss: str = "the one passed to inspect"
    output: str = "the output"
    plotted: str = ""
    unit: str = ""
    first_step: int = 0
    step: str = "step"
    labels: Sequence[str] = ()
    layer_step: str = ""
    mean: str = "the mean of the data"
    nearest: str = "the last k"


@dataclass(frozen=True)
class Inspection:
    """Results for a module on some sequences.

    Attributes:
        words: what to call things.
        unrolled: the gradient along each edge of the unrolled network, for one sequence.
        gradients: by lag.
        jacobians: of each layer.
        lyapunov: of each layer.
        spectra: of recurrent weights, by layer and gate.
        gates: saturation by layer and gate.
        states: by layer and part.
        attribution: integrated gradients of the sequence shown, B = 1; None if no output was named.
        gradient_times_input: likewise.
        forgetting: of all sequences; None if no output was named.
        findings: what to worry about, with advice.
        unseen: sentences that name what could not be inspected, with the reason.
        standing: how well the model does; None if it is not known.
    """

    words: Words
    unrolled: UnrolledGradients
    gradients: GradientByLag
    jacobians: tuple[JacobianNorms, ...]
    lyapunov: tuple[LyapunovSpectrum, ...]
    spectra: tuple[RecurrentSpectrum, ...]
    gates: tuple[GateSaturation, ...]
    states: tuple[StateStatistics, ...]
    attribution: Attribution | None
    gradient_times_input: Attribution | None
    forgetting: Forgetting | None
    findings: tuple[Finding, ...]
    unseen: tuple[str, ...]
    standing: Standing | None = None


def inspect(
    module: nn.Module,
    *args: Any,
    loss: Loss | None = None,
    steps: Sequence[int] | None = None,
    sequence: int = 0,
    output: Callable[[Any], Tensor] | None = None,
    reads: str | Sequence[str] = "",
    layers: Sequence[str] | None = None,
    follows: Sequence[str] = (),
    distances: Sequence[Tensor] | None = None,
    alone: tuple[Sequence[Any], Callable[[Any], Tensor]] | None = None,
    words: Words | None = None,
    standing: Standing | None = None,
    concerns: Sequence[Finding] = (),
    progress: bool | None = None,
    **kwargs: Any,
) -> Inspection:
    """Look into a module that holds recurrent layers.

    Args:
        module: see `record`; it is copied, and not touched.
        *args: what to call it with: some real sequences, a few dozen for the statistics.
        loss: from what the module returns to a scalar; None: half the squared norm of the last layer's final outputs.
        steps: where the loss is taken; see `state_gradients`.
        sequence: which of the batch the picture of the unrolled network and the attributions show.
        output: from what the module returns to one number a sequence (B,), to attribute to the input; None to leave
            attribution and forgetting out.
        reads: see `function_of_inputs`: the module or modules whose inputs the output is attributed to.
        layers: see `record`: the recurrent layers to see into.
        follows: see `unrolled_gradients`: modules whose steps come after those of all others.
        distances: see `forgetting`: of the inputs attributed to, how far each step is from the output, -1 at padding.
        alone: what to call the module with for the sequence shown alone, and `output` for that call. Attribution then
            takes hundreds of runs of one sequence rather than of the batch. None: they are runs of the batch.
        words: what to call things on the page.
        standing: how well the model does, for the page.
        concerns: findings to show before those of the inspection itself.
        progress: show progress; None: a bar in a terminal or a notebook, and lines elsewhere.
        **kwargs: what else to call the module with.

    Raises:
        ParameterError: the module has no recurrent layers, or an argument does not fit.
    """
    recording = record(module, *args, layers=layers, **kwargs)
    batch = recording.segments[0].valid.shape[1]
    if not 0 <= sequence < batch:
        raise ParameterError("sequence", f"from 0 to {batch - 1}, of the {batch} sequences", sequence)
    if words is None:
        words = Words(title=f"Inspection of {type(module).__name__}")
    if loss is None and words.loss == Words.loss:
        words = replace(words, loss="half the squared norm of the last layer's outputs at its last step")
    steps_of_jacobians = sum(int(segment.valid.any(1).sum()) for segment in recording.segments)
    stage = 1 + steps_of_jacobians // 8
    stages = 4 if output is None else 6
    with Progress(
        2 * steps_of_jacobians + stages * stage, task="inspecting", show=progress, seconds=_SECONDS_BETWEEN_LINES
    ) as bar:

        def tick(steps: int = 1) -> None:
            bar.update({}, steps)

        gates, untraced = gate_saturation(recording)
        tick(stage)
        attribution = product = forgotten = None
        if output is not None:
            function, inputs = function_of_inputs(module, args, output, reads, kwargs)
            attribution, product = _attributions(
                module, function, inputs, distances, sequence, alone, reads, dict(kwargs)
            )
            tick(stage)
            forgotten = forgetting(function, inputs, distances=distances)
            tick(stage)
        gradients = gradient_by_lag(recording, loss, steps)
        tick(stage)
        jacobians = jacobian_norms(recording, _STARTS, _SEQUENCES, tick=tick)
        lyapunov = lyapunov_spectrum(recording, sequences=_SEQUENCES, count=_EXPONENTS, tick=tick)
        states = state_statistics(recording)
        spectra = recurrent_spectra(recording)
        tick(stage)
        unrolled = unrolled_gradients(recording, loss, steps, sequence, follows)
        tick(stage)
    findings = find(recording, gradients, jacobians, lyapunov, gates, states, attribution, forgotten)
    return Inspection(
        words,
        unrolled,
        gradients,
        jacobians,
        lyapunov,
        spectra,
        gates,
        states,
        attribution,
        product,
        forgotten,
        (*concerns, *findings),
        (
            *(
                texts.NOT_RECORDED.format(layer=m.name or "the module itself", kind=m.before, reason=m.reason)
                for m in recording.left_out
            ),
            *(texts.NOT_TRACED.format(layer=layer, reason=reason) for layer, reason in untraced.items()),
        ),
        standing,
    )


def _attributions(
    module: nn.Module,
    function: ScalarFunction,
    inputs: Sequence[Tensor],
    distances: Sequence[Tensor] | None,
    sequence: int,
    alone: tuple[Sequence[Any], Callable[[Any], Tensor]] | None,
    reads: str | Sequence[str],
    keywords: dict[str, Any],
) -> tuple[Attribution, Attribution]:
    """Integrated gradients and gradient x input of one sequence, from the mean of all."""
    valid = None if distances is None else [distance >= 0 for distance in distances]
    baselines = mean_baselines(inputs, valid)
    if alone is None:
        exact = integrated_gradients(
            function, inputs, baselines, valid=valid, tolerance=_TOLERANCE, sequences=[sequence]
        )
        return exact.only(sequence), gradient_times_input(function, inputs, baselines, valid).only(sequence)
    arguments, output = alone
    function, inputs = function_of_inputs(module, arguments, output, reads, keywords)
    if valid is not None:
        # Alone, a sequence has no more steps than are its own.
        valid = [true[sequence : sequence + 1, : x.shape[1]] for true, x in zip(valid, inputs, strict=True)]
    exact = integrated_gradients(function, inputs, baselines, valid=valid, tolerance=_TOLERANCE)
    return exact, gradient_times_input(function, inputs, baselines, valid)
