"""What `inspect` shows of a recogniser, and the picture of what it hears."""

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from recurra.data.audio.alphabet import Alphabet
from recurra.data.audio.utterances import Utterances
from recurra.data.text.edit_distance import align
from recurra.errors import CompilerError, DataError, ParameterError
from recurra.figures import write_figure
from recurra.inspection import Words
from recurra.models.acoustic import Frames
from recurra.models.acoustic.recognizer import Scores
from recurra.models.decoding import CTCGreedyStream
from recurra.task import View
from recurra.task.architecture import blocks_of
from recurra.task.label_pictures import draw_confusion
from recurra.tasks.speech.alignment import align_rows
from recurra.tasks.speech.transcription import AnyFitted, Transcriber

__all__ = ["draw_characters", "draw_recording", "typical_row", "view"]

_TYPICAL = 2.0  # seconds
_CANDIDATES = 64
_NOTHING = "nothing"  # in the place of a character that is left out or put in
_LEAST_SHOWN = 0.1  # probability of a unit for its curve to be plotted

_NETWORK = (
    "{num_layers} x {blocks} of {hidden_size} units{directions} read {features} features of a step of "
    "{milliseconds:.0f} ms and score {units} units (CTC){transducer}."
)
_LOOKED_AT = (
    "Recording {position} ({id}) of {count} is shown: “{text}”. Its unit {unit} is looked at, at {seconds:.2f} s."
)


