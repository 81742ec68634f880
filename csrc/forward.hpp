// The forward pass: time loop x packed matrix product x generated update.
//
// Rows of the batch are divided among threads, longest first; each thread runs all steps of its rows, without a
// barrier in the time loop. A batch of too few rows divides the units instead, with a barrier at each step. The
// weights are packed in panels that hold all gates of a block of units: the product of a tile of rows with a panel is
// read by the update while it is in the first-level cache, and never written further.
#pragma once

#include "barrier.hpp"
#include "normalisation.hpp"
#include "plan.hpp"
#include "prepared.hpp"
#include "subnormal.hpp"

namespace recurra {
namespace RECURRA_ISA {

template <class V>
static inline V apply(Nonlinearity nonlinearity, V x) {
  switch (nonlinearity) {
    case Nonlinearity::tanh:
      return vector_tanh(x);
    case Nonlinearity::sigmoid:
      return vector_sigmoid(x);
    case Nonlinearity::relu:
      return vector_relu(x);
    case Nonlinearity::identity:
      break;
  }
  return x;
}

template <class Cell, class T>
struct Forward : Rows {
  typedef typename Vectors<T>::type V;
  static constexpr int W = Vectors<T>::width;
  static constexpr int G = Cell::gates, S = Cell::parts, P = Cell::prepared, K = Cell::saved, L = Cell::second_stage,
                       E = G - L;
  // Units of a block in vectors, and vectors of a panel: of all gates, of the first-stage and of the second-stage ones.
  static constexpr int units = vectors_of_block(G), N = G * units, NE = E * units, NL = at_least(L) * units;
  static constexpr int64_t group = 48;  // rows whose products wait together for the update

  const int64_t H, R, I, columns;
  const Blocks blocks, output_blocks;
  const Plan plan;
  const Prepared<Cell, T> prepared;
  Barrier barrier;
  Buffer<T> input_panels, input_bias, panels, bias, second_stage_panels, second_stage_bias, output_panels, output_bias;
  Buffer<T> fed, second_stage_fed, unprojected;  // (B, ...) of one step, if they are not saved

  explicit Forward(const Call& call)
      : Rows(call),
        H(call.hidden),
        R(call.size),
        I(call.features),
        columns(call.heads > 1 ? call.hidden / call.heads : call.size),
        blocks(call.hidden, call.heads, units * W),
        output_blocks(call.size, 1, 2 * W),
        plan(plan_forward({G, L, units * W}, call)),
        prepared(call),
        input_panels(plan.fused && !plan.unpacked ? blocks.count * I * N * W : 0),
        input_bias(plan.fused && c.bias_ih && !c.norm_x && !plan.unpacked ? blocks.count * N * W : 0),
        panels(plan.unpacked ? 0 : blocks.count * columns * NE * W),
        bias(c.bias && !c.norm && !plan.unpacked ? blocks.count * NE * W : 0),
        second_stage_panels(L ? blocks.count * columns * NL * W : 0),
        second_stage_bias(L && c.bias ? blocks.count * NL * W : 0),
        output_panels(c.projection ? output_blocks.count * H * 2 * W : 0),
        output_bias(c.projection_bias ? output_blocks.count * 2 * W : 0),
        fed(c.mask && !c.before ? B * R : 0),
        second_stage_fed(L && !c.modulated ? B * H : 0),
        unprojected(c.projection && !c.unprojected ? B * H : 0) {
    if (plan.unpacked) return;
    if (plan.fused && c.bias_ih && !c.norm_x) pack_values(in(c.bias_ih), H, 0, G, blocks, input_bias.data);
    if (c.bias && !c.norm) pack_values(in(c.bias), H, 0, E, blocks, bias.data);
    if (L && c.bias) pack_values(in(c.bias), H, E, L, blocks, second_stage_bias.data);
    if (c.projection_bias) pack_values(in(c.projection_bias), R, 0, 1, output_blocks, output_bias.data);
  }

  // The k-th of n partitions of the packing.
  void pack(int64_t k, int64_t n) {
    if (plan.unpacked) return;
    const int64_t begin = blocks.count * k / n, end = blocks.count * (k + 1) / n;
    if (plan.fused) pack_rows(in(c.weight_ih), I, H, 0, G, blocks, begin, end, input_panels.data);
    pack_rows(in(c.weight), columns, H, 0, E, blocks, begin, end, panels.data);
    if (L) pack_rows(in(c.weight), columns, H, E, L, blocks, begin, end, second_stage_panels.data);
    if (c.projection)
      pack_rows(in(c.projection), H, R, 0, 1, output_blocks, output_blocks.count * k / n,
                output_blocks.count * (k + 1) / n, output_panels.data);
  }

