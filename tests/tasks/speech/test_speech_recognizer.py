"""A recogniser from recordings to transcripts: training, evaluation, transcription whole and live."""

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from spoken_tones import PAUSES, RATE, sentences, spoken, write_manifest

from recurra.cli.main import main
from recurra.data.audio.sound import Sound
from recurra.data.audio.utterances import utterances_of
from recurra.data.text.arpa import read_arpa
from recurra.errors import DataError, ParameterError, RunError, StreamError
from recurra.kernels.native import extension
from recurra.models.confidence import ConfidenceMap
from recurra.tasks.speech import SpeechReading, SpeechRecognizer
from recurra.tasks.speech.learned import SpeechLearned
from recurra.tasks.speech.live import LiveTranscriber
from recurra.tasks.speech.recognizer import Search
from recurra.tasks.speech.view import draw_characters, draw_recording

needs_extension = pytest.mark.skipif(not extension.is_installed(), reason="a stream needs the C++ extension")


def options(**values: Any) -> dict[str, Any]:
    small: dict[str, Any] = {"sample_rate": RATE, "bins": 16, "hidden_size": 24, "num_layers": 1, "channels": 4}
    trained = {"batch_seconds": 8.0, "max_steps": 300, "learning_rate": 0.01, "dropout": 0.1, "input_dropout": 0.0}
    still = {
        "plain_steps": 0,
        "splices": 0.0,
        "speeds": (1.0,),
        "time_masks": 0,
        "frequency_masks": 0,
        "averaging": 0.9,
        "validate_every": 50,
    }
    return {**small, **trained, **still, **values}


@pytest.fixture(scope="module")
def causal() -> SpeechRecognizer:
    texts = sentences(60)
    sounds = [spoken(text, seed, PAUSES[seed % 3]) for seed, text in enumerate(texts)]
    recognizer = SpeechRecognizer(
        **options(
            bidirectional=False,
            look_ahead=0.1,
            hidden_size=48,
            batch_seconds=12.0,
            max_steps=400,
            validation_fraction=0.0,
        )
    )
    return recognizer.fit(sounds, texts, progress=False)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("speech")
    train = write_manifest(folder, sentences(60))
    recognizer = SpeechRecognizer(**options(validation_fraction=0.2))
    recognizer.fit(train, folder=folder / "run", progress=False)
    return folder / "run"


def test_it_learns_to_write_what_it_hears(run: Path, tmp_path: Path) -> None:
    test = write_manifest(tmp_path, sentences(20, seed=9), "test.jsonl", seed=1000)
    recognizer = SpeechRecognizer.load(run)
    evaluation = recognizer.evaluate(test)
    assert evaluation.scores["WER"] < 0.1
    assert evaluation.scores["CER"] <= evaluation.scores["WER"]
    assert evaluation.baselines["the commonest text"]["WER"] > 0.5
    assert {"transcripts", "speakers"} <= set(evaluation.tables)
    assert recognizer.predict(test) == [row[3] for row in evaluation.tables["transcripts"].rows]
    written = evaluation.write(tmp_path / "evaluation")
    assert {"recording.png", "reliability.png", "characters.png"} <= {path.name for path in written}
    # Nearly all words are right, and the confidence that was fitted on validation data says so.
    error = evaluation.facts["expected_calibration_error"]
    assert error["calibrated"] < 0.1
    assert any(f"{100 * error['calibrated']:.1f} points" in note for note in evaluation.notes)


def test_words_have_times_and_confidence(run: Path) -> None:
    recognizer = SpeechRecognizer.load(run)
    ((segment,),) = recognizer.predictions([spoken("ab c ba", 5)])
    assert recognizer.transcribe([spoken("ab c ba", 5)]).values == [[segment]]
    assert segment.text == "ab c ba"
    # Tones begin at 0.1 s; a word of two letters is 0.24 s, and a pause 0.12 s.
    expected = [(0.1, 0.34), (0.46, 0.58), (0.7, 0.94)]
    for word, (begin, end) in zip(segment.words, expected, strict=True):
        assert begin - 0.15 < word.begin < word.end < end + 0.15
        assert 0.3 < word.confidence <= 1


