"""Peers that step one recurrent layer and a linear output: ONNX Runtime, and the machine's own rate of reading."""

import ctypes
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from recurra.codegen.compile import find_compiler

# torch's gates in ONNX's order: LSTM i, o, f, c; GRU z, r, h.
_ORDER = {"LSTM": (0, 3, 1, 2), "GRU": (1, 0, 2)}


def onnx_session(kind: str, layer: nn.RNNBase, linear: nn.Linear) -> onnxruntime.InferenceSession:
    """A session of one thread, with the state in and out, for one sequence and one step."""
    model = _graph(kind, layer, linear)
    onnx.checker.check_model(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def session_step(session: onnxruntime.InferenceSession, x: np.ndarray, hidden: int) -> Callable[[], Any]:
    """A step by `run`, which takes and returns arrays; returns the output (1, O)."""
    names = [one.name for one in session.get_inputs()][1:]
    state: dict[str, Any] = {name: np.zeros((1, 1, hidden), np.float32) for name in names}

    def step() -> Any:
        y, *after = session.run(None, {"x": x, **state})
        state.update(zip(names, after, strict=True))
        return y

    return step


def bound_step(session: onnxruntime.InferenceSession, x: np.ndarray, hidden: int) -> Callable[[], np.ndarray]:
    """A step whose inputs and outputs are bound once, with two buffers for the state that change places."""
    names = [one.name for one in session.get_inputs()][1:]
    outputs = [one.name for one in session.get_outputs()]
    value = onnxruntime.OrtValue.ortvalue_from_numpy
    y = value(np.zeros((1, session.get_outputs()[0].shape[-1]), np.float32))
    states = [[value(np.zeros((1, 1, hidden), np.float32)) for _ in names] for _ in range(2)]
    bindings = []
    for k in range(2):
        binding = session.io_binding()
        binding.bind_ortvalue_input("x", value(x))
        binding.bind_ortvalue_output(outputs[0], y)
        for name, before, after, into in zip(names, states[k], outputs[1:], states[1 - k], strict=True):
            binding.bind_ortvalue_input(name, before)
            binding.bind_ortvalue_output(after, into)
        bindings.append(binding)

    def step() -> np.ndarray:
        session.run_with_iobinding(bindings[0])
        bindings.reverse()
        return y.numpy()

    return step


def reading_rate(size: int, seconds: float = 0.3) -> float:
    """Bytes a second at which one core reads `size` bytes again and again, from the cache level that holds them."""
    buffer = np.ones(size // 4, np.float32)
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder, "read.cpp"), Path(folder, "read.so")
        source.write_text(_READING, encoding="utf-8")
        command = [find_compiler(), "-O3", "-march=native", "-ffast-math", "-shared", "-fPIC", source, "-o", library]
        subprocess.run(command, check=True)
        read = ctypes.CDLL(str(library)).read_floats
    read.restype, read.argtypes = ctypes.c_float, [ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64]
    rounds = max(1, int(2e7 / size))
    read(buffer.ctypes.data, len(buffer), rounds)
    rates, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(rates) < 5:
        started = time.perf_counter()
        read(buffer.ctypes.data, len(buffer), rounds)
        rates.append(rounds * 4 * len(buffer) / (time.perf_counter() - started))
    return float(np.median(rates))


# Sixteen sums of vectors: enough loads are under way to hide their latency.
_READING = """
#include <cstdint>
typedef float V __attribute__((vector_size(64), aligned(4)));
extern "C" float read_floats(const float* from, int64_t count, int64_t rounds) {
  V sums[16] = {};
  for (int64_t round = 0; round < rounds; ++round) {
    for (int64_t k = 0; k + 256 <= count; k += 256)
      for (int n = 0; n < 16; ++n) sums[n] += *(const V*)(from + k + 16 * n);
    asm volatile("" : : "r"(from) : "memory");
  }
  V sum{};
  for (int n = 0; n < 16; ++n) sum += sums[n];
  float total = 0;
  for (int n = 0; n < 16; ++n) total += sum[n];
  return total;
}
"""


def _graph(kind: str, layer: nn.RNNBase, linear: nn.Linear) -> onnx.ModelProto:
    hidden, features = layer.hidden_size, layer.input_size
    parts = ("h", "c") if kind == "LSTM" else ("h",)

    def ordered(name: str) -> np.ndarray:
        gates = np.split(getattr(layer, f"{name}_l0").detach().numpy(), len(_ORDER[kind]))
        return np.concatenate([gates[k] for k in _ORDER[kind]])

    weights = {
        "W": ordered("weight_ih")[None],
        "R": ordered("weight_hh")[None],
        "B": np.concatenate([ordered("bias_ih"), ordered("bias_hh")])[None],
        "V": linear.weight.detach().numpy(),
        "b": linear.bias.detach().numpy(),
    }
    options: dict[str, Any] = {"linear_before_reset": 1} if kind == "GRU" else {}
    nodes = [
        helper.make_node(
            kind,
            ["x", "W", "R", "B", "", *parts],
            ["all", *(f"{part}_after" for part in parts)],
            hidden_size=hidden,
            **options,
        ),
        helper.make_node("Reshape", ["all", "shape"], ["row"]),
        helper.make_node("Gemm", ["row", "V", "b"], ["y"], transB=1),
    ]
    weights["shape"] = np.array([1, hidden], np.int64)

    def info(name: str, *shape: int) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    graph = helper.make_graph(
        nodes,
        "step",
        [info("x", 1, 1, features), *(info(part, 1, 1, hidden) for part in parts)],
        [info("y", 1, linear.out_features), *(info(f"{part}_after", 1, 1, hidden) for part in parts)],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
