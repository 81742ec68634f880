import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from made_sentences import columns, conllu, sentences
from recurra.data.text.conll import ConllColumns, Sentence
from recurra.data.text.tag_schemes import Span
from recurra.data.text.word_vectors import WordVectors
from recurra.errors import DataError, ParameterError, RunError
from recurra.tasks.tag import Tagger, TagSettings
from recurra.training import load_last

SMALL: dict[str, Any] = {
    "hidden_size": 8, "word_size": 6, "character_size": 4, "character_hidden_size": 4, "max_steps": 60,
    "batch_size": 8, "validate_every": 20, "learning_rate": 0.03, "averaging": 0.8, "dropout": 0.1, "device": "cpu",
}  # fmt: skip


@pytest.fixture(scope="module")
def tagger() -> Tagger:
    return Tagger(**SMALL).fit(sentences(60), sentences(20, 1), progress=False)


def words(given: list[list[tuple[str, str]]]) -> list[list[str]]:
    return [[word for word, _ in sentence] for sentence in given]


def test_it_learns(tagger: Tagger) -> None:
    evaluation = tagger.evaluate(sentences(30, 2))
    assert evaluation.model.overall is not None
    assert evaluation.model.overall.f1 == 1
    assert evaluation.model.accuracy == 1
    assert evaluation.baseline.overall is not None
    assert evaluation.baseline.overall.f1 < 0.9
    assert evaluation.unseen_tags == {}
    assert evaluation.sentences == 30


@pytest.mark.parametrize(
    ("output", "characters"), [("softmax", "recurrent"), ("crf", "convolution"), ("softmax", "none")]
)
def test_every_model_learns_parts_of_speech(output: str, characters: str) -> None:
    options = {**SMALL, "output": output, "characters": characters, "cell": "gru", "num_layers": 2, "max_steps": 60}
    tagger = Tagger(**options).fit(sentences(60, entities=False), progress=False)
    evaluation = tagger.evaluate(sentences(10, 1, entities=False))
    assert evaluation.model.overall is None
    assert evaluation.model.accuracy > 0.95
    assert tagger.predict(["Ann sees Bob"])[0].tags == ("NAME", "VERB", "NAME")


def test_spelling_tells_what_an_unknown_word_is() -> None:
    """Words in -ed are verbs: what is never seen is told by its characters, and not without them."""
    stems = [f"{a}{b}{c}" for a in "bdfgk" for b in "aeiou" for c in "lmnr"]
    data = [[(f"{stem}ed", "V"), (f"{other}us", "N")] for stem, other in zip(stems, stems[::-1], strict=True)]
    swapped = [list(reversed(sentence)) for sentence in data]
    options = {**SMALL, "unknown_rate": 5.0, "max_steps": 60}
    known = Tagger(**options).fit(data[:60] + swapped[:60], progress=False).evaluate(data[80:] + swapped[80:])
    assert known.unknown_words > 0
    assert known.unknown_accuracy > 0.95
    blind = Tagger(**options, characters="none").fit(data[:60] + swapped[:60], progress=False)
    assert blind.evaluate(data[80:] + swapped[80:]).unknown_accuracy < 0.9


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
    assert evaluation.model.overall is not None
    assert evaluation.model.accuracy == evaluation.model.overall.f1 == 1


def test_save_and_load(tagger: Tagger, tmp_path: Path) -> None:
    tagger.save(tmp_path / "run")
    loaded = Tagger.load(tmp_path / "run")
    given = words(sentences(10, 4))
    assert loaded.predict(given) == tagger.predict(given)
    assert loaded.settings == tagger.settings
    assert loaded.evaluate(sentences(9, 4)) == tagger.evaluate(sentences(9, 4))
    with pytest.raises(RunError, match="already holds a run"):
        tagger.save(tmp_path / "run")