def view(fitted: AnyFitted, data: Utterances, row: int | None, name: str) -> View:
    """What `inspect` shows of a recogniser; see `SpeechRecognizer.view`."""
    transcriber, alphabet = Transcriber(fitted), fitted.learned.alphabet
    if row is not None and not 1 <= row <= len(data):
        raise ParameterError("row", f"1 to {len(data)}, those of {data.source}", row)
    index = typical_row(data) if row is None else row - 1
    features = transcriber.features(data[index])
    if not len(features):
        raise DataError(f"{data[index].name}: too short: {data[index].seconds:.3f} s have no frame of features.")
    _, log_probs = next(transcriber.log_probs([features]))
    search = CTCGreedyStream()
    search.accept(log_probs)
    if search.emissions:
        emission = search.emissions[len(search.emissions) // 2]
        at, unit = emission.start, emission.token
    else:
        at, unit = len(log_probs) // 2, int(log_probs[len(log_probs) // 2, 1:].argmax()) + 1
    frames = Frames(torch.from_numpy(features)[None].to(fitted.device), torch.tensor([len(features)]))
    late = fitted.network.delay
    steps = torch.arange(-(-len(features) // fitted.options["subsampling"]) + late, device=fitted.device)

    def score(output: tuple[Scores, None]) -> Tensor:
        return output[0].logits[:, at, unit]

    shown = alphabet.symbols[unit].replace("\u2581", " ").strip() or "the space"
    options = fitted.options
    facts = {
        "run": name,
        "data": data.source,
        "network": _NETWORK.format(
            num_layers=options["num_layers"],
            blocks=blocks_of(options),
            hidden_size=options["hidden_size"],
            directions=" in each direction" if options["bidirectional"] else "",
            features=fitted.network.subsampling.output_size,
            milliseconds=1000 * transcriber.step_seconds,
            units=len(alphabet),
            transducer="; a transducer writes them" if options["output"] == "transducer" else "",
        ),
        "looked at": _LOOKED_AT.format(
            position=index + 1,
            id=data[index].id,
            count=len(data),
            text=" ".join(alphabet.decode([one.token for one in search.emissions]).split()),
            unit=f"“{shown}”",
            seconds=at * transcriber.step_seconds,
        ),
        "inputs": "Gradients and attributions are with respect to what the convolutions make of each step.",
    }
    return View(
        (frames,),
        Words(
            title=f"Inspection of {name}" if name else "Inspection of a recogniser",
            facts={key: value for key, value in facts.items() if value},
            loss=f"-log p of “{shown}” at the step at which it is written. Lags count from this step",
            output=f"score of “{shown}” at the step at which it is written",
            first_step=0,
            step="step",
            mean="the mean step",
            nearest="the nearest k",
        ),
        loss=lambda output: -output[0].logits[0, at].log_softmax(-1)[unit],
        steps=[at + late],
        output=score,
        reads="layers.0",
        layers=[f"layers.{k}" for k in range(len(fitted.network.layers))],
        distances=[(steps - at - late).abs()[None]],
    )


def typical_row(data: Utterances) -> int:
    """The row of the recording, of the first 64, whose duration is nearest to two seconds."""
    seconds = np.array([one.seconds for one in data.items[:_CANDIDATES]])
    return int(np.abs(seconds - _TYPICAL).argmin())


def draw_recording(fitted: AnyFitted, data: Utterances, row: int, path: Path) -> None:
    """Draw how a recording is read into a PNG file.

    Above are its features; below them the probability of each unit by CTC over time, with the names of those that are
    written; below these the words that are written, and those of its text where they are by forced alignment.
    """
    transcriber, alphabet = Transcriber(fitted), fitted.learned.alphabet
    features = transcriber.features(data[row])
    _, log_probs = next(transcriber.log_probs([features]))
    (written,) = transcriber.segments([features])
    seconds = len(features) * fitted.learned.log_mel.frame_seconds
    figure = Figure(figsize=(max(6.0, min(16.0, 3.2 * seconds)), 5.6), layout="constrained")
    above, middle, below = figure.subplots(3, 1, sharex=True, height_ratios=(1.0, 0.9, 0.55))
    above.imshow(features.T, origin="lower", aspect="auto", cmap="magma", extent=(0, seconds, 0, features.shape[1]))
    above.set_ylabel("mel band")
    above.set_title(_plain(f"{Path(data[row].id).name}: {written.text or 'nothing is written'}"), fontsize=10)
    _draw_units(middle, alphabet, log_probs, transcriber.step_seconds)
    lanes = {"written": written.words}
    with suppress(DataError, CompilerError):
        (aligned,) = align_rows(fitted, data.take([row]))
        lanes = {"text, aligned": aligned.words, **lanes}
    for lane, (name, words) in enumerate(lanes.items()):
        color = "tab:blue" if name == "written" else "tab:green"
        for word in words:
            below.barh(lane, word.end - word.begin, 0.7, word.begin, color=color, alpha=0.25)
            below.text((word.begin + word.end) / 2, lane, _plain(word.text), ha="center", va="center", fontsize=9)
    below.set_yticks(range(len(lanes)), list(lanes))
    below.set_ylim(-0.6, len(lanes) - 0.4)
    below.tick_params(axis="y", length=0)
    below.set_xlabel("seconds")
    below.set_xlim(0, max(seconds, transcriber.step_seconds))
    for ax in (above, middle, below):
        ax.spines[["top", "right"]].set_visible(False)
    write_figure(figure, path)


def _draw_units(ax: Axes, alphabet: Alphabet, log_probs: np.ndarray, step_seconds: float) -> None:
    """The probability of each unit over time, and the name of each that is written above its peak."""
    times, probabilities = (np.arange(len(log_probs)) + 0.5) * step_seconds, np.exp(log_probs)
    ax.plot(times, probabilities[:, 0], color="0.75")
    for unit in np.flatnonzero(probabilities[:, 1:].max(axis=0, initial=0) > _LEAST_SHOWN) + 1:
        ax.plot(times, probabilities[:, unit], linewidth=1.3)
    search = CTCGreedyStream()
    search.accept(log_probs)
    for one in search.emissions:
        if name := alphabet.symbols[one.token].replace("\u2581", " ").strip():
            ax.text(times[one.peak], 1.05, _plain(name), ha="center", va="bottom", fontsize=8)
    ax.set_ylim(0, 1.25)
    ax.set_yticks([0, 0.5, 1])
    ax.set_ylabel("probability\n(grey: blank)")


def draw_characters(texts: Sequence[str], hypotheses: Sequence[str], path: Path) -> None:
    """Draw which characters of texts are written as which, along their alignment, into a PNG file.

    Args:
        texts: of recordings.
        hypotheses: what was written of each.
        path: of the file.
    """
    counts: Counter[tuple[str, str]] = Counter()
    for text, hypothesis in zip(texts, hypotheses, strict=True):
        counts.update((true or _NOTHING, written or _NOTHING) for true, written in align(text, hypothesis))
    names = [*sorted({name for pair in counts for name in pair} - {_NOTHING}), _NOTHING]
    confusion = np.array([[counts[true, written] for written in names] for true in names])
    draw_confusion(tuple("space" if name == " " else name for name in names), confusion, path, noun="character")


def _plain(text: str) -> str:
    """A text in which a dollar sign does not begin a formula."""
    return text.replace("$", r"\$")
