"""The bodies of requests and answers, as the OpenAPI document shows them."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictInt

__all__ = [
    "CreateBody",
    "ErrorAnswer",
    "InputsAnswer",
    "InputsBody",
    "ModelsAnswer",
    "ModuleAnswer",
    "PredictAnswer",
    "PredictBody",
    "SessionAnswer",
    "StateAnswer",
    "StepAnswer",
    "StepBody",
]

_SESSION = "pRvGzUzTqkXdT1hRr0a2Xw"


def _example(*values: dict[str, Any]) -> ConfigDict:
    return ConfigDict(extra="forbid", json_schema_extra={"examples": list(values)})


class PredictBody(BaseModel):
    """Whole inputs: a list of texts, of lists of words, of series or of sounds; columns; for a language model a text.

    A sound is a list of samples from -1 to 1, or its 16-bit samples, little-endian, in base64, at the model's rate.
    """

    model_config = _example(
        {"data": ["not bad at all"]}, {"data": {"ds": ["2026-01-01"], "y": [1.5]}}, {"data": ["AAAAQABAAAA="]}
    )
    data: Any


class PredictAnswer(BaseModel):
    """What the model says of each input."""

    model_config = _example({"predictions": [{"labels": ["good"], "probabilities": {"bad": 0.1, "good": 0.9}}]})
    predictions: Any


class CreateBody(BaseModel):
    """Where a session begins."""

    model_config = _example({}, {"state": "UkNSU1RBVEU..."})
    state: str | None = Field(default=None, description="state of a stream of this model, in base64")


class SessionAnswer(BaseModel):
    """A session."""

    model_config = _example({"session": _SESSION, "model": "book", "step": 0, "next_step": 1})
    session: str
    model: str
    step: int = Field(description="steps acknowledged so far")
    next_step: int = Field(description="number of the step that is expected next")


class StepBody(BaseModel):
    """One step of a session."""

    model_config = _example(
        {"step": 1, "item": "The "},
        {"step": 2, "item": {"flow": 12.5, "pressure": None}},
        {"step": 3, "item": {"feedback": {"event": 1, "verdict": "normal"}}},
        {"step": 4, "item": "AAAAQA=="},
    )
    step: Annotated[StrictInt, Field(ge=1, le=2**53)] = Field(
        description="number of the step, from 1; the last one sent again is answered and not taken twice"
    )
    item: Any = Field(description="an item as GET /v1/models shows one")


class StepAnswer(BaseModel):
    """The result of a step, which is stored."""

    model_config = _example({"step": 1, "result": {"next": [{"text": "c", "probability": 0.2}], "surprise": [2.5]}})
    step: int
    result: Any


class StateAnswer(BaseModel):
    """A session's state, which serves as the beginning of another."""

    model_config = _example({"session": _SESSION, "step": 12, "state": "UkNSU1RBVEU..."})
    session: str
    step: int
    state: str = Field(description="bytes of the state in base64, with a hash of the model")


class SoundFormat(BaseModel):
    """The sound that a model reads."""

    sample_rate: int = Field(description="samples a second")
    window: int = Field(description="samples of an item at least")
    shift: int = Field(
        description="an item may have any multiple of this more; the next one begins so much after its last window"
    )


class DrawingFormat(BaseModel):
    """The drawings that a model makes."""

    side: float = Field(description="the usual longer side of a drawing, in the units of its points")
    labels: list[str] = Field(description="the classes, one of which each item names if there are several")


class ModelAnswer(BaseModel):
    """A model that is served."""

    name: str
    task: str
    streams: bool = Field(description="whether it has sessions")
    item: str = Field(default="", description="what an item of a session is")
    example: Any = Field(default=None, description="an item")
    ends: bool = Field(
        default=False,
        description="whether the item null ends a sequence; the result of a model that looks ahead is then a list of "
        "what can be decided now of earlier items",
    )
    network_size: int = Field(default=0, description="values of a state that are the network's own: the first ones")
    sound: SoundFormat | None = Field(
        default=None, description="of a model that reads sound; its samples are JSON or base64"
    )
    drawing: DrawingFormat | None = Field(default=None, description="of a model of drawings")
    reason: str = Field(default="", description="why it has no sessions")
    server_only: str = Field(default="", description="why clients cannot run its steps themselves; empty: they can")


class ModelsAnswer(BaseModel):
    """All models."""

    model_config = _example(
        {
            "models": [
                {"name": "book", "task": "language", "streams": True, "item": "a piece of text", "example": "The "},
                {"name": "pos", "task": "tag", "streams": False, "reason": "a tagger reads whole inputs"},
                {
                    "name": "commands",
                    "task": "sound",
                    "streams": False,
                    "sound": {"sample_rate": 16000, "window": 400, "shift": 160},
                    "reason": "filters=64: a convolution reads steps to come",
                },
            ]
        }
    )
    models: list[ModelAnswer]


class ModuleAnswer(BaseModel):
    """How a client runs the steps of a model; its C is that of `recurra export RUN --to c --weights-in binary`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "prefix": "model",
                    "inputs": 4,
                    "symbols": 0,
                    "outputs": 1,
                    "state": "AAAAAA==",
                    "weight_bytes": 4096,
                    "served_weights": "float32",
                    "facts": {"mean": 12.5, "deviation": 3.0},
                }
            ]
        }
    )
    prefix: str = Field(description="of the functions that the WebAssembly exports")
    inputs: int = Field(description="numbers that a step reads; 0: it reads a symbol")
    symbols: int = Field(description="how many symbols there are; 0: it reads numbers")
    outputs: int = Field(description="numbers that a step writes")
    state: str = Field(description="little-endian float32 numbers of the first state, in base64")
    weight_bytes: int = Field(description="of the weights; 0: the functions take none")
    served_weights: str = Field(description="how the server's own stream stores its weights; the module's are float32")
    facts: dict[str, Any] = Field(description="what the task knows: labels, tokens, scales")


class InputsBody(BaseModel):
    """An item to be read."""

    model_config = _example({"item": "good"})
    item: Any = Field(description="an item as GET /v1/models shows one")


class InputsAnswer(BaseModel):
    """The inputs of an item's steps."""

    model_config = _example({"inputs": [[0.5, -1.25, 0.0]]}, {"inputs": [17, 3]})
    inputs: list[int] | list[list[float]]


class Fault(BaseModel):
    """Why a request is refused."""

    model_config = ConfigDict(extra="allow")
    status: int
    code: str = Field(description="what programs compare")
    message: str = Field(description="what people read")
    retry_after: int | None = Field(default=None, description="seconds after which to send the request again")
    expected_step: int | None = Field(default=None, description="with wrong_step and another_item")


class ErrorAnswer(BaseModel):
    """A refusal."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "error": {
                        "status": 409,
                        "code": "wrong_step",
                        "message": "expected step 8, got 12",
                        "expected_step": 8,
                    }
                }
            ]
        }
    )
    error: Fault
