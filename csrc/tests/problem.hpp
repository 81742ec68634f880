// A random sequence for the engine, with the options of a step, and memory for all that it may write.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "../call.hpp"

namespace recurra {

enum class Normalised { nothing, recurrent, both, input };
enum class Zoneout { nothing, each_step, constant };

struct Options {
  int64_t steps, batch, hidden, threads;
  bool ragged, reverse;
  int64_t features;           // I if the engine computes the input projection, else 0
  int64_t heads;              // 1 but for a block-diagonal recurrence
  int64_t size;               // R of a projected output, else 0
  Nonlinearity nonlinearity;  // of it
  Normalised norm;
  bool mask, bias;
  Zoneout zoneout;
  bool apart;  // a single step whose products with the recurrent weights are the caller's
};

inline Options plain_options(int64_t steps, int64_t batch, int64_t hidden, int64_t threads) {
  return {steps, batch, hidden,           threads, false, false, 0, 1, 0, Nonlinearity::identity, Normalised::nothing,
          false, true,  Zoneout::nothing, false};
}

template <class Cell, class T>
struct Problem {
  static constexpr int64_t G = Cell::gates, S = Cell::parts, P = Cell::per_unit, K = Cell::saved;
  typedef std::vector<T> Values;

  const Options o;
  const int64_t H, R, columns;
  std::vector<int64_t> lengths;
  int64_t valid_steps;
  Values inputs, weight_ih, bias_ih, x, u, weight, bias, norm, norm_x, per_unit, projection, projection_bias, mask;
  Values zoneout[most_parts], initial[most_parts], d_output, d_final[most_parts];
  // Written by the engine; NaN before.
  Values output, final_state[most_parts], history, saved, before, modulated, normed, deviation, normed_x, deviation_x,
      unprojected;
  Values d_x, d_u, d_initial[most_parts], d_bias_x, d_bias, d_norm, d_norm_x, d_per_unit, d_projected, d_weight;

  explicit Problem(const Options& options)
      : o(options),
        H(o.hidden),
        R(o.size ? o.size : o.hidden),
        columns(!Cell::mixes_units ? (Cell::diagonal ? 1 : 0)
                : o.heads > 1      ? H / o.heads
                                   : R),
        valid_steps(0) {
    std::mt19937 generator(7 + static_cast<unsigned>(o.steps * 31 + o.batch * 17 + H));
    auto draw = [&](int64_t count, double scale, double around = 0) {
      std::normal_distribution<double> normal;
      Values values(static_cast<size_t>(count));
      for (T& value : values) value = static_cast<T>(around + scale * normal(generator));
      return values;
    };
    for (int64_t b = 0; b < o.batch; ++b) lengths.push_back(o.ragged ? (b * 5 + 2) % (o.steps + 1) : o.steps);
    for (int64_t length : lengths) valid_steps += length;
    const double small = 0.7 / std::sqrt(static_cast<double>(columns > 0 ? columns : 1));
    if (o.features) {
      inputs = draw(valid_steps * o.features, 1);
      weight_ih = draw(G * H * o.features, 0.5);
    } else {
      x = draw(valid_steps * G * H, 1);
    }
    if (o.bias && (o.features || norms_x())) bias_ih = draw(G * H, 0.5);
    weight = draw(G * H * columns, small);
    if (o.bias && columns) bias = draw(G * H, 0.5);
    if (o.apart) u = nothing(o.batch * G * H);
    if (norms_u()) norm = draw(G * H, 0.3, 1);
    if (norms_x()) norm_x = draw(G * H, 0.3, 1);
    per_unit = draw(P * H, 0.5);
    if (o.size) {
      projection = draw(R * H, 0.7 / std::sqrt(static_cast<double>(H)));
      if (o.bias) projection_bias = draw(R, 0.5);
    }
    if (o.mask) mask = draw(o.batch * R, 0.5, 1);
    for (int64_t k = 0; k < S; ++k) {
      const int64_t size = o.batch * (k ? H : R);
      if (o.zoneout != Zoneout::nothing)
        zoneout[k] = draw(o.zoneout == Zoneout::each_step ? o.steps * o.batch * H : H, 0.2, 0.5);
      initial[k] = draw(size, 0.5);
      d_final[k] = draw(size, 1);
      final_state[k] = nothing(size);
      d_initial[k] = nothing(size);
    }
    d_output = draw(o.steps * o.batch * R, 1);
    output = nothing(o.steps * o.batch * R);
    history = nothing((S - 1) * valid_steps * H);
    saved = nothing(valid_steps * K * H);
    before = nothing(Cell::mixes_units ? valid_steps * R : 0);
    modulated = nothing(Cell::second_stage ? valid_steps * H : 0);
    normed = nothing(norms_u() ? valid_steps * G * H : 0);
    deviation = nothing(norms_u() ? valid_steps * G : 0);
    normed_x = nothing(norms_x() ? valid_steps * G * H : 0);
    deviation_x = nothing(norms_x() ? valid_steps * G : 0);
    unprojected = nothing(o.size ? valid_steps * H : 0);
    d_x = nothing(valid_steps * G * H);
    d_u = nothing(separate() ? valid_steps * G * H : 0);
    d_bias_x = nothing(G * H);
    d_bias = nothing(separate() || !Cell::mixes_units ? G * H : 0);
    d_norm = nothing(norms_u() ? G * H : 0);
    d_norm_x = nothing(norms_x() ? G * H : 0);
    d_per_unit = nothing(P * H);
    d_projected = nothing(o.size ? valid_steps * R : 0);
    d_weight = nothing(Cell::diagonal ? G * H : 0);
  }

