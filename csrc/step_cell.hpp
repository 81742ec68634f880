// One step of a cell for some rows, from projections that are already computed: what a stream runs.
#pragma once

#include "prepared.hpp"

namespace recurra {
namespace RECURRA_ISA {

template <class Cell>
struct StepCell {
  typedef typename Vectors<float>::type V;
  static constexpr int W = Vectors<float>::width;
  static constexpr int G = Cell::gates, S = Cell::parts, P = Cell::per_unit, Q = Cell::prepared,
                       E = G - Cell::second_stage;

  template <bool whole>
  static void load_step(const CellStep& c, int64_t row, int64_t unit, int64_t count, int loaded, V* x, V* u, V* s,
                        V* p) {
    const int64_t H = c.hidden, at = row * c.stride + unit;
    for (int g = 0; g < G; ++g) {
      x[g] = c.x ? get<V, whole>(c.x + at + g * H, count) : V{};
      u[g] = c.u && g < loaded ? get<V, whole>(c.u + at + g * H, count) : V{};
    }
    for (int k = 0; k < S; ++k)
      s[k] = c.state[k] ? get<V, whole>(c.state[k] + row * c.state_stride + unit, count) : V{};
    for (int k = 0; k < Q; ++k) p[k] = get<V, whole>(c.prepared + k * H + unit, count);
  }

  static void update(const CellStep* call) {
    const CellStep& c = *call;
    for (int64_t row = 0; row < c.rows; ++row)
      by_vector<W>(0, c.hidden, [&](auto whole, int64_t unit, int64_t count) {
        constexpr bool all = whole.value;
        V x[G], u[G], s[S], p[at_least(Q)], after[S], saved[at_least(Cell::saved)];
        load_step<all>(c, row, unit, count, G, x, u, s, p);
        Cell::forward(x, u, s, p, after, saved);
        for (int k = 0; k < S; ++k) {
          if (c.zoneout[k] != 0) after[k] += c.zoneout[k] * (s[k] - after[k]);
          float* to = k ? c.state[k] + row * c.state_stride : c.output + row * c.output_stride;
          put<V, all>(to + unit, after[k], count);
        }
      });
  }

  // What the recurrent weights of the second-stage gates multiply, into `output`.
  static void modulate(const CellStep* call) {
    if constexpr (Cell::second_stage > 0) {
      const CellStep& c = *call;
      for (int64_t row = 0; row < c.rows; ++row)
        by_vector<W>(0, c.hidden, [&](auto whole, int64_t unit, int64_t count) {
          constexpr bool all = whole.value;
          V x[G], u[G], s[S], p[at_least(Q)];
          load_step<all>(c, row, unit, count, E, x, u, s, p);
          put<V, all>(c.output + row * c.output_stride + unit, Cell::modulated(x, u, s, p), count);
        });
    } else {
      (void)call;
    }
  }

  // The values (Q, H) that follow from the per-unit parameters (P, H) alone.
  static void prepare(const float* parameters, int64_t H, float* values) {
    if constexpr (Q > 0)
      by_vector<W>(0, H, [&](auto whole, int64_t unit, int64_t count) {
        constexpr bool all = whole.value;
        V p[P], ready[Q];
        for (int k = 0; k < P; ++k) p[k] = get<V, all>(parameters + k * H + unit, count);
        Cell::prepare(p, ready);
        for (int k = 0; k < Q; ++k) put<V, all>(values + k * H + unit, ready[k], count);
      });
    else
      (void)parameters, (void)H, (void)values;
  }
};

}  // namespace RECURRA_ISA
}  // namespace recurra
