// The products of a stream in each format against plain loops, and a step of a program: memory of exact size, so that
// the address sanitizer sees what reads or writes beyond it.
#pragma once

#include <cmath>
#include <cstdio>
#include <vector>

#include "../step_call.hpp"
#include "../step_cell.hpp"
#include "../step_products.hpp"

namespace recurra {

struct Numbers {
  uint32_t seed = 1;
  std::vector<float> take(int64_t count) {
    std::vector<float> values(static_cast<size_t>(count));
    for (float& value : values) {
      seed = seed * 1664525u + 1013904223u;
      value = static_cast<float>(seed >> 16) / 32768.0f - 1.0f;
    }
    return values;
  }
};

// With `sparse`, two of three blocks are zero, among them all of the first rows, and the rest is packed.
inline bool check_step_product(int64_t N, int64_t K, int64_t rows, WeightFormat format, bool accumulate, bool biased,
                               bool sparse) {
  Numbers numbers;
  std::vector<float> weight = numbers.take(N * K);
  const std::vector<float> bias = numbers.take(N), x = numbers.take(rows * K);
  int64_t stored = 0;
  for (int64_t j = 0; j < N; ++j)
    for (int64_t k = 0; k < K; ++k) {
      const int64_t block = j / block_size, column = k / block_size;
      if (sparse && (block == 0 || (block + column) % 3 != 0)) weight[static_cast<size_t>(j * K + k)] = 0;
      stored += weight[static_cast<size_t>(j * K + k)] != 0;
    }
  std::vector<float> y = numbers.take(rows * N);
  const std::vector<float> before = y;
  std::vector<int8_t> scratch(static_cast<size_t>(rows * baseline::StepWeight::scratch_bytes(K)));
  const baseline::StepWeight packed(format, weight.data(), biased ? bias.data() : nullptr, N, K);
  packed.multiply(rows, x.data(), K, accumulate, y.data(), N, scratch.data());
  const int64_t value_bytes = format == WeightFormat::float32 ? 4 : format == WeightFormat::bfloat16 ? 2 : 1;
  if (sparse && packed.bytes() > (stored + (N + K) * 2 * block_size) * value_bytes) {
    std::printf("step product %ld %ld: zero blocks are packed\n", long(N), long(K));
    return false;
  }
  // Of one product of numbers below 1, by the bits of its factors.
  const double error = format == WeightFormat::float32 ? 1e-6 : format == WeightFormat::bfloat16 ? 4e-3 : 1.2e-2;
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t j = 0; j < N; ++j) {
      const auto at = static_cast<size_t>(r * N + j);
      double expected = accumulate ? before[at] : biased ? bias[static_cast<size_t>(j)] : 0.0;
      for (int64_t k = 0; k < K; ++k)
        expected += double(weight[static_cast<size_t>(j * K + k)]) * x[static_cast<size_t>(r * K + k)];
      if (!(std::abs(expected - y[at]) <= error * double(K + 1))) {
        std::printf("step product %ld %ld: row %ld of %ld, output %ld differs\n", long(N), long(K), long(r), long(rows),
                    long(j));
        return false;
      }
    }
  return true;
}

// The equations of a step are those of the forward pass.
template <class Cell>
bool check_step_cell(int64_t rows, int64_t H) {
  constexpr int G = Cell::gates, S = Cell::parts, Q = Cell::prepared, P = Cell::per_unit;
  Numbers numbers;
  const std::vector<float> x = numbers.take(rows * G * H), u = numbers.take(rows * G * H);
  const std::vector<float> per_unit = numbers.take(P * H);
  std::vector<float> prepared(static_cast<size_t>(Q * H)), state = numbers.take(rows * S * H);
  const std::vector<float> before = state;
  baseline::StepCell<Cell>::prepare(per_unit.data(), H, prepared.data());
  CellStep call{};
  call.rows = rows;
  call.hidden = H;
  call.x = x.data();
  call.u = u.data();
  call.stride = G * H;
  for (int k = 0; k < S; ++k) call.state[k] = state.data() + k * H;
  call.state_stride = S * H;
  call.output = state.data();
  call.output_stride = S * H;
  call.prepared = prepared.data();
  call.zoneout[0] = 0.25f;
  baseline::StepCell<Cell>::update(&call);
  typedef typename baseline::Vectors<double>::type V;
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t j = 0; j < H; ++j) {
      V xs[G], us[G], s[S], p[P + 1], ready[Q + 1], after[S], saved[Cell::saved + 1];
      for (int g = 0; g < G; ++g) {
        xs[g] = baseline::splat<V>(x[static_cast<size_t>((r * G + g) * H + j)]);
        us[g] = baseline::splat<V>(u[static_cast<size_t>((r * G + g) * H + j)]);
      }
      for (int k = 0; k < S; ++k) s[k] = baseline::splat<V>(before[static_cast<size_t>((r * S + k) * H + j)]);
      for (int k = 0; k < P; ++k) p[k] = baseline::splat<V>(per_unit[static_cast<size_t>(k * H + j)]);
      Cell::prepare(p, ready);
      Cell::forward(xs, us, s, ready, after, saved);
      after[0] += 0.25 * (s[0] - after[0]);
      for (int k = 0; k < S; ++k)
        if (!(std::abs(after[k][0] - state[static_cast<size_t>((r * S + k) * H + j)]) < 1e-4)) {
          std::printf("step of a cell: row %ld, unit %ld, part %d differs\n", long(r), long(j), k);
          return false;
        }
    }
  return true;
}