  static const T* in(const void* p) { return static_cast<const T*>(p); }
  static T* out(void* p) { return static_cast<T*>(p); }

  // The addresses that one row's step reads and writes.
  struct Row {
    const T *x, *u, *inputs, *fed, *prev[S], *zoneout[S];
    T *next[S], *history[S], *saved, *modulated, *normed, *deviation, *normed_x, *deviation_x;
  };

  void prepare(Row& row, int64_t rank, int64_t j) const {
    const int64_t b = order.data[rank], t = time(rank, j), now = step_index(rank, t);
    row.x = c.x ? in(c.x) + now * G * H : nullptr;
    row.u = c.u ? in(c.u) + now * G * H : nullptr;
    row.inputs = plan.fused ? in(c.inputs) + now * I : nullptr;
    row.prev[0] = j ? in(c.output) + padded(rank, time(rank, j - 1)) * R : in(c.initial[0]) + b * R;
    row.next[0] = !c.projection   ? out(c.output) + padded(rank, t) * R
                  : c.unprojected ? out(c.unprojected) + now * H
                                  : unprojected.data + b * H;
    row.history[0] = nullptr;
    for (int k = 1; k < S; ++k) {
      row.prev[k] = row.next[k] = out(c.final_state[k]) + b * H;
      row.history[k] = c.history ? out(c.history) + ((k - 1) * valid_steps + now) * H : nullptr;
    }
    for (int k = 0; k < S; ++k)
      row.zoneout[k] = c.zoneout[k] ? in(c.zoneout[k]) + t * c.zoneout_step + b * c.zoneout_row : nullptr;
    row.saved = c.saved ? out(c.saved) + now * K * H : nullptr;
    row.normed = c.normed ? out(c.normed) + now * G * H : nullptr;
    row.deviation = c.deviation ? out(c.deviation) + now * G : nullptr;
    row.normed_x = c.normed_x ? out(c.normed_x) + now * G * H : nullptr;
    row.deviation_x = c.deviation_x ? out(c.deviation_x) + now * G : nullptr;
    row.modulated = !L ? nullptr : c.modulated ? out(c.modulated) + now * H : second_stage_fed.data + b * H;
    row.fed = c.mask ? (c.before ? out(c.before) + now * R : fed.data + b * R) : row.prev[0];
  }

  // What the recurrent weights read, if it is not the output of the step before.
  void feed(const Row& row, int64_t rank, int64_t j, int64_t begin, int64_t end) const {
    if (c.mask) {
      const T* mask = in(c.mask) + order.data[rank] * R;
      T* to = const_cast<T*>(row.fed);
      for (int64_t k = begin; k < end; ++k) to[k] = mask[k] * row.prev[0][k];
    } else if (c.before) {
      T* to = out(c.before) + step_index(rank, time(rank, j)) * R;
      std::memcpy(to + begin, row.prev[0] + begin, (end - begin) * sizeof(T));
    }
  }

  // x and u point to the unit, their gates `x_stride` and `u_stride` apart.
  template <bool whole>
  void update(const Row& row, const T* x, int64_t x_stride, const T* u, int64_t u_stride, int64_t unit,
              int64_t count) const {
    V xs[G], us[G];
    for (int g = 0; g < G; ++g) {
      xs[g] = get<V, whole>(x + g * x_stride, count);
      us[g] = get<V, whole>(u + g * u_stride, count);
    }
    update<whole>(row, xs, us, unit, count);
  }

  template <bool whole>
  void update(const Row& row, const V* xs, const V* us, int64_t unit, int64_t count) const {
    V s[S], p[at_least(P)], after[S], saved[at_least(K)];
    // A projected output has other units than the update.
    s[0] = c.projection ? V{} : get<V, whole>(row.prev[0] + unit, count);
    for (int k = 1; k < S; ++k) s[k] = get<V, whole>(row.prev[k] + unit, count);
    prepared.template load_at<whole>(unit, count, p);
    Cell::forward(xs, us, s, p, after, saved);
    for (int k = 0; k < S; ++k) {
      if (row.zoneout[k]) after[k] += get<V, whole>(row.zoneout[k] + unit, count) * (s[k] - after[k]);
      put<V, whole>(row.next[k] + unit, after[k], count);
      if (row.history[k]) put<V, whole>(row.history[k] + unit, after[k], count);
    }
    if (row.saved)
      for (int k = 0; k < K; ++k) put<V, whole>(row.saved + k * H + unit, saved[k], count);
  }

