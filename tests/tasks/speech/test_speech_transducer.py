"""A recogniser with a transducer: training, whole recordings, streams, a beam with hot words."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from spoken_tones import RATE, spoken

from covering import parametrize
from recurra.data.audio.utterances import utterances_of
from recurra.errors import ExportError
from recurra.inspection import record
from recurra.kernels.native import extension
from recurra.models.acoustic import TransducerRecognizer
from recurra.tasks.speech import SpeechRecognizer
from recurra.tasks.speech.live import LiveTranscriber
from recurra.tasks.speech.recognizer import Search
from recurra.tasks.speech.training import ctc_loss

needs_extension = pytest.mark.skipif(not extension.is_installed(), reason="a stream needs the C++ extension")
SMALL: dict[str, Any] = {
    "output": "transducer",
    "sample_rate": RATE,
    "bins": 16,
    "num_layers": 1,
    "channels": 4,
    "prediction_size": 8,
    "joiner_size": 24,
    "dropout": 0.1,
    "input_dropout": 0.0,
    "validation_fraction": 0.0,
    "speeds": (1.0,),
    "time_masks": 0,
    "frequency_masks": 0,
    "learning_rate": 0.02,
}


def talkative(**values: Any) -> SpeechRecognizer:
    """A recogniser that is hardly trained, and so sensitive that it writes all the time."""
    options: dict[str, Any] = {"hidden_size": 12, "max_steps": 1, "bidirectional": False, **values}
    recognizer = SpeechRecognizer(**{**SMALL, **options}).fit([spoken("ab cab", 0)], ["ab cab"], progress=False)
    network = recognizer.fitted.network
    assert isinstance(network, TransducerRecognizer)
    with torch.no_grad():
        # Weights of predictions this large, and this seed, keep the texts of a beam apart: none is within rounding.
        torch.manual_seed(1)
        torch.nn.init.normal_(network.of_frames.weight)
        network.of_frames.bias.zero_()
        torch.nn.init.normal_(network.joiner.weight, 0, 3)
        torch.nn.init.normal_(network.of_predictions.weight, 0, 3)
    return recognizer


@needs_extension
@parametrize({"cell": ["lstm", "gru", "stack"], "look_ahead": [0.0, 0.1], "beam_size": [None, 3]})
def test_a_stream_writes_what_the_whole_network_writes(cell: str, look_ahead: float, beam_size: int | None) -> None:
    options = {"architecture": ("rglru", "attention:4")} if cell == "stack" else {"cell": cell}
    recognizer = talkative(look_ahead=look_ahead, **options)
    samples = spoken("ab c ba", 3).samples
    search = Search(beam_size=beam_size)
    whole = recognizer.predict(utterances_of([samples], sample_rate=RATE), search=search)[0]
    # The most probable text of a network that knows nothing may be empty.
    assert len(whole) > 4 or beam_size or cell == "stack"
    # One frame is 80 samples.
    for size in (80, 500, len(samples)):
        live = LiveTranscriber(recognizer.fitted, 60.0, 60.0, search)
        chunks = [samples[start : start + size] for start in range(0, len(samples), size)]
        segments = [segment for chunk in chunks for segment in live.accept(chunk)] + live.finish()
        assert " ".join(segment.text for segment in segments) == whole


def test_the_loss_of_ctc_counts_by_its_weight() -> None:
    recognizer, losses = talkative(), []
    fitted, data = recognizer.fitted, utterances_of([spoken("ab cab", 0)], ["ab cab"])
    for weight in (0.25, 1.25):
        other = SpeechRecognizer(**{**SMALL, "ctc_weight": weight, "splices": 0.0})
        objective = other.objective(fitted, data, None)
        batch = objective.batches(1)
        scores, _ = fitted.network.eval()(batch.inputs)
        losses.append(objective.loss(scores, batch.target).item())
    assert losses[1] - losses[0] == pytest.approx(ctc_loss(scores, batch.target).item(), rel=1e-3)


@needs_extension
def test_chunks_of_any_size_end_the_same_utterances() -> None:
    recognizer = talkative()
    samples = np.concatenate([spoken("ab cab c ba", 1).samples, spoken("", 8, seconds_before=1.0).samples])
    whole = recognizer.transcribe(utterances_of([samples], sample_rate=RATE), longest=0.5).values[0]
    assert len(whole) > 2
    for size in (37, 1111):
        live = LiveTranscriber(recognizer.fitted, longest=0.5)
        chunks = [samples[start : start + size] for start in range(0, len(samples), size)]
        assert [segment for chunk in chunks for segment in live.accept(chunk)] + live.finish() == whole
    stream, heard = recognizer.open_stream(longest=0.5), []
    content = stream.new_state().to_bytes()
    for item in [*(samples[start : start + 1111].tolist() for start in range(0, len(samples), 1111)), None]:
        state = stream.read_state(content)
        [result] = stream.step([item], [state])
        heard += result["final"]
        content = state.to_bytes()
    assert [segment["text"] for segment in heard] == [segment.text for segment in whole]


@pytest.mark.slow
def test_it_learns_to_write_words(tmp_path: Path) -> None:
    texts = ["a", "b", "c", "a c", "b a"] * 4
    options: dict[str, Any] = {"units": "words", "subsampling": 8, "hidden_size": 24, "batch_seconds": 5.0}
    options |= {"dropout": 0.0, "learning_rate": 0.01, "averaging": 0.9, "max_steps": 300}
    recognizer = SpeechRecognizer(**{**SMALL, **options})
    recognizer.fit([spoken(text, k) for k, text in enumerate(texts)], texts, folder=tmp_path / "run", progress=False)
    loaded = SpeechRecognizer.load(tmp_path / "run")
    data = [spoken(text, 1000 + k) for k, text in enumerate(texts)]
    evaluation = loaded.evaluate(data, texts)
    assert evaluation.scores["WER"] < 0.3
    assert evaluation.baselines["the commonest text"]["WER"] > 0.5
    beam = loaded.predict(data, search=Search(hot_words=("b a",), hot_weight=100.0))
    assert " ".join(beam).count("b a") > " ".join(texts).count("b a")
    assert "transducer" in loaded.inspect(data[:1], progress=False).words.facts["network"]
    with pytest.raises(ExportError, match="transducer"):
        loaded.export(to="onnx")


def test_layers_that_are_stacks(tmp_path: Path) -> None:
    recognizer = talkative(architecture=("rglru", "attention:4"), num_layers=2, look_ahead=0.1)
    sounds = [spoken("ab c ba", 3), spoken("c", 4)]
    recognizer.save(tmp_path / "run")
    together = SpeechRecognizer.load(tmp_path / "run").predict(sounds)
    assert together == [recognizer.predict([sound])[0] for sound in sounds]
    view = recognizer.view(sounds)
    assert "2 x (rglru, attention:4) of 12 units" in view.words.facts["network"]
    tracks = record(recognizer.fitted.network, *view.inputs, layers=view.layers).tracks
    modules = {segment.module for track in tracks for segment in track.segments}
    assert modules == {f"layers.{k}.blocks.0.block.recurrent" for k in range(2)}
