"""What `inspect` shows of a recogniser, and the picture of what it hears."""

from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from recurra.data.audio.utterances import Utterances
from recurra.errors import DataError, ParameterError
from recurra.files import write_atomically
from recurra.inspection import Words
from recurra.models.acoustic import Frames
from recurra.models.acoustic.recognizer import Scores
from recurra.models.decoding import CTCGreedyStream
from recurra.task import View
from recurra.tasks.speech.transcription import AnyFitted, Transcriber, in_seconds, spelling_of

__all__ = ["draw_recording", "typical_row", "view"]

_TYPICAL = 2.0  # seconds
_CANDIDATES = 64
_LEAST_SHOWN = 0.1  # probability of a unit for its curve to be plotted

_NETWORK = (
    "{num_layers} x {cell} of {hidden_size} units{directions} read {features} features of a step of {milliseconds:.0f} "
    "ms and score {units} units (CTC){transducer}."
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
            cell=options["cell"],
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
    """Draw a recording's features, the probability of each unit over time, and the words, into a PNG file."""
    transcriber, alphabet = Transcriber(fitted), fitted.learned.alphabet
    features = transcriber.features(data[row])
    _, log_probs = next(transcriber.log_probs([features]))
    search = CTCGreedyStream()
    search.accept(log_probs)
    segment = in_seconds(spelling_of(alphabet).words(search.emissions), transcriber.step_seconds)
    seconds = len(features) * fitted.learned.log_mel.frame_seconds
    figure = Figure(figsize=(max(6.0, min(16.0, 3.2 * seconds)), 5.2), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(1.0, 1.2))
    above.imshow(features.T, origin="lower", aspect="auto", cmap="magma", extent=(0, seconds, 0, features.shape[1]))
    above.set_ylabel("mel band")
    title = f"{Path(data[row].id).name}: {segment.text or 'nothing is written'}"
    above.set_title(title.replace("$", r"\$"), fontsize=10)
    times = (np.arange(len(log_probs)) + 0.5) * transcriber.step_seconds
    probabilities = np.exp(log_probs)
    below.plot(times, probabilities[:, 0], color="0.75")
    for unit in np.flatnonzero(probabilities[:, 1:].max(axis=0, initial=0) > _LEAST_SHOWN) + 1:
        below.plot(times, probabilities[:, unit], linewidth=1.3)
    for word in segment.words:
        below.axvspan(word.begin, word.end, color="tab:blue", alpha=0.08)
        middle = (word.begin + word.end) / 2
        below.text(middle, 1.04, word.text.replace("$", r"\$"), ha="center", va="bottom", fontsize=9, rotation=45)
    below.set_ylim(0, 1.45)
    below.set_yticks([0, 0.5, 1])
    below.set_ylabel("probability (grey: blank)")
    below.set_xlabel("seconds")
    below.set_xlim(0, max(seconds, transcriber.step_seconds))
    for ax in (above, below):
        ax.spines[["top", "right"]].set_visible(False)
    write_atomically(path, lambda aside: figure.savefig(aside, format="png", dpi=120))