  void step_unpacked(const Row& row, T* x, T* u, int64_t begin, int64_t end) const {
    for (int g = 0; g < G; ++g) {
      const int64_t first = g * H + begin;
      if (row.inputs)
        multiply_unpacked(in(c.weight_ih) + first * I, I, end - begin, row.inputs,
                          c.bias_ih && !c.norm_x ? in(c.bias_ih) + first : nullptr, x + first);
      if (!row.u)
        multiply_unpacked(in(c.weight) + first * R, R, end - begin, row.fed,
                          c.bias && !c.norm ? in(c.bias) + first : nullptr, u + first);
    }
    const T *xs = row.inputs ? x : row.x, *us = row.u ? row.u : u;
    if (plan.whole_rows) return update_normalised(row, {xs, H, false}, {us, H, false});
    by_vector<W>(begin, end, [&](auto whole, int64_t unit, int64_t count) {
      update<whole.value>(row, xs + unit, H, us + unit, H, unit, count);
    });
  }

  // Prefetches what the update will read and write, while the product is computed.
  void expect(const Row& row, int64_t unit) const {
    for (int n = 0; n < units; ++n, unit += W) {
      if (row.x)
        for (int g = 0; g < G; ++g) __builtin_prefetch(row.x + g * H + unit);
      if (row.saved)
        for (int k = 0; k < K; ++k) __builtin_prefetch(row.saved + k * H + unit, 1);
      for (T* normed : {row.normed, row.normed_x})
        for (int g = 0; normed && g < G; ++g) __builtin_prefetch(normed + g * H + unit, 1);
      for (int k = 0; k < S; ++k) {
        __builtin_prefetch(row.next[k] + unit, 1);
        if (row.history[k]) __builtin_prefetch(row.history[k] + unit, 1);
      }
    }
  }

  // The products of one block of units for all rows, and their update.
  void step_block(const Row* rows, int64_t active, int64_t block, T* whole_x, T* whole_u) const {
    const int64_t first = blocks.first(block), row_size = blocks.count * N * W;
    const int64_t offset = blocks.head(block) * blocks.per_head_units * (c.heads > 1);
    T x[group * N * W], u[group * N * W];
    for (int64_t a = 0; a < active; a += group) {
      const int64_t count = active - a < group ? active - a : group;
      const T* from[group];
      for (int64_t i = 0; i < count; ++i) {
        from[i] = rows[a + i].fed + offset;
        expect(rows[a + i], first);
      }
      Product<T, NE>::run(count, panels.data + block * columns * NE * W, columns, from,
                          c.bias && !c.norm ? bias.data + block * NE * W : nullptr, 0,
                          plan.whole_rows ? whole_u + a * row_size + block * N * W : u,
                          plan.whole_rows ? row_size : N * W);
      if (plan.fused) {
        for (int64_t i = 0; i < count; ++i) from[i] = rows[a + i].inputs;
        Product<T, N>::run(count, input_panels.data + block * I * N * W, I, from,
                           c.bias_ih && !c.norm_x ? input_bias.data + block * N * W : nullptr, 0,
                           plan.whole_rows ? whole_x + a * row_size + block * N * W : x,
                           plan.whole_rows ? row_size : N * W);
      }
      if (plan.whole_rows) continue;
      for (int64_t i = 0; i < count; ++i)
        by_vector<W>(0, blocks.units(block), [&](auto whole, int64_t j, int64_t lanes) {
          update<whole.value>(rows[a + i], plan.fused ? x + i * N * W + j : rows[a + i].x + first + j,
                              plan.fused ? units * W : H, u + i * N * W + j, units * W, first + j, lanes);
        });
    }
  }

