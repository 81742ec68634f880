import copy
import pickle

import pytest
import torch

from recurra import errors
from recurra.errors import (
    BackendError,
    CellError,
    CompilerError,
    DataError,
    ExportError,
    InPlaceError,
    LostContactError,
    MissingExtraError,
    ParameterError,
    ParameterTypeError,
    RecurraError,
    RunError,
    ShapeError,
    StaleBuildError,
    StreamError,
)

EXAMPLES = [
    (
        ParameterError("size", "a whole number", "x", "See the manual."),
        ValueError,
        "size: expected a whole number, got 'x'. See the manual.",
    ),
    (ParameterError("size", "a whole number", None), ValueError, "size: expected a whole number, got None."),
    (
        ParameterTypeError("bias", "True or False", 1),
        TypeError,
        "bias: expected True or False, got 1.",
    ),
    (ShapeError("x", "shape (B,)", (2, 3)), RuntimeError, "x: expected shape (B,), got (2, 3)."),
    (ShapeError("x", "floats", torch.int64, "Cast."), ValueError, "x: expected floats, got torch.int64. Cast."),
    (DataError("a.csv, row 3: no date"), ValueError, "a.csv, row 3: no date"),
    (BackendError("backend 'aten' cannot serve"), RuntimeError, "backend 'aten' cannot serve"),
    (CellError("Odd.update cannot be compiled"), ValueError, "Odd.update cannot be compiled"),
    (InPlaceError("Odd.update: write h = h + 1"), CellError, "Odd.update: write h = h + 1"),
    (CompilerError("no C++ compiler"), RuntimeError, "no C++ compiler"),
    (ExportError("cumsum has no form in ONNX here"), ValueError, "cumsum has no form in ONNX here"),
    (
        StaleBuildError("csrc has changed", "make setup"),
        ImportError,
        "recurra._native is stale: csrc has changed. Run: make setup",
    ),
    (StreamError("the model reads backward"), ValueError, "the model reads backward"),
    (LostContactError("contact is lost"), RunError, "contact is lost"),
    (RunError("runs/a: no checkpoint"), RuntimeError, "runs/a: no checkpoint"),
    (
        MissingExtraError("holidays", "forecast", "--holidays"),
        ImportError,
        "--holidays needs holidays: pip install 'recurra[forecast]'",
    ),
]


def test_every_error_is_here() -> None:
    named = {getattr(errors, name) for name in errors.__all__} - {RecurraError}
    assert named == {type(error) for error, _, _ in EXAMPLES}


@pytest.mark.parametrize(("error", "builtin", "message"), EXAMPLES, ids=lambda value: type(value).__name__)
def test_message_and_kind(error: RecurraError, builtin: type[Exception], message: str) -> None:
    assert str(error) == message
    assert isinstance(error, builtin)
    assert isinstance(error, RecurraError)


@pytest.mark.parametrize("error", [error for error, _, _ in EXAMPLES], ids=lambda error: type(error).__name__)
def test_an_error_crosses_between_processes(error: RecurraError) -> None:
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(other) is type(error)
        assert str(other) == str(error)