  bool norms_u() const { return o.norm == Normalised::recurrent || o.norm == Normalised::both; }
  bool norms_x() const { return o.norm == Normalised::both || o.norm == Normalised::input; }

  // Whether the gradients of the two projections are separate tensors.
  bool separate() const { return Cell::mixes_units && (o.norm != Normalised::nothing || !Cell::shares_gradient); }

  int64_t step_index(int64_t b, int64_t t) const {
    if (!o.ragged) return t * o.batch + b;
    for (int64_t row = 0; row < b; ++row) t += lengths[row];
    return t;
  }

  // The products that are the caller's: of the state, and of the gradients, into that of the state.
  void project_state() {
    for (int64_t b = 0; o.apart && b < o.batch; ++b)
      for (int64_t k = 0; k < G * H; ++k) {
        T sum = o.bias && !norms_u() ? bias[k] : T(0);
        for (int64_t r = 0; r < R; ++r)
          sum += weight[k * R + r] * initial[0][b * R + r] * (o.mask ? mask[b * R + r] : T(1));
        u[b * G * H + k] = sum;
      }
  }
  void project_back() {
    const Values& gradient = separate() ? d_u : d_x;
    for (int64_t b = 0; o.apart && b < o.batch; ++b)
      for (int64_t k = 0; k < G * H; ++k)
        for (int64_t r = 0; r < R; ++r)
          d_initial[0][b * R + r] += weight[k * R + r] * gradient[b * G * H + k] * (o.mask ? mask[b * R + r] : T(1));
  }

  // The call of the engine. Without `training` nothing is saved for the backward pass.
  Call call(bool training) {
    Call c{};
    c.steps = o.steps, c.batch = o.batch, c.hidden = H, c.size = R, c.features = o.features, c.heads = o.heads;
    c.reverse = o.reverse, c.threads = o.threads, c.nonlinearity = o.nonlinearity;
    if (o.zoneout == Zoneout::each_step) c.zoneout_step = o.batch * H, c.zoneout_row = H;
    c.epsilon = 1e-5;
    c.lengths = o.ragged ? lengths.data() : nullptr;
    c.inputs = at(inputs), c.weight_ih = at(weight_ih), c.bias_ih = at(bias_ih), c.x = at(x);
    c.u = at(u), c.weight = o.apart ? nullptr : at(weight), c.bias = at(bias), c.norm = at(norm), c.norm_x = at(norm_x),
    c.per_unit = at(per_unit);
    c.projection = at(projection), c.projection_bias = at(projection_bias), c.mask = at(mask);
    for (int64_t k = 0; k < S; ++k) {
      c.zoneout[k] = at(zoneout[k]), c.initial[k] = at(initial[k]), c.final_state[k] = at(final_state[k]);
      if (training) c.d_final[k] = at(d_final[k]), c.d_initial[k] = at(d_initial[k]);
    }
    c.output = at(output);
    if (!training) return c;
    c.history = at(history), c.saved = at(saved), c.before = at(before), c.modulated = at(modulated);
    c.normed = at(normed), c.deviation = at(deviation), c.unprojected = at(unprojected);
    c.normed_x = at(normed_x), c.deviation_x = at(deviation_x);
    c.d_output = at(d_output), c.d_x = at(d_x), c.d_u = at(d_u), c.d_bias_x = at(d_bias_x), c.d_bias = at(d_bias);
    c.d_norm = at(d_norm), c.d_norm_x = at(d_norm_x), c.d_per_unit = at(d_per_unit), c.d_projected = at(d_projected),
    c.d_weight = at(d_weight);
    return c;
  }

 private:
  static T* at(Values& values) { return values.empty() ? nullptr : values.data(); }
  static Values nothing(int64_t count) {
    return Values(static_cast<size_t>(count), std::numeric_limits<T>::quiet_NaN());
  }
};

}  // namespace recurra