  // For cells whose update waits for all units: second-stage gates, or normalisation.
  void step_whole(const Row* rows, int64_t active, const T* whole_x, T* whole_u) const {
    const int64_t row_size = blocks.count * N * W;
    if constexpr (L > 0) multiply_second_stage(rows, active, whole_u);
    for (int64_t a = 0; a < active; ++a) {
      const Projection<T, G> u(whole_u + a * row_size, units * W, true);
      if (plan.fused)
        update_normalised(rows[a], {whole_x + a * row_size, units * W, true}, u);
      else
        update_normalised(rows[a], {rows[a].x, H, false}, u);
    }
  }

  // One row; each of its projections that has a scale is normalised.
  void update_normalised(const Row& row, Projection<T, G> x, Projection<T, G> u) const {
    if (c.norm_x) x.normalise(blocks, H, c.epsilon, c.norm_x, c.bias_ih, row.normed_x, row.deviation_x);
    if (c.norm) u.normalise(blocks, H, c.epsilon, c.norm, c.bias, row.normed, row.deviation);
    by_block<W>(blocks, G, [&](auto whole, int64_t at, int64_t unit, int64_t count) {
      V xs[G], us[G];
      x.template read<whole.value>(xs, H, at, unit, count);
      u.template read<whole.value>(us, H, at, unit, count);
      update<whole.value>(row, xs, us, unit, count);
    });
  }

  // The products of the second-stage gates with `modulated`, which the first-stage gates determine.
  void multiply_second_stage(const Row* rows, int64_t active, T* whole_u) const {
    const int64_t row_size = blocks.count * N * W;
    for (int64_t a = 0; a < active; ++a)
      by_block<W>(blocks, G, [&](auto whole, int64_t at, int64_t unit, int64_t count) {
        modulate<whole.value>(rows[a], rows[a].x + unit, whole_u + a * row_size + at, unit, count);
      });
    for (int64_t block = 0; block < blocks.count; ++block)
      for (int64_t a = 0; a < active; a += group) {
        const int64_t count = active - a < group ? active - a : group;
        const T* from[group];
        for (int64_t i = 0; i < count; ++i) from[i] = rows[a + i].modulated;
        Product<T, NL>::run(count, second_stage_panels.data + block * columns * NL * W, columns, from,
                            c.bias ? second_stage_bias.data + block * NL * W : nullptr, 0,
                            whole_u + a * row_size + block * N * W + NE * W, row_size);
      }
  }

  template <bool whole>
  void modulate(const Row& row, const T* x, const T* u, int64_t unit, int64_t count) const {
    V xs[G], us[G], s[S], p[at_least(P)];
    for (int g = 0; g < G; ++g) {
      xs[g] = get<V, whole>(x + g * H, count);
      us[g] = g < E ? get<V, whole>(u + g * units * W, count) : V{};
    }
    s[0] = get<V, whole>(row.fed + unit, count);
    for (int k = 1; k < S; ++k) s[k] = get<V, whole>(row.prev[k] + unit, count);
    prepared.template load_at<whole>(unit, count, p);
    put<V, whole>(row.modulated + unit, Cell::modulated(xs, us, s, p), count);
  }

  void project_output(const Row* rows, int64_t active, int64_t begin, int64_t j) const {
    T result[group * 2 * W];
    for (int64_t block = 0; block < output_blocks.count; ++block)
      for (int64_t a = 0; a < active; a += group) {
        const int64_t count = active - a < group ? active - a : group;
        const T* from[group];
        for (int64_t i = 0; i < count; ++i) from[i] = rows[a + i].next[0];
        Product<T, 2>::run(count, output_panels.data + block * H * 2 * W, H, from,
                           c.projection_bias ? output_bias.data + block * 2 * W : nullptr, 0, result, 2 * W);
        for (int64_t i = 0; i < count; ++i) {
          T* to = out(c.output) + padded(begin + a + i, time(begin + a + i, j)) * R + output_blocks.first(block);
          by_vector<W>(0, output_blocks.units(block), [&](auto whole, int64_t k, int64_t lanes) {
            put<V, whole.value>(to + k, apply(c.nonlinearity, load<V>(result + i * 2 * W + k)), lanes);
          });
        }
      }
  }

  // Memory that the threads write beside the call's own. They divide the rows, or else the units, and each then has all
  // rows. There may be fewer threads than `n`, with larger partitions.
  struct Scratch {
    Buffer<Row> rows;
    Buffer<T> whole_x, whole_u;        // (B, row size), the products of all units
    Buffer<T> unpacked_x, unpacked_u;  // (n, G * H)