// A program with every kind of operation that has no weight or cell of its own, on memory of exact size.
inline bool check_step_program() {
  constexpr int64_t size = 19, rows = 50, steps = 3;
  Numbers numbers;
  const std::vector<float> left = numbers.take(2 * size), right = numbers.take(2 * size);
  const Location input{Space::input, 0}, frame{Space::frame, 0}, second{Space::frame, 48}, output{Space::output, 0};
  const Location count{Space::state, 0}, mean{Space::state, 1}, most{Space::state, 1 + size};
  const Location attended{Space::state, 1 + 2 * size}, window{Space::state, 3 + 3 * size};
  // Keys and values of two steps with 18 values and their places; the memory of two heads of three values.
  constexpr int64_t past = 3 + 5 * size, memory = past + 74;
  std::vector<StepOperation> operations;
  const auto add = [&](StepKind kind, Location a, Location b, Location y, int64_t own_size = 19, int64_t groups = 1) {
    StepOperation o{};
    o.kind = kind;
    o.first = a;
    o.second = b;
    o.target = y;
    o.size = own_size;
    o.groups = groups;
    o.number = 0.5f;
    o.left = left.data();
    o.right = right.data();
    o.parts[0] = attended;
    o.part_count = 1;
    operations.push_back(o);
  };
  add(StepKind::diagonal, input, {Space::frame, -1}, frame, size, 2);
  add(StepKind::normalise, frame, {Space::frame, -1}, frame, size, 2);
  for (StepKind kind :
       {StepKind::rms_normalise, StepKind::tanh, StepKind::sigmoid, StepKind::relu, StepKind::silu, StepKind::gelu,
        StepKind::exp, StepKind::log, StepKind::scale, StepKind::softmax, StepKind::log_softmax, StepKind::copy})
    add(kind, frame, {Space::frame, -1}, second);
  add(StepKind::copy, input, {Space::frame, -1}, second);
  for (StepKind kind : {StepKind::add, StepKind::multiply, StepKind::blend}) add(kind, second, input, second);
  add(StepKind::mean, input, count, mean);
  add(StepKind::largest, input, {Space::frame, -1}, most);
  add(StepKind::attend, input, input, second);
  add(StepKind::local_attention, input, frame, second, 18);
  add(StepKind::matrix_memory, frame, input, second, 3, 2);
  for (size_t k = 0; k < 2; ++k) {
    StepOperation& o = operations[operations.size() - 2 + k];
    o.kv_heads = 1;
    o.window = 3;
    o.parts[0] = {Space::state, k ? memory : past};
    o.parts[1] = {Space::state, k ? memory + 18 : past + 36};
    o.parts[2] = {Space::state, k ? memory + 24 : past + 72};
    o.part_count = 3;
  }
  add(StepKind::delay, input, {Space::frame, -1}, window, size, 2);
  add(StepKind::copy, window, {Space::frame, -1}, output);
  const int64_t state_size = memory + 26, frame_size = 80;
  StepProgram program{};
  program.operations = operations.data();
  program.count = static_cast<int64_t>(operations.size());
  program.input_size = program.output_size = size;
  program.state_size = state_size;
  program.frame_size = frame_size;
  const StepTable table = baseline::step_table();
  const std::vector<float> x = numbers.take(steps * rows * size);
  std::vector<float> state(static_cast<size_t>(rows * state_size)), y(static_cast<size_t>(steps * rows * size));
  std::vector<float> scratch(static_cast<size_t>(table.rows * frame_size));
  table.run(program, {x.data(), state.data(), y.data(), steps, rows}, scratch.data());
  bool good = true;
  // The window's older vector is the input of the step before.
  for (size_t k = 0; k < static_cast<size_t>(rows * size); ++k) {
    good &= y[k] == 0.0f;
    good &= y[static_cast<size_t>(2 * rows * size) + k] == x[static_cast<size_t>(rows * size) + k];
  }
  for (int64_t r = 0; r < rows; ++r) {
    good &= state[static_cast<size_t>(r * state_size)] == float(steps);
    double sum = 0;
    for (int64_t t = 0; t < steps; ++t) sum += x[static_cast<size_t>((t * rows + r) * size)];
    good &= std::abs(sum / steps - state[static_cast<size_t>(r * state_size + 1)]) < 1e-5;
    // Three steps in two places: the second is next, and both are used.
    good &= state[static_cast<size_t>(r * state_size + past + 72)] == 1.0f;
    good &= state[static_cast<size_t>(r * state_size + past + 73)] == 2.0f;
    for (int64_t k = 0; k < 26; ++k) good &= std::isfinite(state[static_cast<size_t>(r * state_size + memory + k)]);
  }
  if (!good) std::puts("a step's program differs");
  return good;
}

inline bool check_steps() {
  bool good = check_step_program();
  for (int64_t N : {1, 4, 15, 16, 35, 70})
    for (int64_t K : {1, 3, 8, 33})
      for (int way = 0; way < 12; ++way)
        good &= check_step_product(N, K, way % 2 ? 1 : 50, static_cast<WeightFormat>(way / 4), way % 4 > 1, way % 3 > 0,
                                   false);
  for (int64_t N : {35, 64, 150})
    for (int64_t K : {33, 96, 131})
      for (int way = 0; way < 12; ++way)
        good &= check_step_product(N, K, way % 2 ? 1 : 50, static_cast<WeightFormat>(way / 4), way % 4 > 1, way % 3 > 0,
                                   true);
  for (int64_t H : {1, 4, 17}) {
    good &= check_step_cell<baseline::LSTM>(3, H);
    good &= check_step_cell<baseline::GRU>(3, H);
    good &= check_step_cell<baseline::PeepholeLSTM>(2, H);
    good &= check_step_cell<baseline::RGLRU>(2, H);
  }
  return good;
}

}  // namespace recurra