def test_known_texts_are_aligned(run: Path, tmp_path: Path) -> None:
    recognizer = SpeechRecognizer.load(run)
    sounds, texts = [spoken("ab c ba", 5), spoken("cab", 6)], ["AB, c ba", "cab"]
    aligned = recognizer.align(sounds, texts)
    transcribed = recognizer.transcribe(sounds).values
    for segment, (other,) in zip(aligned.values, transcribed, strict=True):
        assert segment.text == other.text
        for word, same in zip(segment.words, other.words, strict=True):
            assert abs(word.begin - same.begin) <= 0.08
            assert abs(word.end - same.end) <= 0.08
            assert "".join(unit.text for unit in word.units) == word.text
            assert word.begin == word.units[0].begin < word.units[-1].end == word.end
    rows = list(map(json.loads, aligned.write(tmp_path / "a.json")[0].read_text().splitlines()))
    assert [row["text"] for row in rows] == ["ab c ba", "cab"]
    ctm = recognizer.align(sounds, texts, form="ctm").write(tmp_path / "a.ctm")[0].read_text()
    assert recognizer.align(sounds, texts).write(tmp_path / "b.ctm")[0].read_text() == ctm
    assert [line.split()[4] for line in ctm.splitlines()] == ["ab", "c", "ba", "cab"]
    grids = recognizer.align(sounds, texts, form="textgrid").write(tmp_path / "grids")
    assert [path.suffix for path in grids] == [".TextGrid"] * 2
    # What is not said is aligned too, with little confidence.
    assert recognizer.align(sounds[1:], ["ba"]).values[0].confidence < 0.2 < aligned.values[1].confidence
    with pytest.raises(DataError, match=r"too short for its text: 60 characters need 2\.40 s"):
        _ = recognizer.align(sounds[1:], ["abc" * 20]).values
    with pytest.raises(DataError, match=r"^2: 'x' in 'xyz' is not in the alphabet.* can be aligned"):
        _ = recognizer.align(sounds, [texts[0], "xyz"]).values


def test_pictures_show_units_words_and_characters(run: Path, tmp_path: Path, drawn: list[Any]) -> None:
    fitted = SpeechRecognizer.load(run).fitted
    sound = spoken("ab c ba", 5)
    for text in ("ab c ba", "abc" * 20):
        draw_recording(fitted, utterances_of([sound], [text]), 0, tmp_path / "recording.png")
    features, units, words = drawn[0].axes
    assert [one.get_text() for one in units.texts] == [*"abcba"]
    assert [one.get_text() for one in words.texts] == ["ab", "c", "ba"] * 2
    assert [one.get_text() for one in words.get_yticklabels()] == ["text, aligned", "written"]
    # The second text is too long to be aligned.
    assert [one.get_text() for one in drawn[1].axes[2].texts] == ["ab", "c", "ba"]
    assert features.images[0].get_array().shape[0] == 16
    draw_characters(["ab c", "b"], ["ac c", "bb"], tmp_path / "characters.png")
    labels = [one.get_text() for one in drawn[2].axes[0].get_yticklabels()]
    assert labels == ["space", "a", "b", "c", "nothing"]
    counts = {one.get_position(): one.get_text().split()[-1] for one in drawn[2].axes[0].texts}
    # A "b" is written as "c", and another one where nothing is.
    assert counts[3, 2] == counts[2, 4] == counts[2, 2] == "1"


