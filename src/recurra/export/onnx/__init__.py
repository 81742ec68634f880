"""Models as ONNX graphs, checked in ONNX Runtime."""

from recurra.errors import MissingExtraError

try:
    import onnx as _onnx  # noqa: F401
    import onnxruntime as _onnxruntime  # noqa: F401
except ImportError as error:
    raise MissingExtraError("onnx and onnxruntime", "onnx", "an ONNX export") from error

from recurra.export.check import Check
from recurra.export.onnx.export import export_onnx
from recurra.export.onnx.prepared import OnnxExport
from recurra.export.onnx.step import export_onnx_step
from recurra.export.onnx.translation import Translating, TranslationExport, export_translation, translates

__all__ = [
    "Check",
    "OnnxExport",
    "Translating",
    "TranslationExport",
    "export_onnx",
    "export_onnx_step",
    "export_translation",
    "translates",
]
