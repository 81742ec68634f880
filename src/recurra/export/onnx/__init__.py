"""Models as ONNX graphs, checked in ONNX Runtime."""

from recurra.errors import MissingExtraError

try:
    import onnx as _onnx  # noqa: F401
    import onnxruntime as _onnxruntime  # noqa: F401
except ImportError as error:
    raise MissingExtraError("onnx and onnxruntime", "onnx", "an ONNX export") from error

from recurra.export.check import Check
from recurra.export.onnx.export import OnnxExport, export_onnx

__all__ = ["Check", "OnnxExport", "export_onnx"]
