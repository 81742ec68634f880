"""Trained models written for other programs: as C source, as ONNX, for libtorch."""
