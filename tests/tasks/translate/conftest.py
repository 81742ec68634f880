import pytest

pytest.importorskip("sentencepiece", reason="the extra `text` is not installed")
