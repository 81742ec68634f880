import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from made_sentences import columns, conllu, sentences
from recurra.data.text.conll import Sentence
from recurra.data.text.tag_schemes import Span
from recurra.errors import DataError, ParameterError, RunError
from recurra.tasks.tag import Tagger, TagReading
from recurra.training import load_last
from standard_input import StandardInput

SMALL: dict[str, Any] = {
    "hidden_size": 8, "word_size": 6, "character_size": 4, "character_hidden_size": 4, "max_steps": 60,
    "batch_size": 8, "validate_every": 20, "learning_rate": 0.03, "averaging": 0.8, "dropout": 0.1, "device": "cpu",
}  # fmt: skip


@pytest.fixture(scope="module")
def tagger() -> Tagger:
    return Tagger(**SMALL).fit(sentences(60), validation=sentences(20, 1), progress=False)


def words(given: list[list[tuple[str, str]]]) -> list[list[str]]:
    return [[word for word, _ in sentence] for sentence in given]


def test_it_learns(tagger: Tagger) -> None:
    evaluation = tagger.evaluate(sentences(30, 2))
    assert evaluation.scores["F1"] == evaluation.scores["accuracy"] == evaluation.score == 1
    assert evaluation.baselines["most frequent tag of each word"]["F1"] < 0.9
    assert evaluation.facts["unseen_tags"] == {}
    assert evaluation.facts["sentences"] == 30


@pytest.mark.parametrize(
    ("output", "characters"), [("softmax", "recurrent"), ("crf", "convolution"), ("softmax", "none")]
)
def test_every_model_learns_parts_of_speech(output: str, characters: str) -> None:
    options = {**SMALL, "output": output, "characters": characters, "cell": "gru", "num_layers": 2, "max_steps": 60}
    tagger = Tagger(**options).fit(sentences(60, entities=False), progress=False)
    evaluation = tagger.evaluate(sentences(10, 1, entities=False))
    assert set(evaluation.scores) == {"accuracy"}
    assert evaluation.score > 0.95
    assert tagger.predict(["Ann sees Bob"])[0].tags == ("NAME", "VERB", "NAME")


def test_spelling_tells_what_an_unknown_word_is() -> None:
    """Words in -ed are verbs: what is never seen is told by its characters, and not without them."""
    stems = [f"{a}{b}{c}" for a in "bdfgk" for b in "aeiou" for c in "lmnr"]
    data = [[(f"{stem}ed", "V"), (f"{other}us", "N")] for stem, other in zip(stems, stems[::-1], strict=True)]
    swapped = [list(reversed(sentence)) for sentence in data]
    options = {**SMALL, "unknown_rate": 5.0, "max_steps": 60}
    known = Tagger(**options).fit(data[:60] + swapped[:60], progress=False).evaluate(data[80:] + swapped[80:])
    assert known.facts["unknown_words"] > 0
    assert known.facts["unknown_accuracy"] > 0.95
    blind = Tagger(**options, characters="none").fit(data[:60] + swapped[:60], progress=False)
    assert blind.evaluate(data[80:] + swapped[80:]).facts["unknown_accuracy"] < 0.9


def test_a_batch_of_one_is_a_batch_of_many(tagger: Tagger) -> None:
    given = [*words(sentences(20, 3)), ["Ann"], ["Zzz"] * 40]
    together = tagger.predict(given)
    for sentence, found in zip(given, together, strict=True):
        alone = tagger.predict([sentence])[0]
        assert alone.tags == found.tags
        assert_allclose(alone.confidence, found.confidence, atol=1e-5)
        assert found.words == tuple(sentence)
        assert all(0 < value <= 1 + 1e-6 for value in found.confidence)


def test_confidence_is_the_marginal_probability(tagger: Tagger) -> None:
    (found,) = tagger.predict(["Ann Bob sees Cyd"])
    assert found.tags == ("B-PER", "I-PER", "O", "B-PER")
    assert found.spans == [Span("PER", 0, 2), Span("PER", 3, 4)]
    assert min(found.confidence) > 0.5
    (odd,) = tagger.predict(["sees Ann sees Ann sees"])
    assert min(odd.confidence) < min(found.confidence)


