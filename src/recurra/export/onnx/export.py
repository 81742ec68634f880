"""From a model to an ONNX file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from recurra.errors import ParameterError
from recurra.export.onnx.context import Context
from recurra.export.onnx.forms import Form
from recurra.export.onnx.models import writer_of
from recurra.export.onnx.prepared import OnnxExport, prepare
from recurra.export.onnx.traced import add_layer, add_traced
from recurra.export.recurrent_modules import CELLS, LAYERS, evaluated, refuse_blocks

__all__ = ["export_onnx"]


def export_onnx(
    model: nn.Module,
    path: str | Path,
    *,
    input_size: int | None = None,
    lengths: bool = True,
    states: bool = True,
    metadata: Mapping[str, Any] | None = None,
) -> OnnxExport:
    """Write a model as an ONNX graph, as it computes in evaluation, in float32.

    Batch and time are dynamic, from one step on. Initial states are inputs and final states outputs, in the shapes of
    the layers'; the metadata "recurra.states" says which belong together. The file is written only if ONNX Runtime
    computes from it what the model does, at three batch sizes and lengths.

    Args:
        model: a recurrent layer or cell of this package or of torch.nn; a `RecurrentLanguageModel`,
            `SequenceClassifier`, `EvidenceClassifier`, `ClassifierEnsemble`, `SequenceTagger` or `ForecastPipeline`;
            the network of a trained classifier; or any module whose `forward` combines recurrent layers with torch's
            other modules and functions: torch.fx traces it. It is not changed.
        path: of the file.
        input_size: I, if the first module of the model does not say it.
        lengths: whether true lengths (B,) are an input, int64, from 0 to T. A module that is traced has this input only
            if its `forward` has an argument of this name.
        states: whether the states of recurrent layers are inputs and outputs. If not, sequences begin at zeros.
        metadata: of the file: anything that JSON holds by name, such as labels or a vocabulary.

    Returns:
        What was written and how far it differs from the model.

    Raises:
        ParameterError: if an argument is out of its range.
        ExportError: if something in the model has no form in ONNX, or if the file does not agree with the model.
            Nothing is written.
        RunError: if the file cannot be written.
    """
    if not isinstance(model, nn.Module):
        raise ParameterError("model", "a torch.nn.Module", type(model).__name__)
    refuse_blocks(model, "ONNX", "export_onnx_step")
    own = evaluated(model)

    def add(context: Context, own: nn.Module) -> Form:
        if write := writer_of(own):
            return write(context, own)
        return (add_layer if type(own) in LAYERS + CELLS else add_traced)(context, own, input_size)

    context = Context(with_lengths=lengths, with_states=states)
    return prepare(own, context, add, metadata or {}).write(path)
