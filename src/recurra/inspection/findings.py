"""What to worry about in what was found, and what to try."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from recurra.cells import Cell
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


@dataclass(frozen=True)
class Finding:
    """Something to worry about.

    Attributes:
        what: was found, with the figures and the layer's name.
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
    """What is unusual, gradients first, then dynamics, units, and what the figures of the sequence drawn are worth."""
    found = []
    growth = {norms.track: norms.decay.factor for norms in jacobians}
    cells = {track.name: track.segments[0].cell for track in recording.tracks}
    for curve in gradients.whole():
        found += _of_gradient(curve, cells[curve.track], growth.get(curve.track, 0.0))
    found += [_of_chaos(spectrum) for spectrum in lyapunov if spectrum.largest > _CHAOTIC]
    found += [_of_gate(gate) for gate in gates if gate.stuck >= _MANY * len(gate.low) and gate.function != "relu"]
    found += [_of_dead_units(state) for state in states if len(state.dead)]
    if attribution is not None and attribution.missed(0) > _INCOMPLETE:
        share = f"{attribution.missed(0):.0%}"
        found.append(
            Finding(
                f"Integrated gradients miss {share} of the change of the output that they should add up to.",
                "Take the attributions as a rough picture: on the way from the mean to this input the output jumps.",
            )
        )
    if forgotten is not None and forgotten.effect[0] > 0:
        found += _of_unused_inputs(forgotten)
    return tuple(found)


def _of_gradient(curve: LagCurve, cell: Cell, growth: float) -> list[Finding]:
    steps, decay = len(curve.norms), curve.decay
    # Where many steps have a loss gradients add up towards the beginning; they explode only where the recurrence grows.
    if decay.is_fitted and decay.factor > _GROWING and growth > _GROWING:
        return [
            Finding(
                f"The gradient grows by {decay.factor - 1:.0%} a step back in {curve.track}: it explodes.",
                "Clip gradients by norm (max_grad_norm), lower the learning rate, or start from orthogonal recurrent "
                "weights of a smaller gain.",
            )
        ]
    reach = decay.measured_horizon
    if reach is None or reach > _SHORT_REACH * steps or steps < 8:
        return []
    if cell.keeps:
        gates = " and ".join(
            f"a {'larger' if sign > 0 else 'smaller'} bias of gate {g}" for g, sign in cell.keeps.items()
        )
        remedy = (
            "Let its gates keep more: chrono initialisation (Tallec and Ollivier 2018) for lags of this length, or "
            f"{gates}."
        )
    elif cell.recurrence == "none":
        remedy = "Take a cell with gates, such as a GRU or an LSTM."
    else:
        remedy = "Take a GRU or an LSTM, or start from orthogonal recurrent weights."
    return [
        Finding(
            f"The gradient falls to 1 % within {reach} of {steps} steps in {curve.track}: what lies further back is "
            "hardly learned from.",
            f"{remedy} Where nothing further back matters, shorter sequences do as well and train faster.",
        )
    ]


def _of_chaos(spectrum: LyapunovSpectrum) -> Finding:
    return Finding(
        f"The largest Lyapunov exponent of {spectrum.name} is {spectrum.largest:+.3f} a step: small changes of its "
        f"state grow, by a factor of e in {1 / spectrum.largest:.0f} steps.",
        "Outputs far ahead depend on rounding and noise. Smaller or orthogonal recurrent weights, weight decay, or "
        "clipping while training bring it below zero.",
    )


def _of_gate(gate: GateSaturation) -> Finding:
    low, high = len(gate.stuck_low), len(gate.stuck_high)
    ends = ("0", "1") if gate.function == "sigmoid" else ("-1", "1")
    counts = [f"{n} near {end}" for n, end in zip((low, high), ends, strict=True) if n]
    return Finding(
        f"Gate {gate.gate} of {gate.name} is stuck in {gate.stuck} of {len(gate.low)} units ({', '.join(counts)}, in "
        "99 % of the steps).",
        "Such units learn nothing through this gate. Scale the inputs, lower the learning rate, or start with smaller "
        "biases of the gate; layer normalisation (LayerNormLSTM, LayerNormGRU) keeps gates in range.",
    )


def _of_dead_units(state: StateStatistics) -> Finding:
    dead = state.dead
    shown = f"unit{'s' if len(dead) > 1 else ''} {', '.join(map(str, dead[:8]))}{', ...' if len(dead) > 8 else ''}"
    return Finding(
        f"{len(dead)} of {len(state.mean)} units of {state.part} in {state.name} never move ({shown}).",
        "Fewer units (hidden_size) would do the same; where there are many, lower the learning rate or start anew with "
        "other initial weights.",
    )


def _of_unused_inputs(forgotten: Forgetting) -> list[Finding]:
    steps, reach = int(forgotten.lags[-1]), forgotten.reach()
    if steps < 16 or reach > _SHORT_REACH * steps or math.isclose(reach, steps):
        return []
    return [
        Finding(
            f"Replacing all inputs but the nearest {reach} of {steps} steps changes the output by less than 1 % of "
            "what replacing everything does.",
            "A shorter input would do, and train faster; or the network has yet to learn to use what is further away.",
        )
    ]
