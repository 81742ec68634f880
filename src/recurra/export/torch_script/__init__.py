"""Models as TorchScript, for libtorch."""

from recurra.export.torch_script.export import TorchExport, export_torch

__all__ = ["TorchExport", "export_torch"]