    Scratch(const Forward& f, int64_t n)
        : rows((f.plan.divides_units ? n : 1) * f.B),
          whole_x(f.plan.whole_rows && f.plan.fused ? f.B * f.blocks.count * N * W : 0),
          whole_u(f.plan.whole_rows ? f.B * f.blocks.count * N * W : 0),
          unpacked_x(f.plan.unpacked && f.plan.fused ? n * G * f.H : 0),
          unpacked_u(f.plan.unpacked && !f.c.u ? n * G * f.H : 0) {}
  };

  void run(int64_t k, int64_t n, const Scratch& scratch) {
    const bool split = plan.divides_units;
    const int64_t begin = split ? 0 : partition(k, n), end = split ? B : partition(k + 1, n);
    const int64_t first_block = split ? blocks.count * k / n : 0,
                  last_block = split ? blocks.count * (k + 1) / n : blocks.count;
    const int64_t unit = first_block < blocks.count ? blocks.first(first_block) : H;
    const int64_t beyond = last_block < blocks.count ? blocks.first(last_block) : H;
    // Parts of the state other than the output are updated in place in the final state.
    for (int64_t rank = begin; rank < end; ++rank)
      for (int part = 1; part < S; ++part) {
        const int64_t at = order.data[rank] * H + unit;
        std::memcpy(out(c.final_state[part]) + at, in(c.initial[part]) + at, (beyond - unit) * sizeof(T));
      }
    if (!split || k == 0) fill_padding<T>(begin, end);
    Row* const rows = scratch.rows.data + (split ? k * B : begin);
    const int64_t whole = plan.whole_rows ? begin * blocks.count * N * W : 0, alone = plan.unpacked ? k * G * H : 0;
    T *const whole_x = scratch.whole_x.data + (plan.fused ? whole : 0), *const whole_u = scratch.whole_u.data + whole;
    T* const unpacked_x = scratch.unpacked_x.data + (plan.fused ? alone : 0);
    T* const unpacked_u = scratch.unpacked_u.data + (c.u ? 0 : alone);
    const int64_t longest = begin < end ? length.data[begin] : 0;
    int64_t active = end - begin, round = 0;
    pack(k, n);
    // A thread packs the panels of the units that it computes.
    if (!split) barrier.wait(n, round);
    for (int64_t j = 0; j < longest; ++j) {
      while (active > 0 && length.data[begin + active - 1] <= j) --active;
      for (int64_t a = 0; a < active; ++a) {
        prepare(rows[a], begin + a, j);
        feed(rows[a], begin + a, j, split ? unit : 0, split ? beyond : R);
        if (plan.unpacked) step_unpacked(rows[a], unpacked_x, unpacked_u, unit, beyond);
      }
      if (!plan.unpacked)
        for (int64_t block = first_block; block < last_block; ++block)
          step_block(rows, active, block, whole_x, whole_u);
      if (plan.whole_rows && !plan.unpacked) step_whole(rows, active, whole_x, whole_u);
      if (c.projection) project_output(rows, active, begin, j);
      if (split) barrier.wait(n, round);
    }
    if (!split || k == 0)
      for (int64_t rank = begin; rank < end; ++rank) {
        const int64_t row = order.data[rank], last = length.data[rank] - 1;
        const T* from = last < 0 ? in(c.initial[0]) + row * R : in(c.output) + padded(rank, time(rank, last)) * R;
        std::memcpy(out(c.final_state[0]) + row * R, from, R * sizeof(T));
      }
  }

  struct Job {
    Forward* engine;
    const Scratch* scratch;
  };

  static void task(void* context, int64_t k, int64_t n) noexcept {
    const WithoutSubnormals within;
    const Job& job = *static_cast<const Job*>(context);
    job.engine->run(k, n, *job.scratch);
  }

  static int call(const Call* call, Parallel parallel) {
    try {
      Forward forward(*call);
      const int64_t n = forward.plan.threads;
      const Scratch scratch(forward, n);
      Job job{&forward, &scratch};
      if (n > 1)
        parallel(task, &job, n);
      else
        task(&job, 0, 1);
      return 0;
    } catch (const std::bad_alloc&) {
      return 1;
    }
  }
};

}  // namespace RECURRA_ISA
}  // namespace recurra