def test_entities_in_any_scheme(tagger: Tagger) -> None:
    assert tagger.predict(["Ann Bob sees Cyd"], scheme="iobes")[0].tags == ("B-PER", "E-PER", "O", "S-PER")
    assert tagger.predict(["Ann Bob sees Cyd"], scheme="iob1")[0].tags == ("I-PER", "I-PER", "O", "I-PER")
    iob1 = [[(word, tag.replace("B-", "I-")) for word, tag in sentence] for sentence in sentences(20, 5)]
    evaluation = tagger.evaluate(iob1)
    assert evaluation.scores["accuracy"] == evaluation.scores["F1"] == 1


def test_save_and_load(tagger: Tagger, tmp_path: Path) -> None:
    tagger.save(tmp_path / "run")
    loaded = Tagger.load(tmp_path / "run")
    given = words(sentences(10, 4))
    assert loaded.predict(given) == tagger.predict(given)
    assert loaded.get_params() == tagger.get_params()
    assert loaded.evaluate(sentences(9, 4)).to_dict() == tagger.evaluate(sentences(9, 4)).to_dict()
    with pytest.raises(RunError, match="already holds a run"):
        tagger.save(tmp_path / "run")


def test_pretrained_vectors_are_read_saved_and_used(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    known = dict.fromkeys(word for sentence in words(sentences(60)) for word in sentence)
    lines = [f"{word} {' '.join(f'{value:.4f}' for value in generator.normal(size=5))}" for word in [*known, "Gus"]]
    path = write(tmp_path / "v.txt", "\n".join(lines) + "\n")
    options = {**SMALL, "vectors": str(path)}
    tagger = Tagger(**options).fit(sentences(60), progress=False)
    tagger.save(tmp_path / "run")
    path.unlink()
    loaded = Tagger.load(tmp_path / "run")
    given = ["Gus sees Ann", "Hal sees Ann"]
    assert loaded.predict(given) == tagger.predict(given)
    gus, hal = tagger.predict(given)
    assert gus.confidence != hal.confidence
    path.write_text("\n".join(lines) + "\n")
    few = Tagger(**{**options, "max_steps": 1, "max_vectors": 2}).fit(sentences(9), progress=False)
    assert few.fitted.learned.vectors is not None
    assert few.fitted.learned.vectors.shape == (3, 5)


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_comes_back_in_its_own_format_and_scheme(tagger: Tagger, tmp_path: Path) -> None:
    given = sentences(5, 6)
    blank = [[(word, "O") for word, _ in sentence] for sentence in given]
    out = tmp_path / "out" / "tagged"
    tagger.predictions(write(tmp_path / "a.conll", columns(blank)), reading=TagReading(tag_column="2")).write(out)
    assert out.read_text() == columns(given)
    tagger.predictions(write(tmp_path / "b.txt", "Ann Bob sees Cyd\n\nEve calls Dan\n")).write(out)
    assert out.read_text() == "Ann/B-PER Bob/I-PER sees/O Cyd/B-PER\n\nEve/B-PER calls/O Dan/B-PER\n"
    iobes = [[("Bob", "S-PER"), ("Ann", "O"), ("calls", "O"), ("Eve", "O")]]
    tagger.predictions(write(tmp_path / "c.conll", columns(iobes)), reading=TagReading(tag_column="2")).write(out)
    assert out.read_text() == "Bob B-PER\nAnn E-PER\ncalls O\nEve S-PER\n"
    with pytest.raises(ParameterError, match="tag_column: expected the column of a CoNLL-U file"):
        tagger.predict(write(tmp_path / "d.conllu", conllu(given)))
    found = tagger.predictions(tmp_path / "d.conllu", reading=TagReading(tag_column="xpos"), confidence=True)
    found.write(out)
    assert out.read_text().splitlines()[1].startswith(f"1\t{given[0][0][0]}\t_\tB-PER\tB-PER\t_\t0\troot\t_\tTagConf")
    assert tagger.predict(tmp_path / "b.txt")[1].tags == ("B-PER", "O", "B-PER")
    assert [sentence.tags for sentence in found.values] == [tuple(tag for _, tag in sentence) for sentence in given]


def test_a_run_reads_files_as_it_was_trained(tmp_path: Path) -> None:
    lines = [[(f"x {word}", tag) for word, tag in sentence] for sentence in sentences(30)]
    path = write(tmp_path / "a.conll", columns(lines))
    reading = TagReading(columns=("n", "w", "t"), word_column="w", tag_column="t")
    tagger = Tagger(**{**SMALL, "max_steps": 5}).fit(path, validation=path, reading=reading, progress=False)
    assert tagger.evaluate(path).facts["words"] == sum(map(len, lines))
    bare = write(tmp_path / "b.conll", "x Ann\nx sees\n\nx Bob\n")
    tagger.predictions(bare).write(tmp_path / "out")
    assert all(len(line.split()) == 3 for line in (tmp_path / "out").read_text().splitlines() if line)


def test_a_text_file_with_training_s_columns_is_read_as_in_training(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = sentences(30)
    path = write(tmp_path / "a.txt", columns(given))
    tagger = Tagger(**{**SMALL, "max_steps": 5}).fit(path, validation=path, progress=False)
    tagger.save(tmp_path / "run")
    tagger = Tagger.load(tmp_path / "run")
    expected = words(given)
    assert [list(one.words) for one in tagger.predict(path)] == expected
    assert "WARNING" not in caplog.text
    bare = write(tmp_path / "b.txt", "".join("".join(f"{word}\n" for word in one) + "\n" for one in expected))
    assert [list(one.words) for one in tagger.predict(bare)] == expected
    assert "read in columns, a word a line, as the training file; if a line is a sentence, say so" in caplog.text
    caplog.clear()
    one = write(tmp_path / "c.txt", "Ann B-PER\nsees O\n")
    assert [found.words for found in tagger.predict(one)] == [("Ann", "sees")]
    assert "--format text" in caplog.text
    monkeypatch.setattr("sys.stdin", StandardInput(one.read_bytes()))
    assert [found.words for found in tagger.predict("-")] == [("Ann", "sees")]
    # Two words a line, of which the second is no tag.
    monkeypatch.setattr("sys.stdin", StandardInput(b"Ann sees.\nBob calls.\n"))
    assert [found.words for found in tagger.predict("-")] == [("Ann", "sees", "."), ("Bob", "calls", ".")]
    assert len(tagger.predict(one, reading=TagReading(format="text"))) == 2
    caplog.clear()
    mixed = write(tmp_path / "d.txt", "Ann sees\nBob calls Ann\n")
    assert [found.words for found in tagger.predict(mixed)] == [("Ann", "sees"), ("Bob", "calls", "Ann")]
    assert "read as plain text, a sentence a line" in caplog.text
    caplog.clear()
    assert len(tagger.predict(write(tmp_path / "e.txt", "Ann sees Bob now\n"))) == 1
    assert not caplog.text


def test_other_separators_and_line_ends_come_back(tmp_path: Path) -> None:
    given = sentences(30)
    text = columns(given).replace(" ", "|").replace("\n", "\r\n")
    path = tmp_path / "a.conll"
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    with pytest.raises(DataError, match=r"both in column 1. .* or what separates columns .*\(--separator\)"):
        Tagger(**SMALL).fit(path)
    tagger = Tagger(**SMALL).fit(path, validation=path, reading=TagReading(separator="|"), progress=False)
    tagger.save(tmp_path / "run")
    tagger = Tagger.load(tmp_path / "run")
    found = tagger.predictions(path)
    found.write(tmp_path / "out")
    assert [list(one.words) for one in found.values] == words(given)
    written = (tmp_path / "out").read_bytes()
    assert written.startswith(b"\xef\xbb\xbf")
    assert [line.count(b"|") for line in written.split(b"\r\n")] == [line.count("|") for line in text.split("\r\n")]
    lines = tmp_path / "b.txt"
    lines.write_bytes(b"Ann sees Bob\r\nEve runs off\r\n")
    tagger.predictions(lines).write(tmp_path / "out")
    assert (tmp_path / "out").read_bytes().count(b"\r\n") == 2


def test_a_list_of_words_is_one_sentence(tagger: Tagger) -> None:
    (found,) = tagger.predict(["Ann", "sees", "Bob"])
    assert found.words == ("Ann", "sees", "Bob")
    assert [one.words for one in tagger.predict(["Ann sees", "Bob"])] == [("Ann", "sees"), ("Bob",)]


def test_a_very_long_sentence_and_none(tagger: Tagger, tmp_path: Path) -> None:
    (found,) = tagger.predict([["Ann", "sees"] * 3000])
    assert len(found.tags) == 6000
    assert tagger.predict([]) == []
    assert list(tagger.predictions([]).text()) == ["0 words of 0 sentences\n"]
    empty = [sentence.words for sentence in tagger.predict(["Ann", "Bob sees"])]
    assert empty == [("Ann",), ("Bob", "sees")]
    with pytest.raises(DataError, match="sentence 2: expected one or more words, got ''"):
        tagger.predict(["Ann", ""])


def test_tags_that_training_never_saw_count_as_wrong(tagger: Tagger, caplog: pytest.LogCaptureFixture) -> None:
    data = [*sentences(3, 8), [("Ann", "B-ORG"), ("sees", "O")]]
    evaluation = tagger.evaluate(data)
    assert evaluation.facts["unseen_tags"] == {"ORG": 1}
    assert ["ORG", "model", 0.0, 0.0, 0.0, 1, 0, 0] in evaluation.tables["by_tag"].rows
    Tagger(**{**SMALL, "max_steps": 1}).fit(sentences(9), validation=data, progress=False)
    assert "tags that training never sees, which count as wrong: 'ORG' (1)" in caplog.text


def test_words_without_a_tag_are_not_learned_from() -> None:
    """Half of the tags are missing, and whole sentences of wrong words without any: what is left is learned."""
    data: list[list[tuple[str, str | None]]] = []
    for k, sentence in enumerate(sentences(80, entities=False)):
        data.append([(word, tag if (place + k) % 2 else None) for place, (word, tag) in enumerate(sentence)])
    data.append([("Ann", None), ("Bob", None)])
    tagger = Tagger(**SMALL).fit(data, progress=False)
    assert tagger.evaluate(sentences(10, 1, entities=False)).score > 0.95


def test_resumed_is_as_undisturbed(tmp_path: Path) -> None:
    """Stopped by its own patience of steps: the same weights, bit for bit, as in one go."""
    options = {**SMALL, "schedule": "constant", "max_steps": 12, "validate_every": 4}
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    data, valid = sentences(30), sentences(5, 1)
    Tagger(**options).fit(data, validation=valid, folder=straight, progress=False)
    tagger = Tagger(**options)

    class StopError(Exception):
        pass

    def interrupt(step: int) -> None:
        if step == 7:
            raise StopError

    from recurra.data.batches.buckets import Buckets

    original = Buckets.__call__
    with pytest.MonkeyPatch.context() as patch:

        def call(self: Buckets, step: int) -> np.ndarray:
            if self.steps_per_epoch == 4:
                interrupt(step)
            return original(self, step)

        patch.setattr(Buckets, "__call__", call)
        with pytest.raises(StopError):
            tagger.fit(data, validation=valid, folder=stopped, progress=False)
    assert load_last(stopped).values["step"] == 4
    Tagger.load(stopped)  # usable at any moment
    tagger.fit(data, validation=valid, folder=stopped, resume=True, progress=False)
    one, other = load_last(straight), load_last(stopped)
    assert one.values["step"] == other.values["step"] == 12
    for name, tensor in one.tensors.items():
        assert torch.equal(tensor, other.tensors[name]), name
    assert (straight / "log.csv").read_bytes() == (stopped / "log.csv").read_bytes()
    with pytest.raises(RunError, match=r"cannot resume with other dropout;"):
        Tagger(**{**options, "dropout": 0.3}).fit(
            data[:-1], validation=valid, folder=stopped, resume=True, progress=False
        )
    with pytest.raises(RunError, match=r"cannot resume with other data;"):
        Tagger(**options).fit(data[:-1], validation=valid, folder=stopped, resume=True, progress=False)
    with pytest.raises(RunError, match="already holds a run"):
        Tagger(**options).fit(data, validation=valid, folder=stopped, progress=False)


def test_the_loss_is_of_all_words_whatever_the_batch() -> None:
    tagger = Tagger(**{**SMALL, "dropout": 0.0, "unknown_rate": 0.0, "batch_size": 10})
    given = tagger.read(sentences(10), None, None, True)
    fitted = tagger.assemble(tagger.learn(given, None), None, {})
    objective = tagger.objective(fitted, given, None)
    batch = objective.batches(1)
    assert batch.weight == given.words
    with torch.no_grad():
        chain, _ = fitted.network(batch.inputs)
        loss = float(objective.loss(chain, batch.target))
        assert loss == pytest.approx(-float(chain.log_likelihood(batch.target).sum()) / batch.weight)
        assert loss < math.log(len(fitted.learned.tag_set.tags)) * 2


def test_fine_tuning_takes_over_what_has_the_same_meaning(tagger: Tagger, tmp_path: Path) -> None:
    """Words, characters and tags are found by name: their order differs here, and some are new.

    The masks of the CRF have the same shape in both, five tags, but another meaning.
    """
    tagger.save(tmp_path / "run")
    data = [[("Zoe", "B-ORG"), ("sees", "O"), ("Ann", "B-PER")], [("Ann", "B-PER"), ("Bob", "I-PER")]]
    other = Tagger(**{**SMALL, "max_steps": 1, "learning_rate": 1e-9, "averaging": 0.0, "scheme": "iob2"})
    other.fit(data, start_from=tmp_path / "run", progress=False)
    old, new = tagger.fitted, other.fitted
    names = [(fitted.network.state_dict(), fitted.learned.rows()) for fitted in (old, new)]
    for parameter, row in (("embedding.words.weight", "ann"), ("emissions.weight", "B-PER"), ("crf.starts", "B-PER")):
        one, two = (weights[parameter][rows[parameter].index(row)] for weights, rows in names)
        torch.testing.assert_close(one, two, atol=1e-6, rtol=0)
    fresh = Tagger(**other.get_params()).fit(data, progress=False).fitted
    masks = [fitted.network.state_dict()["crf.forbidden"] for fitted in (old, new, fresh)]
    assert masks[0].shape == masks[1].shape
    assert not torch.equal(masks[0], masks[1])
    assert torch.equal(masks[1], masks[2])


def test_refusals(tagger: Tagger, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"hidden: .*an option of Tagger"):
        Tagger(hidden=3)  # type: ignore[call-arg]
    refused: dict[str, Any] = {
        "output": "hmm", "scheme": "bilou", "characters": "bytes", "unknown_rate": -1, "hidden_size": 0,
        "dropout": 2, "cell": "tcn", "device": "tpu", "lowercase": 1, "max_vectors": 0,
    }  # fmt: skip
    for name, value in refused.items():
        with pytest.raises(ParameterError, match=f"^{name}: "):
            Tagger(**{name: value})
    with pytest.raises(RunError, match="not fitted"):
        Tagger().predict(["a"])
    with pytest.raises(DataError, match="the data, sentence 1: expected words and as many tags"):
        Tagger().fit([["Ann", "sees"]], [["X"]])
    with pytest.raises(DataError, match="y: expected tags of 1 sentences, got those of 2"):
        Tagger().fit(["Ann"], [["X"], ["Y"]])
    with pytest.raises(DataError, match="the data: expected sentences, got none"):
        Tagger().fit([])
    with pytest.raises(DataError, match=r"the data, sentence 1: expected pairs of word and tag, got 'Ann'"):
        Tagger().fit([["Ann"]])
    for wrong in (Sentence(()), Sentence(("a", "b"), ("X",))):
        with pytest.raises(DataError, match=r"the data, sentence 1: expected words and as many tags, got Sentence"):
            Tagger().fit([wrong])
    with pytest.raises(DataError, match=r"the data, sentence 2: expected one or more words"):
        Tagger().fit([[("a", "B")], []])
    with pytest.raises(DataError, match="the validation data: no word has a tag"):
        Tagger(**SMALL).fit(sentences(3), validation=[[("a", None)]])
    with pytest.raises(DataError, match=r"the data: no word has a tag"):
        tagger.evaluate([[("a", None)]])
    with pytest.raises(ParameterError, match="folder"):
        Tagger().fit(sentences(3), resume=True)
    with pytest.raises(ParameterError, match="scheme: expected one of iob1, iob2, iobes"):
        tagger.predict(["Ann"], scheme="bilou")
    with pytest.raises(ParameterError, match="format"):
        tagger.evaluate(write(tmp_path / "a.txt", "a b"), reading=TagReading(format="text"))
    tagger.save(tmp_path / "run")
    (tmp_path / "run" / "learned.json").write_text("{")
    with pytest.raises(RunError, match=r"damaged run\.json or learned\.json"):
        Tagger.load(tmp_path / "run")
    values = json.loads((tmp_path / "run" / "run.json").read_text())
    values["task"] = "forecast"
    (tmp_path / "run" / "run.json").write_text(json.dumps(values))
    with pytest.raises(RunError, match="a run of task 'forecast', expected 'tag'"):
        Tagger.load(tmp_path / "run")


def test_a_run_trained_on_lists_asks_for_them_when_resumed(tmp_path: Path) -> None:
    options = {**SMALL, "max_steps": 2}
    Tagger(**options).fit(sentences(5), folder=tmp_path / "run", progress=False)
    with pytest.raises(ParameterError, match="data: expected the examples that the run was trained on"):
        Tagger(**options).fit(folder=tmp_path / "run", resume=True)
