"""Models as TorchScript, for libtorch."""

from recurra.export.torch_script.export import TorchExport, export_torch
from recurra.export.torch_script.step import export_torch_step

__all__ = ["TorchExport", "export_torch", "export_torch_step"]
