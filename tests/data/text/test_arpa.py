"""Language models in ARPA's format: read, written, their probabilities by hand, and what is refused."""

import gzip
import math
import os
from pathlib import Path

import numpy as np
import pytest

from recurra.data.text.arpa import read_arpa, write_arpa
from recurra.data.text.kneser_ney import estimate_ngrams
from recurra.errors import DataError

TRIGRAM = """a comment with \\data\\ in it
p_1 wd_1

\\data\\
ngram 1=5
ngram 2=3
ngram  3=1

\\1-grams:
-1.0 <unk> -0.1
-99 <s>\t-0.5
-0.7 </s>
-0.4 A -0.2
-0.6 B -0.3

\\2-grams:
-0.3 <s> A -0.15
-0.2 A B
-0.25 B A -0.05

\\3-grams:
-0.05 <s> A B

\\end\\
"""


def test_probabilities_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "a.arpa"
    path.write_text(TRIGRAM)
    model = read_arpa(path)
    assert model.order == 3
    assert model.words == ("<unk>", "<s>", "</s>", "A", "B")

    def log10(context: str, word: str) -> float:
        return model.log_prob(context.split(), word) / math.log(10)

    assert log10("<s> A", "B") == pytest.approx(-0.05)  # the trigram
    assert log10("B A", "B") == pytest.approx(-0.05 - 0.2)  # back-off of B A, the bigram
    assert log10("B A", "A") == pytest.approx(-0.05 - 0.2 - 0.4)  # of B A and of A, the unigram
    assert log10("A B", "</s>") == pytest.approx(0 - 0.3 - 0.7)  # A B has no back-off weight
    assert log10("A A", "B") == pytest.approx(-0.2)  # no A A: the bigram as it is
    assert log10("A B", "C") == pytest.approx(0 - 0.3 - 1.0)  # an unknown word
    assert log10("C A", "B") == pytest.approx(-0.2)
    assert log10("A C", "A") == pytest.approx(-0.1 - 0.4)  # an unknown word as context
    assert log10("x y z <s> A", "B") == pytest.approx(-0.05)
    scores = [score / math.log(10) for score in model.score(["A", "B"])]
    assert scores == pytest.approx([-0.3, -0.05, -0.3 - 0.7])
    assert model.perplexity([["A", "B"]]) == pytest.approx(10 ** (1.35 / 3))


@pytest.mark.parametrize("name", ["lm.arpa", "lm.arpa.gz"])
def test_what_is_written_is_read(tmp_path: Path, name: str) -> None:
    model = estimate_ngrams([s.split() for s in ("a b c", "a c", "c b a b")], 3)
    write_arpa(model, tmp_path / name)
    content = (tmp_path / name).read_bytes()
    assert (gzip.decompress(content) if name.endswith("gz") else content).startswith(b"\\data\\\nngram 1=")
    again = read_arpa(tmp_path / name)
    assert again.words == model.words
    for table, other in zip(again.tables, model.tables, strict=True):
        np.testing.assert_array_equal(table.words, other.words)
        np.testing.assert_allclose(table.log10_probs, other.log10_probs, atol=1e-7)
        np.testing.assert_allclose(table.log10_backoffs, other.log10_backoffs, atol=1e-7)


@pytest.mark.parametrize(
    ("old", "new", "line", "reason"),
    [
        ("-0.2 A B", "-0.2 A", 18, "expected a log-probability, 2 words"),
        ("-0.2 A B", "x A B", 18, "expected a number, got 'x'"),
        ("-0.2 A B", "0.2 A B", 18, "log10 of a probability is not above 0, got 0.2"),
        ("-0.2 A B", "-0.2 A C", 18, "'C' is not among the 1-grams"),
        ("-0.2 A B", "-0.2 B A", 19, "'B A' is there twice"),
        ("-0.2 A B\n", "", 20, "counts 3 2-grams, but there are 2"),
        ("ngram 2=3", "ngram 3=3", 6, "expected the number of 2-grams"),
        ("ngram 1=5\nngram 2=3\nngram  3=1", "n", 5, "expected 'ngram 1=COUNT'"),
        ("\\3-grams:", "\\4-grams:", 21, r"expected \\3-grams:"),
        ("\\end\\\n", "", 23, r"ends before \\end"),
        ("\n\\data\\\n", "\n", 23, r"ends before \\end"),
    ],
)
def test_faults_are_named_with_their_line(tmp_path: Path, old: str, new: str, line: int, reason: str) -> None:
    path = tmp_path / "a.arpa"
    assert TRIGRAM.count(old) == 1
    path.write_text(TRIGRAM.replace(old, new))
    with pytest.raises(DataError, match=reason) as caught:
        read_arpa(path)
    assert f"a.arpa, line {line}: " in str(caught.value)


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    # The header of gzip, and bytes that no deflate stream has.
    damaged = gzip.compress(b"")[:10] + b"\xff" * 20
    compressed = {"a.arpa.gz": b"plain", "b.arpa.gz": b"\x1f\x8b\x08", "c.arpa.gz": damaged}
    for name, content in ({"a.arpa": b"\xff\xfe\x00"} | compressed).items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=f"{name}: cannot be read"):
            read_arpa(tmp_path / name)
    with pytest.raises(DataError, match="nowhere: cannot be read"):
        read_arpa(tmp_path / "nowhere")


def test_an_unknown_word_without_a_word_for_it(tmp_path: Path) -> None:
    path = tmp_path / "a.arpa"
    path.write_text("\\data\\\nngram 1=2\n\n\\1-grams:\n-0.3 a\n-0.3 </s>\n\\end\\\n")
    model = read_arpa(path)
    assert model.log_prob([], "b") == -math.inf
    with pytest.raises(DataError, match="a word that the model has not"):
        model.perplexity([["b"]])
    with pytest.raises(DataError, match="no sentence"):
        model.perplexity([])


@pytest.mark.slow
def test_the_model_of_an4() -> None:
    path = Path(os.environ.get("RECURRA_DATA", "../shared/data")) / "an4" / "an4.lm"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    model = read_arpa(path)
    assert [len(table.words) for table in model.tables] == [107, 1]
    assert model.log_prob(["<s>"], "APRIL") == pytest.approx(math.log(10) * -2.0253)
    assert model.perplexity([["A", "ZERO"]]) == pytest.approx(10**2.0253, rel=1e-6)
