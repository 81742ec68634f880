import pytest


@pytest.fixture
def interpreted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Triton's interpreter runs its kernels, on tensors of the CPU; skips if triton is not installed."""
    pytest.importorskip("triton", reason="triton is not installed: pip install 'recurra[triton]'")
    monkeypatch.setenv("TRITON_INTERPRET", "1")