@needs_extension
def test_an_ngram_model_has_the_words_of_transcripts(run: Path, tmp_path: Path) -> None:
    recognizer = SpeechRecognizer.load(run)
    (tmp_path / "texts.txt").write_text("AB, c ba!\n\nab c\n")
    assert main(["ngrams", str(run), "--data", str(tmp_path / "texts.txt"), "--out", str(tmp_path / "a.arpa.gz")]) == 0
    model = read_arpa(tmp_path / "a.arpa.gz")
    assert sorted(model.words) == ["</s>", "<s>", "<unk>", "ab", "ba", "c"]
    assert model.order == 4
    for data in (["Ab c ba", "ab c"], utterances_of([spoken("ab c", 1)] * 2, ["ab c ba", "ab c"])):
        result = recognizer.ngrams(data, order=2)
        assert (result.model.order, result.model.words) == (2, model.words)
    assert list(recognizer.ngrams(["ab"]).remarks()) == [
        "no sentence is long enough for n-grams of 4 words; the longest have 3"
    ]
    search = Search(lm=str(tmp_path / "a.arpa.gz"), closed=True)
    assert set(recognizer.predict([spoken("cab", 6)], search=search)[0].split()) <= {"ab", "ba", "c"}
    with pytest.raises(DataError, match="no sentences"):
        recognizer.ngrams(["..."])


def test_arrays_are_at_the_rate_of_the_network(run: Path) -> None:
    recognizer = SpeechRecognizer.load(run)
    recognizer.sample_rate = None
    assert recognizer.predict([spoken("ab c", 5).samples]) == ["ab c"]


def test_forms_of_transcripts(run: Path, tmp_path: Path) -> None:
    recognizer = SpeechRecognizer.load(run)
    sound = [spoken("ab c", 5)]
    text = {form: "".join(recognizer.transcribe(sound, form=form).text()) for form in ("text", "srt", "vtt", "ctm")}
    assert text["text"] == "ab c\n"
    assert text["srt"].startswith("1\n00:00:00,")
    assert text["srt"].endswith("\nab c\n")
    assert text["vtt"].startswith("WEBVTT\n\n00:00:00.")
    assert [line.split()[4] for line in text["ctm"].splitlines()] == ["ab", "c"]
    (row,) = map(json.loads, "".join(recognizer.transcribe(sound, form="json").text()).splitlines())
    assert [word["word"] for word in row["words"]] == ["ab", "c"]
    assert "".join(recognizer.transcribe(sound, srt=True).text()) == text["srt"]
    assert recognizer.transcribe(sound, srt=True).write(tmp_path / "a.srt") == [tmp_path / "a.srt"]
    [named] = recognizer.transcribe(sound).write(tmp_path / "b.srt")
    assert named.read_text() == (tmp_path / "a.srt").read_text()
    with pytest.raises(ParameterError, match="form"):
        recognizer.transcribe(sound, form="vtt", srt=True)


@needs_extension
def test_chunks_of_any_size_give_the_same_transcript(causal: SpeechRecognizer) -> None:
    # Pauses of two seconds end utterances, and a long utterance ends by its length.
    pause = spoken("", 8, seconds_before=2.0).samples
    spans = [spoken("ab cab", 1), spoken("c ba ab c cab ba", 2), spoken("ba", 3)]
    samples = np.concatenate([part for sound in spans for part in (sound.samples, pause)])
    whole = causal.transcribe(utterances_of([samples], sample_rate=RATE), longest=1.5).values[0]
    assert len(whole) > 3
    assert " ".join(segment.text for segment in whole) == "ab cab c ba ab c cab ba ba"
    live = LiveTranscriber(causal.fitted, longest=1.5)  # of one recording after the other
    for size in (37, 400, 1111, 16000, len(samples)):
        chunks = [samples[start : start + size] for start in range(0, len(samples), size)]
        segments = [segment for chunk in chunks for segment in live.accept(chunk)] + live.finish()
        assert segments == whole


@needs_extension
def test_a_stream_writes_what_the_whole_network_writes(causal: SpeechRecognizer) -> None:
    texts = sentences(8, seed=4)
    sounds = [spoken(text, 500 + k) for k, text in enumerate(texts)]
    live = ["".join(segment.text for segment in segments) for segments in causal.transcribe(sounds).values]
    assert live == causal.predict(sounds) == texts


