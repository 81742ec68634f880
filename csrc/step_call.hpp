// One step of a whole model as a list of operations on locations in memory, which every instruction set can run.
#pragma once

#include <cstdint>

#include "call.hpp"

namespace recurra {

// Python's enumeration of the same name (streaming/machine.py) has these names.
// clang-format off
#define RECURRA_STEP_KINDS(F)                                                                                 \
  F(dense) F(diagonal) F(normalise) F(rms_normalise) F(modulate) F(update) F(embed) F(tanh) F(sigmoid) F(relu) \
  F(silu) F(gelu) F(exp) F(log) F(scale) F(add) F(multiply) F(blend) F(softmax) F(log_softmax) F(copy) F(mean) \
  F(largest) F(attend) F(delay) F(local_attention) F(matrix_memory)
// clang-format on
enum class StepKind : int64_t {
#define RECURRA_KIND(name) name,
  RECURRA_STEP_KINDS(RECURRA_KIND)
#undef RECURRA_KIND
};

// Where a row's values lie: in the input of a step, in scratch memory, in the state, or in the output.
enum class Space : int64_t { input, frame, state, output };
constexpr int spaces = 4;

struct Location {
  Space space;
  int64_t offset;
};

// What an operation reads and writes; csrc/step_table.cpp says what each kind does with each field. Plain memory: the
// operations are compiled for several instruction sets, and the library's containers would be merged among them.
struct StepOperation {
  StepKind kind;
  Location first, second, target;  // an offset of -1: there is none
  Location parts[most_parts];      // of the state of a cell, an attention or a memory
  int64_t part_count;
  int64_t size, groups;
  int64_t kv_heads, window;  // of an attention
  float number;
  bool accumulate;    // adds to the target
  bool reads_output;  // the cell's equations read the first part of the state
  float zoneout[most_parts];
  StepEntry entry;
  const void* weight;         // of a dense operation, packed
  const float *left, *right;  // vectors of parameters, or null
};

struct StepProgram {
  const StepOperation* operations;
  int64_t count;
  int64_t input_size, state_size, output_size, frame_size;  // I, S, O, and the values of a row's scratch memory
  bool reads_ids;
};

struct StepRun {
  const void* input;  // float (T, B, I), or int64 (T, B)
  float* state;       // (B, S)
  float* output;      // (T, B, O)
  int64_t steps, rows;
};

// The functions of one instruction set.
struct StepTable {
  // Packs a weight (N, K) of a format with a bias (N) or null; its bytes are added to `bytes`. Raises std::bad_alloc.
  void* (*pack)(int64_t format, const float* weight, const float* bias, int64_t N, int64_t K, int64_t* bytes);
  void (*release)(void* weight);
  // `frame` has frame_size values for each of `rows` rows, and behind them for each the bytes into which a row of the
  // widest weight is rounded, see `StepWeight`.
  void (*run)(const StepProgram& program, const StepRun& run, float* frame);
  int64_t rows;  // of a batch that run together
};

namespace baseline {
StepTable step_table();
}
namespace avx2 {
StepTable step_table();
}
namespace avx512 {
StepTable step_table();
}

}  // namespace recurra
