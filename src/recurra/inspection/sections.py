"""The sections of the page: each a picture and a text, how to read it and what it says of this run."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recurra.inspection import pictures, texts
from recurra.inspection.inspection import Inspection, Words
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


def draw_sections(inspection: Inspection, folder: Path) -> list[Section]:
    """Draw all pictures into a folder.

    Raises:
        RunError: if it cannot be written.
    """
    return [
        *_gradients(inspection, folder),
        *_dynamics(inspection, folder),
        *_units(inspection, folder),
        *_attributions(inspection, folder),
    ]


def _gradients(inspection: Inspection, folder: Path) -> Iterator[Section]:
    words, unrolled, gradients = inspection.words, inspection.unrolled, inspection.gradients
    path = folder / "unrolled.png"
    labels = () if words.layer_step else words.labels
    pictures.draw_unrolled(unrolled, path, words.first_step, words.layer_step or words.step, labels)
    how = [texts.UNROLLED]
    if (width := columns_of(unrolled.steps)) > 1:
        how.append(texts.UNROLLED_WIDE.format(width=width))
    if later := [row.name for row in unrolled.rows if row.first]:
        how.append(texts.UNROLLED_ATTENTION.format(layers=", ".join(later)))
    yield Section(
        "The network unrolled through time",
        path,
        " ".join(how),
        texts.UNROLLED_HERE.format(
            loss=words.loss,
            index=unrolled.sequence + 1,
            count=gradients.sequences,
            steps=unrolled.steps,
            largest=unrolled.largest,
        ),
    )
    path = folder / "gradient_by_lag.png"
    pictures.draw_gradient_by_lag(gradients, path)
    template = texts.REACH_SEQUENCE if gradients.sequences == 1 else texts.REACH_SEQUENCES
    here = [template.format(count=gradients.sequences)]
    for curve in gradients.whole():
        here.append(texts.REACH_FITS.of(curve.decay, curve.track))
        horizon = curve.decay.measured_horizon
        if horizon is not None:
            here.append(texts.REACH_MEASURED.format(track=curve.track, horizon=horizon))
        elif curve.norms.max(initial=0.0) > 0:
            here.append(texts.REACH_BEYOND.format(track=curve.track))
    yield Section("How far back learning reaches", path, texts.REACH, " ".join(here), "memory")


def _dynamics(inspection: Inspection, folder: Path) -> Iterator[Section]:
    words = inspection.words
    if inspection.jacobians:
        path = folder / "jacobian_norms.png"
        pictures.draw_jacobian_norms(inspection.jacobians, path, words.first_step, words.layer_step or words.step)
        here = [
            texts.JACOBIANS_HERE.format(
                track=norms.track, one_step=np.nanmedian(norms.by_step), lag=norms.lags[-1], many_steps=norms.median[-1]
            )
            for norms in inspection.jacobians
        ]
        yield Section("What is left of a change of the state", path, texts.JACOBIANS, " ".join(here))
    if inspection.lyapunov:
        path = folder / "lyapunov.png"
        pictures.draw_lyapunov(inspection.lyapunov, path)
        here = [
            texts.LYAPUNOV_HERE.format(layer=spectrum.name, largest=spectrum.largest, steps=spectrum.steps)
            for spectrum in inspection.lyapunov
        ]
        here.append(texts.LYAPUNOV_SHADING)
        yield Section("Lyapunov spectrum", path, texts.LYAPUNOV, " ".join(here), "dynamics")
    if inspection.spectra:
        path = folder / "recurrent_weights.png"
        pictures.draw_recurrent_spectra(inspection.spectra, path)
        widest = max(inspection.spectra, key=lambda s: s.radius)
        yield Section(
            "Recurrent weights",
            path,
            texts.SPECTRA,
            texts.SPECTRA_HERE.format(radius=widest.radius, gate=widest.gate, layer=widest.name),
            "recurrent_weights",
        )


def _units(inspection: Inspection, folder: Path) -> Iterator[Section]:
    if inspection.gates:
        path = folder / "gates.png"
        pictures.draw_gates(inspection.gates, path)
        fullest = max(inspection.gates, key=lambda g: g.saturated)
        stuck = sum(gate.stuck for gate in inspection.gates)
        units = sum(len(gate.low) for gate in inspection.gates)
        template = texts.GATES_STUCK if stuck > 1 else texts.GATES_ONE_STUCK if stuck else texts.GATES_NONE_STUCK
        here = [
            texts.GATES_HERE.format(gate=fullest.gate, layer=fullest.name, saturated=100 * fullest.saturated),
            template.format(stuck=stuck, units=units),
        ]
        yield Section(
            "Gates",
            path,
            texts.GATES,
            " ".join(here),
            "gate_fractions",
        )
    if inspection.states:
        path = folder / "states.png"
        pictures.draw_states(inspection.states, path)
        dead = sum(len(state.dead) for state in inspection.states)
        units = sum(len(state.mean) for state in inspection.states)
        template = texts.STATES_DEAD if dead > 1 else texts.STATES_ONE_DEAD if dead else texts.STATES_ALIVE
        yield Section("States", path, texts.STATES, template.format(dead=dead, units=units), "state_ranges")


def _attributions(inspection: Inspection, folder: Path) -> Iterator[Section]:
    words, at = inspection.words, 0  # attribution holds the sequence shown alone
    if inspection.attribution is not None and inspection.gradient_times_input is not None:
        path = folder / "attribution.png"
        exact = inspection.attribution
        pictures.draw_attribution(
            *(exact, inspection.gradient_times_input, path, at, words.first_step, words.step),
            output=words.plotted or words.output,
            unit=words.unit,
            labels=words.labels,
            mean=words.mean,
        )
        values = np.concatenate(exact.of(at))
        strongest = int(np.abs(values).argmax())
        yield Section(
            "Which steps of the input the output comes from",
            path,
            texts.ATTRIBUTION.format(mean=words.mean),
            texts.ATTRIBUTION_HERE.format(
                step=_step(words, strongest),
                value=_value(f"{values[strongest]:+.3g}", words.unit),
                residual=exact.residual[at],
                difference=exact.output[at] - exact.baseline_output[at],
            ),
        )
    if inspection.forgetting is not None:
        path = folder / "forgetting.png"
        forgotten = inspection.forgetting
        pictures.draw_forgetting(forgotten, path, words.output, words.unit, words.nearest, words.mean)
        yield Section(
            "What is forgotten",
            path,
            texts.FORGETTING.format(nearest=words.nearest, mean=words.mean),
            texts.FORGETTING_HERE.format(
                effect=_value(f"{forgotten.effect[0]:.3g}", words.unit),
                half=forgotten.reach(0.5),
                steps=forgotten.lags[-1],
                reach=forgotten.reach(),
            ),
        )


def _step(words: Words, t: int) -> str:
    template = texts.LABELLED_STEP if words.labels else texts.STEP
    return template.format(index=words.first_step + t, label=words.labels[t] if words.labels else "")


def _value(value: str, unit: str) -> str:
    return (texts.VALUE_IN_UNITS if unit else texts.VALUE).format(value=value, unit=unit)
