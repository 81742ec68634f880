import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from recurra.tasks.caption.pictures import Attended, draw_attention, write_page

pytest.importorskip("PIL", reason="the extra `image` is not installed")


def attended(words: tuple[str, ...], reference: tuple[str, ...] = ()) -> Attended:
    weights = np.random.default_rng(0).dirichlet(np.ones(9), len(words) + 1).reshape(-1, 3, 3)
    return Attended("a <b>.png", np.zeros((12, 12, 3), np.uint8), words, weights, reference)


def test_a_panel_a_word(tmp_path: Path, drawn: list[Any]) -> None:
    words = ("a", "$5", "dog", "runs", "over", "the", "grass")
    draw_attention([attended(words, ("two", "cats")), attended(("one",))], tmp_path / "a.png")
    titles = [ax.get_title() for ax in drawn[0].axes]
    assert [title for title in titles if title] == ["a <b>.png", *words[:1], r"\$5", *words[2:], "a <b>.png", "one"]
    # The veil is thinnest where a word attends to the most.
    veil = drawn[0].axes[1].images[1].get_array()[..., 3]
    one = attended(words)
    assert veil.argmin() == one.weights[0].argmax()
    assert_allclose(veil.min(), 0)


def test_a_page_holds_the_words_and_their_cells(tmp_path: Path) -> None:
    one = attended(("a", "<dog>"), ("two", "cats"))
    write_page([one, attended(())], tmp_path / "a.html")
    page = (tmp_path / "a.html").read_text()
    cells = [json.loads(own) for own in re.findall(r'data-cells="([^"]+)"', page)]
    assert_allclose(cells, one.brightness.reshape(2, 9), atol=1e-3)
    assert "&lt;dog&gt;" in page
    assert "<dog>" not in page
    assert page.count("data:image/png;base64,") == 2
    assert "No word was written." in page
    assert "two cats" in page
