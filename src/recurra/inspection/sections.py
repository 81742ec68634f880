"""The sections of the page: each a picture and two sentences, how to read it and what it says of this run."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recurra.inspection import pictures
from recurra.inspection.inspection import Inspection, Words
from recurra.inspection.pictures.memory import horizon_text
from recurra.inspection.pictures.unrolled import columns_of

__all__ = ["Section", "draw_sections"]


@dataclass(frozen=True)
class Section:
    """A section of the page.

    Attributes:
        title: of the section.
        picture: the PNG.
        how: how to read it.
        here: what it says of this run.
        table: the name of the summary table that belongs to it; empty if there is none.
    """

    title: str
    picture: Path
    how: str
    here: str
    table: str = ""


def draw_sections(found: Inspection, folder: Path) -> list[Section]:
    """Draw all pictures into a folder.

    Raises:
        RunError: if it cannot be written.
    """
    return [
        *_gradients(found, folder),
        *_dynamics(found, folder),
        *_units(found, folder),
        *_attributions(found, folder),
    ]


def _gradients(found: Inspection, folder: Path) -> Iterator[Section]:
    words = found.words
    path = folder / "unrolled.png"
    labels = () if words.layer_step else words.labels
    pictures.draw_unrolled(found.unrolled, path, words.first_step, words.layer_step or words.step, labels)
    wide = columns_of(found.unrolled.steps)
    several = (
        f" A column stands for {wide} steps: arrows along a row show what crosses to the next column, arrows between "
        "rows the norm over all its steps."
        if wide > 1
        else ""
    )
    later = [row.name for row in found.unrolled.rows if row.first]
    several += (
        f" The columns of {', '.join(later)} come after those of the layers whose outputs it reads; what flows into "
        "these from above comes from there, through attention."
        if later
        else ""
    )
    yield Section(
        "The network unrolled through time",
        path,
        f"Columns are steps, rows are layers; arrows point the way the gradient flows, back from the loss, and are as "
        f"thick as its norm (logarithmic, four decades; thin lines carry less).{several}",
        f"The loss is {words.loss}; the picture shows sequence {found.unrolled.sequence + 1} of "
        f"{found.gradients.sequences}, {found.unrolled.steps} steps, and its thickest arrow carries "
        f"{found.unrolled.largest:.3g}.",
    )
    path = folder / "gradient_by_lag.png"
    pictures.draw_gradient_by_lag(found.gradients, path)
    said = [
        f"{c.track}: {horizon_text(c.decay)}, {_measured(c.decay.measured_horizon)}" for c in found.gradients.whole()
    ]
    yield Section(
        "How far back learning reaches",
        path,
        "Each curve is the norm of dL/ds, the derivative of the loss with respect to a layer's state, by how many "
        "steps the state is before the loss; a straight line is exponential decay, and the memory horizon is where the "
        "fitted line has fallen to 1 %.",
        f"Over {found.gradients.sequences} sequences: {'; '.join(said)}.",
        "memory",
    )


def _dynamics(found: Inspection, folder: Path) -> Iterator[Section]:
    words = found.words
    if found.jacobians:
        path = folder / "jacobian_norms.png"
        pictures.draw_jacobian_norms(found.jacobians, path, words.first_step, words.layer_step or words.step)
        said = [
            f"in {j.track} one step stretches by {np.nanmedian(j.by_step):.2g} at most (median), {j.lags[-1]} steps by "
            f"{j.median[-1]:.2g}"
            for j in found.jacobians
        ]
        yield Section(
            "What is left of a change of the state",
            path,
            "The spectral norm of a Jacobian is the most by which a small change of the whole state is stretched, over "
            "one step (left) and over k steps (right); below 1 all changes shrink, and with them gradients.",
            f"Here {'; '.join(said)}.",
        )
    if found.lyapunov:
        path = folder / "lyapunov.png"
        pictures.draw_lyapunov(found.lyapunov, path)
        said = [f"{s.name} {s.largest:+.3f} over {s.steps} steps" for s in found.lyapunov]
        yield Section(
            "Lyapunov spectrum",
            path,
            "Each exponent is the mean logarithmic growth a step of a small change in one direction of the state, "
            "along the states real inputs lead through: all below 0, the network forgets its beginning; one above 0, "
            "it is chaotic; near 0, it remembers.",
            f"The largest are {'; '.join(said)} (exponents of finite time, shading: spread over sequences).",
            "dynamics",
        )
    if found.spectra:
        path = folder / "recurrent_weights.png"
        pictures.draw_recurrent_spectra(found.spectra, path)
        widest = max(found.spectra, key=lambda s: s.radius)
        yield Section(
            "Recurrent weights",
            path,
            "Eigenvalues of each gate's recurrent matrix: in a plain recurrent network those outside the dotted unit "
            "circle make gradients grow, those far inside make them vanish; with gates they are only the raw material.",
            f"The largest spectral radius is {widest.radius:.2f}, of gate {widest.gate} in {widest.name}.",
            "recurrent_weights",
        )


def _units(found: Inspection, folder: Path) -> Iterator[Section]:
    if found.gates:
        path = folder / "gates.png"
        pictures.draw_gates(found.gates, path)
        fullest = max(found.gates, key=lambda g: g.saturated)
        stuck = sum(gate.stuck for gate in found.gates)
        units = sum(len(gate.low) for gate in found.gates)
        yield Section(
            "Gates",
            path,
            "Each bar is a unit: the gate's mean, and the range of eight tenths of its values over all steps; in the "
            "shaded zones (below 0.1 and above 0.9 of a sigmoid, beyond 0.9 of tanh) it is saturated, and learns "
            "hardly anything.",
            f"Most saturated is gate {fullest.gate} of {fullest.name}, {fullest.saturated:.0%} of the time; {stuck} of "
            f"{units} units of all gates are stuck at one end in at least 99 % of the steps.",
            "gate_shares",
        )
    if found.states:
        path = folder / "states.png"
        pictures.draw_states(found.states, path)
        dead = sum(len(state.dead) for state in found.states)
        units = sum(len(state.mean) for state in found.states)
        yield Section(
            "States",
            path,
            "Each unit's mean, standard deviation and range over all steps of all sequences; a unit is dead where its "
            "range is under a thousandth of the layer's largest.",
            f"{dead} of {units} units never move." if dead else f"All {units} units move.",
            "state_ranges",
        )


def _attributions(found: Inspection, folder: Path) -> Iterator[Section]:
    words, at = found.words, found.unrolled.sequence
    if found.attribution is not None and found.gradient_times_input is not None:
        path = folder / "attribution.png"
        exact = found.attribution
        pictures.draw_attribution(
            *(exact, found.gradient_times_input, path, at, words.first_step, words.step),
            output=words.drawn or words.output,
            unit=words.unit,
            labels=words.labels,
            mean=words.mean,
        )
        values = np.concatenate(exact.of(at))
        strongest = int(np.abs(values).argmax())
        yield Section(
            "Which steps of the input the output comes from",
            path,
            f"A bar is what a step adds to the output beside the same step at {words.mean} (integrated "
            "gradients); bars add up to the whole difference, and dots that lie elsewhere (gradient x input) tell of "
            "nonlinearity.",
            f"Step {_step(words, strongest)} counts most, {values[strongest]:+.3g}{_unit(words.unit)}; the bars miss "
            f"{exact.residual[at]:+.2g} of {exact.output[at] - exact.baseline_output[at]:+.3g} (completeness "
            "residual).",
        )
    if found.forgetting is not None:
        path = folder / "forgetting.png"
        forgotten = found.forgetting
        pictures.draw_forgetting(forgotten, path, words.output, words.unit, words.nearest, words.mean)
        whole, reach, half = forgotten.effect[0], forgotten.reach(), forgotten.reach(0.5)
        yield Section(
            "What is forgotten",
            path,
            f"All inputs but {words.nearest} are replaced by {words.mean}, and the output is computed anew: where "
            "the curve is at zero, inputs further away no longer matter, whatever their gradient.",
            f"Replacing everything changes the output by {whole:.3g}{_unit(words.unit)} in the mean; all but the "
            f"nearest {half} of {forgotten.lags[-1]} steps make at most half of that, all but {reach} at most 1 %.",
        )


def _measured(horizon: int | None) -> str:
    return "measured beyond the sequence" if horizon is None else f"measured {horizon}"


def _step(words: Words, t: int) -> str:
    number = f"{words.first_step + t}"
    return f"{number} ({words.labels[t]})" if words.labels else number


def _unit(unit: str) -> str:
    return f" {unit}" if unit else ""
