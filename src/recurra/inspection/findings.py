"""What to worry about in an inspection, and what to try."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from recurra.cells import Cell
from recurra.inspection import texts
from recurra.inspection.attribution import Attribution
from recurra.inspection.forgetting import Forgetting
from recurra.inspection.lag import GradientByLag, LagCurve
from recurra.inspection.lyapunov import LyapunovSpectrum
from recurra.inspection.memory import JacobianNorms
from recurra.inspection.record import Recording
from recurra.inspection.saturation import GateSaturation
from recurra.inspection.states import StateStatistics

__all__ = ["Finding", "find"]

_SHORT_REACH = 0.25  # of the sequence
_MANY = 0.25  # of the units
_GROWING = 1.02
_CHAOTIC = 0.02
_INCOMPLETE = 0.05
_MOST_NAMED = 8  # units


@dataclass(frozen=True)
class Finding:
    """Something to worry about.

    Attributes:
        what: a sentence with the figures and the layer's name.
        advice: what to try.
    """

    what: str
    advice: str


def find(
    recording: Recording,
    gradients: GradientByLag,
    jacobians: Sequence[JacobianNorms],
    lyapunov: Sequence[LyapunovSpectrum],
    gates: Sequence[GateSaturation],
    states: Sequence[StateStatistics],
    attribution: Attribution | None = None,
    forgotten: Forgetting | None = None,
) -> tuple[Finding, ...]:
    """What is unusual, gradients first, then dynamics, units, and what the figures of the sequence shown are worth."""
    findings: list[Finding] = []
    growth = {norms.track: norms.decay.factor for norms in jacobians}
    cells = {track.name: track.segments[0].cell for track in recording.tracks}
    for curve in gradients.whole():
        findings += _of_gradient(curve, cells[curve.track], growth.get(curve.track, 0.0))
    findings += [_of_chaos(spectrum) for spectrum in lyapunov if spectrum.largest > _CHAOTIC]
    findings += [_of_gate(gate) for gate in gates if gate.stuck >= _MANY * len(gate.low) and gate.function != "relu"]
    findings += [_of_dead_units(state) for state in states if len(state.dead)]
    if attribution is not None and attribution.missed(0) > _INCOMPLETE:
        missed = texts.INCOMPLETE.format(fraction=100 * attribution.missed(0))
        findings.append(Finding(missed, texts.TRY_INCOMPLETE))
    if forgotten is not None and forgotten.effect[0] > 0:
        findings += _of_unused_inputs(forgotten)
    return tuple(findings)


def _of_gradient(curve: LagCurve, cell: Cell, growth: float) -> list[Finding]:
    steps, decay = len(curve.norms), curve.decay
    # Where many steps have a loss gradients add up towards the beginning; they explode only where the recurrence grows.
    if decay.is_fitted and decay.factor > _GROWING and growth > _GROWING:
        percent = 100 * (decay.factor - 1)
        return [Finding(texts.EXPLODING.format(growth=percent, track=curve.track), texts.TRY_EXPLODING)]
    reach = decay.measured_horizon
    if reach is None or reach > _SHORT_REACH * steps or steps < 8:
        return []
    return [Finding(texts.VANISHING.format(reach=reach, steps=steps, track=curve.track), _longer_memory(cell))]


def _longer_memory(cell: Cell) -> str:
    if cell.keeps:
        biases = [
            (texts.LARGER_BIAS if sign > 0 else texts.SMALLER_BIAS).format(gate=gate)
            for gate, sign in cell.keeps.items()
        ]
        return texts.TRY_BIAS.format(biases=" and ".join(biases))
    return texts.TRY_GATED_CELL if cell.recurrence == "none" else texts.TRY_GATED_OR_ORTHOGONAL


def _of_chaos(spectrum: LyapunovSpectrum) -> Finding:
    return Finding(
        texts.CHAOTIC.format(layer=spectrum.name, largest=spectrum.largest, steps=1 / spectrum.largest),
        texts.TRY_CHAOTIC,
    )


def _of_gate(gate: GateSaturation) -> Finding:
    low, high = len(gate.stuck_low), len(gate.stuck_high)
    low_end, high_end = ("0", "1") if gate.function == "sigmoid" else ("-1", "1")
    names = {"gate": gate.gate, "layer": gate.name, "stuck": gate.stuck, "units": len(gate.low)}
    if low and high:
        what = texts.STUCK_AT_BOTH_ENDS.format(**names, low=low, low_end=low_end, high=high, high_end=high_end)
    else:
        what = texts.STUCK_AT_ONE_END.format(**names, count=gate.stuck, end=low_end if low else high_end)
    return Finding(what, texts.TRY_STUCK)


def _of_dead_units(state: StateStatistics) -> Finding:
    dead = len(state.dead)
    template = texts.ONE_DEAD if dead == 1 else texts.DEAD if dead <= _MOST_NAMED else texts.MANY_DEAD
    indices = ", ".join(map(str, state.dead[:_MOST_NAMED]))
    what = template.format(dead=dead, units=len(state.mean), part=state.part, layer=state.name, indices=indices)
    return Finding(what, texts.TRY_DEAD)


def _of_unused_inputs(forgotten: Forgetting) -> list[Finding]:
    steps, reach = int(forgotten.lags[-1]), forgotten.reach()
    if steps < 16 or reach > _SHORT_REACH * steps or math.isclose(reach, steps):
        return []
    return [Finding(texts.UNUSED.format(reach=reach, steps=steps), texts.TRY_UNUSED)]
