import os

import pytest


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests survive no power cut, and save hundreds of times."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