@needs_extension
def test_confidence_is_calibrated_in_every_form(causal: SpeechRecognizer) -> None:
    fitted, sound = causal.fitted, [spoken("ab c", 5)]
    raw = [word.confidence for word in causal.transcribe(sound).values[0][0].words]
    fitted.learned, learned = replace(fitted.learned, confidence=ConfidenceMap(0.5, -1.0)), fitted.learned
    try:
        read_again = SpeechLearned.from_json(json.loads(json.dumps(fitted.learned.to_json())), {})
        expected = pytest.approx([ConfidenceMap(0.5, -1.0)(one) for one in raw], abs=1e-3)
        for search in (Search(), Search(beam_size=8)):
            live = causal.transcribe(sound, search=search).values[0][0]
            whole = causal.predictions(sound, search=search)[0][0]
            assert [word.confidence for word in live.words] == expected
            assert [word.confidence for word in whole.words] == expected
    finally:
        fitted.learned = learned
    assert read_again.confidence == ConfidenceMap(0.5, -1.0)


@needs_extension
def test_a_beam_is_searched_in_a_stream_too(causal: SpeechRecognizer) -> None:
    pause = spoken("", 8, seconds_before=4.0).samples
    samples = np.concatenate([pause, spoken("ab cab", 1).samples, pause, spoken("c ba", 2).samples])
    search = Search(beam_size=10)
    whole = LiveTranscriber(causal.fitted, search=search)
    segments = whole.accept(samples) + whole.finish()
    assert [segment.text for segment in segments] == ["ab cab", "c ba"]
    begin = (len(samples) - len(spoken("c ba", 2).samples)) / RATE + 0.1
    assert segments[1].begin == pytest.approx(begin, abs=0.2)
    live = LiveTranscriber(causal.fitted, search=search)
    chunks = [samples[start : start + 777] for start in range(0, len(samples), 777)]
    assert [segment for chunk in chunks for segment in live.accept(chunk)] + live.finish() == segments
    words = causal.evaluate([spoken("ab c", 5)], ["ab c"], search=search)
    assert words.scores["WER"] == 0


