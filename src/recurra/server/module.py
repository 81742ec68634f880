"""A model's step for the machines of clients: a module of WebAssembly, and what surrounds a step."""

import base64
import logging
from dataclasses import dataclass
from typing import Any

import numpy as np

from recurra.errors import CompilerError, ExportError, RecurraError, StreamError
from recurra.export.c import compile_web_assembly, has_web_assembly_compiler
from recurra.program import compile_program
from recurra.server.refusal import Refusal
from recurra.server.whole_sequences import to_json
from recurra.streaming import ChunkStepper, ItemStream, MemoryStream
from recurra.task import Estimator

__all__ = ["Module", "encode_item", "make_module", "reason_for_server"]

_log = logging.getLogger("recurra.server")
_PREFIX = "model"


@dataclass(frozen=True)
class Module:
    """What a client runs the steps of a model with.

    Attributes:
        facts: how the functions are called, the first state, and what the task knows, as JSON.
        code: a module of WebAssembly, see `recurra.export.c.WebAssembly`.
        weights: for it; empty: it takes none.
    """

    facts: dict[str, Any]
    code: bytes
    weights: bytes


def reason_for_server(estimator: Estimator[Any, Any, Any], stream: ItemStream) -> str:
    """Why only the server can run the steps of a model; empty: its exported C computes the same.

    Args:
        estimator: fitted.
        stream: of its items, as the estimator opened it.
    """
    if reason := estimator.not_exported.get("c"):
        return reason
    if isinstance(stream, MemoryStream):
        return "its results depend on what the stream remembers, and the exported C is a step of the network"
    if isinstance(stream.stepper, ChunkStepper):
        return "its results depend on steps ahead, and the exported C is one step"
    try:
        network, _ = estimator.export_network()
        program = compile_program(network)
    except (ExportError, StreamError) as error:
        return str(error)
    if program.digest() != stream.stepper.program.digest():
        return "the network that is exported to C is not the one whose steps the stream takes"
    return ""


def make_module(estimator: Estimator[Any, Any, Any], stream: ItemStream, served_weights: str) -> Module:
    """Compile the steps of a model. It blocks, for seconds if the module is not cached.

    Args:
        estimator: fitted; `reason_for_server` has nothing against it.
        stream: of the same.
        served_weights: the format of the weights of the server's own stream.

    Raises:
        Refusal: if there is no compiler, or it fails.
    """
    if not has_web_assembly_compiler():
        message = "the server needs clang and wasm-ld to compile WebAssembly (on Debian: apt install clang lld)"
        raise Refusal(501, "not_installed", message)
    network, facts = estimator.export_network()
    program = compile_program(network)
    try:
        made = compile_web_assembly(network, _PREFIX)
    except CompilerError as error:
        _log.error("%s", error)
        message = "the server could not compile the model for WebAssembly; its log says why"
        raise Refusal(501, "not_compiled", message) from None
    state = stream.new_state().values.astype("<f4").tobytes()
    return Module(
        {
            "prefix": _PREFIX,
            "inputs": 0 if program.vocabulary_size else program.input_size,
            "symbols": program.vocabulary_size,
            "outputs": program.output_size,
            "state": base64.b64encode(state).decode(),
            "weight_bytes": len(made.weights),
            "served_weights": served_weights,
            "facts": to_json(facts),
        },
        made.code,
        made.weights,
    )


def encode_item(stream: ItemStream, item: Any) -> list[Any]:
    """An item as inputs of the model's steps: ids, or lists of numbers.

    Args:
        stream: whose items do not depend on the state.
        item: JSON.

    Raises:
        Refusal: if it cannot be read.
    """
    try:
        inputs: np.ndarray = stream.encode(item, stream.new_state())
    except RecurraError as error:
        raise Refusal(422, "invalid_item", str(error)) from None
    except (TypeError, ValueError, LookupError, ArithmeticError, AttributeError) as error:
        _log.info("an item could not be read: %r", error)
        raise Refusal(422, "invalid_item", f"item: expected {stream.item}") from None
    return inputs.tolist()