def test_pretrained_vectors_are_read_kept_and_used(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    known = [word for sentence in words(sentences(60)) for word in sentence]
    vectors = WordVectors(tuple(dict.fromkeys([*known, "Gus"])), np.empty((0, 0), np.float32))
    table = generator.normal(size=(len(vectors.words), 5)).astype(np.float32)
    table[vectors.words.index("Gus")] = table[vectors.words.index("Ann")]
    lines = [f"{w} {' '.join(map(repr, row))}" for w, row in zip(vectors.words, table.tolist(), strict=True)]
    (tmp_path / "v.txt").write_text("\n".join(lines) + "\n")
    options = {**SMALL, "characters": "none", "unknown_rate": 1.0, "max_steps": 30}
    tagger = Tagger(**options).fit(sentences(60), vectors=tmp_path / "v.txt", progress=False)
    tagger.save(tmp_path / "run")
    loaded = Tagger.load(tmp_path / "run")
    given = ["Gus sees Ann", "Hal sees Ann"]
    assert loaded.predict(given) == tagger.predict(given)
    gus, hal = tagger.predict(given)
    assert gus.confidence != hal.confidence
    few = Tagger(**{**options, "max_steps": 1, "max_vectors": 2}).fit(
        sentences(9), vectors=tmp_path / "v.txt", progress=False
    )
    assert few.model.vectors is not None
    assert few.model.vectors.shape == (3, 5)


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_comes_back_in_its_own_format_and_scheme(tagger: Tagger, tmp_path: Path) -> None:
    given = sentences(5, 6)
    blank = [[(word, "O") for word, _ in sentence] for sentence in given]
    out = tmp_path / "out" / "tagged"
    tagger.predict_file(write(tmp_path / "a.conll", columns(blank)), out, ConllColumns(tag="2"))
    assert out.read_text() == columns(given)
    tagger.predict_file(write(tmp_path / "b.txt", "Ann Bob sees Cyd\n\nEve calls Dan\n"), out)
    assert out.read_text() == "Ann/B-PER Bob/I-PER sees/O Cyd/B-PER\n\nEve/B-PER calls/O Dan/B-PER\n"
    iobes = [[("Bob", "S-PER"), ("Ann", "O"), ("calls", "O"), ("Eve", "O")]]
    tagger.predict_file(write(tmp_path / "c.conll", columns(iobes)), out, ConllColumns(tag="2"))
    assert out.read_text() == "Bob B-PER\nAnn E-PER\ncalls O\nEve S-PER\n"
    with pytest.raises(ParameterError, match="tag_column: expected the column of a CoNLL-U file"):
        tagger.predict_file(write(tmp_path / "d.conllu", conllu(given)), out)
    found = tagger.predict_file(tmp_path / "d.conllu", out, ConllColumns(tag="xpos"), confidence=True)
    assert out.read_text().splitlines()[1].startswith(f"1\t{given[0][0][0]}\t_\tB-PER\tB-PER\t_\t0\troot\t_\tTagConf")
    assert tagger.predict(tmp_path / "b.txt")[1].tags == ("B-PER", "O", "B-PER")
    assert [sentence.tags for sentence in found] == [tuple(tag for _, tag in sentence) for sentence in given]


def test_a_run_reads_files_as_it_was_trained(tmp_path: Path) -> None:
    lines = [[(f"x {word}", tag) for word, tag in sentence] for sentence in sentences(30)]
    path = write(tmp_path / "a.conll", columns(lines))
    tagger = Tagger(**{**SMALL, "max_steps": 5}).fit(
        path, path, ConllColumns(("n", "w", "t"), "w", "t"), progress=False
    )
    assert tagger.evaluate(path).model.words == sum(map(len, lines))
    bare = write(tmp_path / "b.conll", "x Ann\nx sees\n\nx Bob\n")
    tagger.predict_file(bare, tmp_path / "out")
    assert all(len(line.split()) == 3 for line in (tmp_path / "out").read_text().splitlines() if line)


def test_a_very_long_sentence_and_none(tagger: Tagger, tmp_path: Path) -> None:
    (found,) = tagger.predict([["Ann", "sees"] * 3000])
    assert len(found.tags) == 6000
    assert tagger.predict([]) == []
    empty = [sentence.words for sentence in tagger.predict(["Ann", "Bob sees"])]
    assert empty == [("Ann",), ("Bob", "sees")]
    with pytest.raises(DataError, match="sentence 2: expected one or more words, got ''"):
        tagger.predict(["Ann", ""])


def test_tags_that_training_never_saw_count_as_wrong(tagger: Tagger, caplog: pytest.LogCaptureFixture) -> None:
    data = [*sentences(3, 8), [("Ann", "B-ORG"), ("sees", "O")]]
    evaluation = tagger.evaluate(data)
    assert evaluation.unseen_tags == {"ORG": 1}
    assert evaluation.model.by_tag["ORG"].right == 0
    Tagger(**{**SMALL, "max_steps": 1}).fit(sentences(9), data, progress=False)
    assert "tags that training never sees, which count as wrong: 'ORG' (1)" in caplog.text


def test_words_without_a_tag_are_not_learned_from() -> None:
    """Half of the tags are missing, and whole sentences of wrong words without any: what is left is learned."""
    data: list[list[tuple[str, str | None]]] = []
    for k, sentence in enumerate(sentences(80, entities=False)):
        data.append([(word, tag if (place + k) % 2 else None) for place, (word, tag) in enumerate(sentence)])
    data.append([("Ann", None), ("Bob", None)])
    tagger = Tagger(**SMALL).fit(data, progress=False)
    assert tagger.evaluate(sentences(10, 1, entities=False)).model.accuracy > 0.95


def test_resumed_is_as_undisturbed(tmp_path: Path) -> None:
    """Stopped by its own patience of steps: the same weights, bit for bit, as in one go."""
    options = {**SMALL, "schedule": "constant", "max_steps": 12, "validate_every": 4}
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    data, valid = sentences(30), sentences(5, 1)
    Tagger(**options).fit(data, valid, folder=straight, progress=False)
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
            tagger.fit(data, valid, folder=stopped, progress=False)
    assert load_last(stopped).values["step"] == 4
    Tagger.load(stopped)  # usable at any moment
    tagger.fit(data, valid, folder=stopped, resume=True, progress=False)
    one, other = load_last(straight), load_last(stopped)
    assert one.values["step"] == other.values["step"] == 12
    for name, tensor in one.tensors.items():
        assert torch.equal(tensor, other.tensors[name]), name
    assert (straight / "log.csv").read_bytes() == (stopped / "log.csv").read_bytes()
    with pytest.raises(RunError, match=r"cannot resume with other dropout, data;"):
        Tagger(**{**options, "dropout": 0.3}).fit(data[:-1], valid, folder=stopped, resume=True, progress=False)
    vectors = WordVectors(("Ann",), np.ones((1, 2), np.float32))
    with pytest.raises(RunError, match=r"cannot resume with other vectors;"):
        Tagger(**options).fit(data, valid, vectors=vectors, folder=stopped, resume=True, progress=False)
    with pytest.raises(RunError, match="already holds a run"):
        Tagger(**options).fit(data, valid, folder=stopped, progress=False)


def test_the_loss_is_of_all_words_whatever_the_batch() -> None:
    from recurra.tasks.tag.fit import make_trainer, mean_loss, prepare

    given = [Sentence(*map(tuple, zip(*sentence, strict=True))) for sentence in sentences(10)]  # type: ignore[arg-type]
    model = prepare(given, TagSettings(**{**SMALL, "dropout": 0.0, "unknown_rate": 0.0, "batch_size": 10}), "here")
    trainer = make_trainer(model, given, progress=False)
    batch = trainer._update._batches(1)
    assert batch.weight == sum(len(sentence.words) for sentence in given)
    with torch.no_grad():
        chain, _ = model.network(batch.inputs)
        assert float(mean_loss(chain, batch.target)) == pytest.approx(
            -float(chain.log_likelihood(batch.target).sum()) / batch.weight
        )
        assert float(mean_loss(chain, batch.target)) < math.log(len(model.tag_set.tags)) * 2


def test_refusals(tagger: Tagger, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"options: expected names among .*got 'hidden'"):
        Tagger(hidden=3)
    refused: dict[str, Any] = {
        "output": "hmm", "scheme": "bilou", "characters": "bytes", "unknown_rate": -1, "hidden_size": 0,
        "dropout": 2, "cell": "tcn", "device": "tpu", "lowercase": 1, "max_vectors": 0,
    }  # fmt: skip
    for name, value in refused.items():
        with pytest.raises(ParameterError, match=f"^{name}: "):
            TagSettings(**{name: value})
    with pytest.raises(RunError, match="not fitted"):
        Tagger().predict(["a"])
    with pytest.raises(DataError, match="the data: no sentences are in it"):
        Tagger().fit([])
    with pytest.raises(DataError, match=r"the data, sentence 1: expected pairs of word and tag, got 'Ann'"):
        Tagger().fit([["Ann"]])
    for wrong in (Sentence(()), Sentence(("a", "b"), ("X",))):
        with pytest.raises(DataError, match=r"the data, sentence 1: expected words and as many tags, got Sentence"):
            Tagger().fit([wrong])
    with pytest.raises(DataError, match=r"the data, sentence 2: no words are in it"):
        Tagger().fit([[("a", "B")], []])
    with pytest.raises(DataError, match="the validation data: no word has a tag"):
        Tagger(**SMALL).fit(sentences(3), [[("a", None)]])
    with pytest.raises(DataError, match=r"the data: no word has a tag"):
        tagger.evaluate([[("a", None)]])
    with pytest.raises(ParameterError, match="folder"):
        Tagger().fit(sentences(3), resume=True)
    with pytest.raises(ParameterError, match="scheme: expected one of iob1, iob2, iobes, got 'bilou'"):
        tagger.predict(["Ann"], scheme="bilou")
    with pytest.raises(ParameterError, match="format"):
        tagger.evaluate(write(tmp_path / "a.txt", "a b"), kind="text")
    tagger.save(tmp_path / "run")
    (tmp_path / "run" / "vocabulary.json").write_text("{")
    with pytest.raises(RunError, match=r"damaged run\.json or vocabulary\.json"):
        Tagger.load(tmp_path / "run")
    values = json.loads((tmp_path / "run" / "run.json").read_text())
    values["task"] = "forecast"
    (tmp_path / "run" / "run.json").write_text(json.dumps(values))
    with pytest.raises(RunError, match="a run of task 'forecast', expected 'tag'"):
        Tagger.load(tmp_path / "run")
