import math

import pytest

from recurra.tasks.language.surprise import ScoredToken, colored, html_page, legend, whole_characters


def _token(text: str, bits: float) -> ScoredToken:
    return ScoredToken(0, text, bits * math.log(2))


def test_the_more_surprising_the_redder():
    assert colored(_token("a", 0.5)) == "a"
    assert colored(_token("a", 1.5)) == "\x1b[38;5;16;48;5;230ma\x1b[0m"
    assert colored(_token("a", 50)) == "\x1b[38;5;16;48;5;196ma\x1b[0m"
    assert colored(_token("a", 1.5), scale=2) == "a"
    assert colored(_token("a", 0.5), bold=True) == "\x1b[1ma\x1b[0m"
    assert "\x1b[38;5;16;48;5;196m 24 \x1b[0m" in legend(2)


def test_no_colour_reaches_beyond_its_line():
    assert colored(_token("\n", 9)) == "\n"
    assert colored(_token("a\nb", 9)).split("\n")[0].endswith("\x1b[0m")


def test_bytes_of_a_character_are_shown_together():
    found = list(whole_characters([_token("", 2), _token("é", 1), _token("x", 1), _token("", 4)]))
    assert [(token.text, token.bits) for token in found] == [("é", pytest.approx(3)), ("x", pytest.approx(1))]


def test_a_terminal_is_not_given_orders():
    shown = "".join(token.text for token in whole_characters([_token("a\x1b[2J\tb\r\x9b\n", 1)]))
    assert shown == "a\ufffd[2J\tb\ufffd\ufffd\n"


def test_the_page_shows_what_was_given_and_what_came():
    page = html_page("<Tea> & toast", [_token("<b>", 2)], [_token("x", 1), _token("\n", 12)], "character")
    assert "<h1>&lt;Tea&gt; &amp; toast</h1>" in page
    assert '<span class="prompt" style="background:rgba(226,88,62,0.29)" title="2.00 bits">&lt;b&gt;</span>' in page
    assert "prompt (underlined) 2.00 bits a character, generated 6.50 bits a character" in page
    assert page.count("</span>\n</span>") == 1  # the line end, visible
    assert "no text" in html_page("", [], [], "word")