@needs_extension
@pytest.mark.parametrize(
    ("search", "normalization"), [(Search(), "sliding"), (Search(), None), (Search(beam_size=5), None)]
)
def test_sessions_write_what_a_recording_has(
    causal: SpeechRecognizer, search: Search, normalization: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three streams beside each other, each state read from its bytes before every item."""
    monkeypatch.setitem(causal.fitted.options, "normalization", normalization)
    pause = spoken("", 8, seconds_before=1.5).samples
    texts = ("ab cab", "c ba ab c cab ba ab cab", "ba")
    sounds = [np.concatenate([spoken(text, k).samples, pause, spoken(text, 9).samples]) for k, text in enumerate(texts)]
    stream = causal.open_stream(search=search, longest=1.5)
    contents = [stream.new_state().to_bytes()] * 3
    heard: list[list[Any]] = [[], [], []]
    for begin in range(0, max(map(len, sounds)) + 700, 700):
        items = [sound[begin : begin + 700].tolist() or None for sound in sounds]
        states = [stream.read_state(content) for content in contents]
        for segments, result in zip(heard, stream.step(items, states), strict=True):
            segments += result["final"]
        contents = [state.to_bytes() for state in states]
    for sound, segments in zip(sounds, heard, strict=True):
        live = LiveTranscriber(causal.fitted, longest=1.5, search=search)
        expected = live.accept(sound) + live.finish()
        assert [segment.text for segment in expected] == [segment["text"] for segment in segments]
        for one, segment in zip(expected, segments, strict=True):
            assert (segment["begin"], segment["end"]) == pytest.approx((one.begin, one.end), abs=1e-3)
            assert segment["confidence"] == pytest.approx(one.confidence, abs=1e-3)
        assert len(segments) > 1


@needs_extension
def test_items_that_are_no_sound_leave_the_state(causal: SpeechRecognizer) -> None:
    stream = causal.open_stream()
    state = stream.new_state()
    stream.step([spoken("ab", 1).samples.tolist()], [state])
    before = state.copy()
    for item in ([], "no base64", [None], [float("nan")], {"samples": [0.0]}, 1):
        with pytest.raises(DataError, match="item: expected"):
            stream.step([item], [state])
    assert state == before
    with pytest.raises(StreamError, match="another model"):
        causal.open_stream(longest=1.5).read_state(state.to_bytes())
    with pytest.raises(StreamError, match="look_ahead"):
        causal.open_stream(look_ahead=2)


@needs_extension
def test_partial_words_do_not_change_before_their_utterance_ends(causal: SpeechRecognizer) -> None:
    samples = spoken("ab c ba cab", 7).samples
    live, before = LiveTranscriber(causal.fitted), ""
    for start in range(0, len(samples), 160):
        assert not live.accept(samples[start : start + 160])
        assert live.partial.text.startswith(before)
        before = live.partial.text
    assert before
    assert live.finish()[0].text == "ab c ba cab"


@needs_extension
def test_standard_input_is_transcribed_as_it_comes(causal: SpeechRecognizer, monkeypatch: pytest.MonkeyPatch) -> None:
    pause = spoken("", 8, seconds_before=2.0).samples
    samples = np.concatenate([spoken("ab", 1).samples, pause, spoken("cab c", 2).samples])
    data = (samples * 32767).astype("<i2").tobytes()
    monkeypatch.setattr("sys.stdin", type("Input", (), {"buffer": io.BytesIO(data)})())
    lines = "".join(causal.transcribe("-").text()).splitlines()
    assert [line.split(maxsplit=1)[1] for line in lines] == ["ab", "cab c"]
    assert float(lines[1].split()[0]) == pytest.approx(2.66, abs=0.3)


def test_a_network_that_reads_backward_does_not_transcribe_live(run: Path) -> None:
    with pytest.raises(StreamError, match="--no-bidirectional"):
        SpeechRecognizer.load(run).transcribe("-")


@pytest.mark.parametrize("units", ["words", "characters"])
def test_a_resumed_training_equals_a_whole_one(tmp_path: Path, units: str) -> None:
    train = write_manifest(tmp_path, sentences(12))

    def trained(**values: Any) -> SpeechRecognizer:
        constant = {"validation_fraction": 0.0, "schedule": "constant", "units": units, "max_steps": 8}
        return SpeechRecognizer(**options(**constant, **values))

    short = trained().set_params(max_steps=4)
    short.fit(train, folder=tmp_path / "run", progress=False)
    resumed = trained().fit(folder=tmp_path / "run", resume=True, progress=False)
    whole = trained().fit(train, progress=False)
    for name, weights in whole.fitted.network.state_dict().items():
        np.testing.assert_allclose(weights.numpy(), resumed.fitted.network.state_dict()[name].numpy(), atol=1e-6)


def test_a_long_recording_is_cut_where_it_is_quiet(run: Path) -> None:
    texts = sentences(30, seed=3)
    samples = np.concatenate([spoken(text, k, gap=0.2).samples for k, text in enumerate(texts)])
    assert len(samples) > 31 * RATE
    (segments,) = SpeechRecognizer.load(run).transcribe(utterances_of([samples], sample_rate=RATE)).values
    assert len(segments) > 1
    words = [word for segment in segments for word in segment.words]
    assert [word.begin for word in words] == sorted(word.begin for word in words)
    assert abs(len(words) - len(" ".join(texts).split())) <= 15
    # It is evaluated as it is transcribed.
    recognizer, long = SpeechRecognizer.load(run), utterances_of([samples], [" ".join(texts)], RATE)
    evaluation = recognizer.evaluate(long)
    assert [row[3] for row in evaluation.tables["transcripts"].rows] == recognizer.predict(long)
    assert "0.5 minutes" in evaluation.title or "0.6 minutes" in evaluation.title
    assert evaluation.scores["WER"] < 0.3


def test_what_cannot_be_is_refused(run: Path) -> None:
    with pytest.raises(ParameterError, match="look_ahead"):
        SpeechRecognizer(look_ahead=0.2)
    with pytest.raises(ParameterError, match="normalization"):
        SpeechRecognizer(bidirectional=False, normalization="utterance")
    with pytest.raises(ParameterError, match="subsampling"):
        SpeechRecognizer(subsampling=3)
    with pytest.raises(DataError, match="too short for its text"):
        SpeechRecognizer(**options(subsampling=8)).fit([spoken("c", 0)], ["abcabcabcabcabcabcabc"], progress=False)
    many = [spoken("c", 0)] * 9
    with pytest.raises(DataError, match=r"1 of 9 .* the 5 % .*item 9.*0\.\d\d s, expected at least 1\.68 s"):
        SpeechRecognizer(**options(subsampling=8)).fit(many, [*"cccccccc", "abcabcabcabcabcabcabc"], progress=False)
    with pytest.raises(DataError, match="there is no text"):
        SpeechRecognizer(**options()).fit([spoken("c", 0)], progress=False)
    with pytest.raises(DataError, match="too short"):
        SpeechRecognizer(**options()).fit([Sound(np.ones(80, np.float32), RATE)], ["c"], progress=False)
    with pytest.raises(DataError, match="too short"):
        SpeechRecognizer.load(run).view([Sound(np.ones(80, np.float32), RATE)])
    with pytest.raises(ParameterError, match="row"):
        SpeechRecognizer.load(run).view([spoken("c", 0)], row=2)


def test_what_is_left_out_is_written_into_the_folder(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    train = write_manifest(tmp_path, [*sentences(9), "cab"])
    *lines, last = train.read_text().splitlines()
    train.write_text("\n".join([*lines, last.replace('"cab"', '"cabcabcabcabcabcabcab"')]))
    (tmp_path / "train.jsonl-4.wav").write_bytes(b"RIFF")
    reading = SpeechReading(most_unusable=0.2)
    recognizer = SpeechRecognizer(**options(max_steps=1, validation_fraction=0.0, subsampling=8))
    recognizer.fit(train, reading=reading, folder=tmp_path / "run", progress=False)
    lines = (tmp_path / "run" / "problems.tsv").read_text().splitlines()
    assert lines[0].split("\t") == ["use", "where", "file", "reason"]
    assert [line.split("\t")[0] for line in lines[1:]] == ["left out"] * 2
    assert f"{train}, line 5" in lines[1]
    assert f"{train}, line 10" in lines[2]
    assert "too short for its text" in lines[2]
    assert "line 5" in caplog.text
    assert "line 10" in caplog.text
    evaluation = recognizer.evaluate(train, reading=reading)
    assert len(evaluation.tables["problems"].rows) == 1
    assert len(evaluation.tables["transcripts"].rows) == 9
    with pytest.raises(DataError, match="1 of 10 utterances cannot be used, more than the 5 %"):
        recognizer.evaluate(train, reading=SpeechReading())


def test_an_inspection_shows_a_recording(run: Path) -> None:
    inspection = SpeechRecognizer.load(run).inspect([spoken("ab c", 5)], progress=False)
    assert inspection.attribution is not None
    assert "ab c" in inspection.words.facts["looked at"]


def test_texts_are_normalized_when_they_are_read() -> None:
    read = SpeechRecognizer(**options()).read([spoken("ab", 0)], ["  AB,  b "], None, True)
    assert read.texts == ("ab b",)


@pytest.mark.parametrize("aligned", [True, False])
def test_splices_are_trained_on_too(run: Path, aligned: bool, caplog: pytest.LogCaptureFixture) -> None:
    texts = ["ab c", "ba cab", "c", "ab ba cab"]
    sounds = [spoken(text, seed, gap=0.2) for seed, text in enumerate(texts)]
    values: dict[str, Any] = {"splices": None, "align_by": str(run) if aligned else None, "max_steps": 2}
    with caplog.at_level("INFO", "recurra.speech"):
        SpeechRecognizer(**options(**values)).fit(sounds, texts, progress=False)
    assert "16 recordings are made of the words of 4" in caplog.text


def test_a_run_to_align_by_is_one_of_speech(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="nowhere"):
        SpeechRecognizer(**options(splices=1.0, align_by=str(tmp_path / "nowhere"))).fit(
            [spoken("ab c", 1), spoken("ba", 2)], ["ab c", "ba"], progress=False
        )
