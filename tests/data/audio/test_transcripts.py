import pytest

from recurra.data.audio.transcripts import TranscriptForm
from recurra.errors import ParameterError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  Two\twords\n", "two words"),
        ("Don’t stop – it's 20 km!", "don't stop it's 20 km"),
        ("'quoted' rock 'n' roll", "quoted rock n roll"),
        ("twenty-one, (or so)", "twenty one or so"),
        ("cafe\u0301", "caf\u00e9"),
        ("\u0130stanbul", "i\u0307stanbul"),
        ("¿Qué? ¡Sí!", "qué sí"),
        ("a + b = $5", "a + b = $5"),
        ("...", ""),
    ],
)
def test_transcripts_take_one_form(text: str, expected: str) -> None:
    form = TranscriptForm()
    assert form.normalized(text) == expected
    assert form.normalized(expected) == expected


def test_case_and_punctuation_can_stay() -> None:
    assert TranscriptForm(case="upper").normalized("straße, ja") == "STRASSE JA"
    assert TranscriptForm(case="as_written", punctuation="as_written").normalized("Straße,  Ja.") == "Straße, Ja."
    with pytest.raises(ParameterError, match="case"):
        TranscriptForm(case="title")  # type: ignore[arg-type]
