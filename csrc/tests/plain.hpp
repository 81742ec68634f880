// What the engine computes, by a plain loop in double: one row, one step and one unit after another, nothing packed.
//
// The generated equations are the cell's; they compute on vectors, of which the first lane counts here.
#pragma once

#include "../vector.hpp"
#include "problem.hpp"

namespace recurra {

typedef std::vector<double> Doubles;

template <class Cell, class T>
struct Plain {
  typedef baseline::Vectors<double>::type One;
  static constexpr int G = Cell::gates, S = Cell::parts, P = Cell::per_unit, Q = Cell::prepared, K = Cell::saved;
  static constexpr int E = G - Cell::second_stage, most = 24;

  const Problem<Cell, T>& p;
  const Options& o;
  const int64_t H, R, B;
  Doubles output, final_state[most_parts], d_x, d_u, d_initial[most_parts], d_bias_x, d_bias, d_norm, d_norm_x,
      d_per_unit;
  Doubles d_projected, d_weight;

  // What one step of one row leaves for its backward pass.
  struct Step {
    Doubles state[most_parts], x, u, saved, fed, normed, deviation, normed_x, deviation_x, result;
  };

  explicit Plain(const Problem<Cell, T>& problem) : p(problem), o(p.o), H(p.H), R(p.R), B(o.batch) {
    output.assign(o.steps * B * R, 0);
    d_x.assign(p.valid_steps * G * H, 0), d_u = d_x;
    d_bias_x.assign(G * H, 0), d_bias = d_norm = d_norm_x = d_weight = d_bias_x;
    d_projected.assign(p.valid_steps * R, 0);
    ready.assign(Q * H, 0), d_ready = ready;
    for (int64_t n = 0; n < H; ++n) {
      One parameters[most] = {}, values[most] = {};
      for (int k = 0; k < P; ++k) parameters[k][0] = p.per_unit[k * H + n];
      Cell::prepare(parameters, values);
      for (int k = 0; k < Q; ++k) ready[k * H + n] = values[k][0];
    }
    for (int part = 0; part < S; ++part)
      final_state[part].assign(p.initial[part].begin(), p.initial[part].end()), d_initial[part] = final_state[part];
    for (int64_t b = 0; b < B; ++b) run_row(b);
    d_per_unit.assign(P * H, 0);
    for (int64_t n = 0; n < H; ++n) {
      One parameters[most] = {}, values[most] = {}, gradient[most] = {};
      for (int k = 0; k < P; ++k) parameters[k][0] = p.per_unit[k * H + n];
      for (int k = 0; k < Q; ++k) values[k][0] = d_ready[k * H + n];
      Cell::prepare_backward(parameters, values, gradient);
      for (int k = 0; k < P; ++k) d_per_unit[k * H + n] = gradient[k][0];
    }
  }

 private:
  Doubles ready, d_ready;

  int64_t time(int64_t b, int64_t j) const { return o.reverse ? p.lengths[b] - 1 - j : j; }
  double zoneout(int part, int64_t b, int64_t t, int64_t n) const {
    return o.zoneout == Zoneout::each_step  ? p.zoneout[part][(t * B + b) * H + n]
           : o.zoneout == Zoneout::constant ? p.zoneout[part][n]
                                            : 0;
  }
  double mask(int64_t b, int64_t k) const { return o.mask ? p.mask[b * R + k] : 1; }
  static double bias(const std::vector<T>& values, int64_t k) { return values.empty() ? 0 : values[k]; }

  // Calls f(k, weight of the unit's row, what it reads of `fed`) for each recurrent weight of a gate's unit.
  template <class F>
  void each_weight(int g, int64_t n, F f) const {
    const int64_t head = o.heads > 1 ? n / (H / o.heads) : 0, row = g * H + n;
    for (int64_t k = 0; k < p.columns; ++k) {
      const int64_t from = !Cell::mixes_units ? n : head * (o.heads > 1 ? p.columns : 0) + k;
      f(from, static_cast<double>(p.weight[row * p.columns + k]));
    }
  }

  struct Unit {
    One x[most] = {}, u[most] = {}, s[most] = {}, p[most] = {}, saved[most] = {};
  };

  Unit unit(const Step& step, int64_t n, bool sees_fed) const {
    Unit v;
    for (int g = 0; g < G; ++g) v.x[g][0] = step.x[g * H + n], v.u[g][0] = step.u[g * H + n];
    // A projected output has other units than the update.
    v.s[0][0] = o.size ? 0 : sees_fed ? step.fed[n] : step.state[0][n];
    for (int k = 1; k < S; ++k) v.s[k][0] = step.state[k][n];
    for (int k = 0; k < Q; ++k) v.p[k][0] = ready[k * H + n];
    for (int k = 0; k < K && !step.saved.empty(); ++k) v.saved[k][0] = step.saved[k * H + n];
    return v;
  }

  static double apply(Nonlinearity nonlinearity, double v) {
    if (nonlinearity == Nonlinearity::tanh) return std::tanh(v);
    if (nonlinearity == Nonlinearity::sigmoid) return 1 / (1 + std::exp(-v));
    return nonlinearity == Nonlinearity::relu ? (v > 0 ? v : 0) : v;
  }

  void run_row(int64_t b) {
    const int64_t length = p.lengths[b];
    Doubles state[most_parts];
    for (int part = 0; part < S; ++part) {
      const int64_t size = part ? H : R;
      state[part].assign(p.initial[part].begin() + b * size, p.initial[part].begin() + (b + 1) * size);
    }
    std::vector<Step> steps;
    for (int64_t j = 0; j < length; ++j) steps.push_back(forward(b, time(b, j), state));
    Doubles carry[most_parts];
    for (int part = 0; part < S; ++part) {
      const int64_t size = part ? H : R;
      for (int64_t n = 0; n < size; ++n) final_state[part][b * size + n] = state[part][n];
      carry[part].assign(p.d_final[part].begin() + b * size, p.d_final[part].begin() + (b + 1) * size);
    }
    for (int64_t j = length - 1; j >= 0; --j) backward(b, time(b, j), steps[j], carry);
    for (int part = 0; part < S; ++part)
      for (size_t n = 0; n < carry[part].size(); ++n) d_initial[part][b * carry[part].size() + n] = carry[part][n];
  }

  Step forward(int64_t b, int64_t t, Doubles* state) {
    const int64_t now = p.step_index(b, t);
    Step step;
    for (int part = 0; part < S; ++part) step.state[part] = state[part];
    step.fed = state[0];
    for (int64_t k = 0; k < R; ++k) step.fed[k] *= mask(b, k);
    step.x.assign(G * H, 0), step.u = step.x;
    for (int64_t k = 0; k < G * H; ++k) {
      step.x[k] = o.features ? (p.norms_x() ? 0 : bias(p.bias_ih, k)) : static_cast<double>(p.x[now * G * H + k]);
      for (int64_t i = 0; i < o.features; ++i)
        step.x[k] += static_cast<double>(p.weight_ih[k * o.features + i]) * p.inputs[now * o.features + i];
    }
    multiply(step, 0, E, step.fed);
    if (p.norms_x()) normalise(step.x, step.normed_x, step.deviation_x, p.norm_x, p.bias_ih);
    if (p.norms_u()) normalise(step.u, step.normed, step.deviation, p.norm, p.bias);
    if constexpr (Cell::second_stage > 0) {
      Doubles modulated(H);
      for (int64_t n = 0; n < H; ++n) {
        const Unit v = unit(step, n, true);
        modulated[n] = Cell::modulated(v.x, v.u, v.s, v.p)[0];
      }
      multiply(step, E, G, modulated);
    }
    Doubles after[most_parts];
    for (int part = 0; part < S; ++part) after[part].assign(H, 0);
    Doubles saved(K * H);
    for (int64_t n = 0; n < H; ++n) {
      Unit v = unit(step, n, false);
      One next[most] = {};
      Cell::forward(v.x, v.u, v.s, v.p, next, v.saved);
      for (int part = 0; part < S; ++part) after[part][n] = next[part][0];
      for (int k = 0; k < K; ++k) saved[k * H + n] = v.saved[k][0];
    }
    step.saved = saved;
    if (o.size) {
      Doubles projected(R);
      for (int64_t r = 0; r < R; ++r) {
        projected[r] = bias(p.projection_bias, r);
        for (int64_t n = 0; n < H; ++n) projected[r] += static_cast<double>(p.projection[r * H + n]) * after[0][n];
        projected[r] = apply(o.nonlinearity, projected[r]);
      }
      after[0] = projected;
    }
    for (int part = 0; part < S && o.zoneout != Zoneout::nothing; ++part)
      for (int64_t n = 0; n < H; ++n) after[part][n] += zoneout(part, b, t, n) * (state[part][n] - after[part][n]);
    for (int part = 0; part < S; ++part) state[part] = after[part];
    for (int64_t r = 0; r < R; ++r) output[(t * B + b) * R + r] = state[0][r];
    step.result = state[0];
    return step;
  }

  void multiply(Step& step, int first, int last, const Doubles& from) const {
    for (int g = first; g < last; ++g)
      for (int64_t n = 0; n < H; ++n) {
        double sum = p.norms_u() ? 0 : bias(p.bias, g * H + n);
        each_weight(g, n, [&](int64_t k, double weight) { sum += weight * from[k]; });
        step.u[g * H + n] = sum;
      }
  }

  template <class Values>
  void normalise(Doubles& u, Doubles& normed, Doubles& deviation, const Values& scale, const Values& shift) const {
    normed = u;
    deviation.assign(G, 0);
    for (int g = 0; g < G; ++g) {
      double mean = 0, variance = 0;
      for (int64_t n = 0; n < H; ++n) mean += u[g * H + n] / H;
      for (int64_t n = 0; n < H; ++n) variance += (u[g * H + n] - mean) * (u[g * H + n] - mean) / H;
      deviation[g] = 1 / std::sqrt(variance + 1e-5);
      for (int64_t k = g * H; k < (g + 1) * H; ++k) {
        normed[k] = (u[k] - mean) * deviation[g];
        u[k] = normed[k] * scale[k] + bias(shift, k);
      }
    }
  }

  void backward(int64_t b, int64_t t, const Step& step, Doubles* carry) {
    const int64_t now = p.step_index(b, t);
    for (int64_t r = 0; r < R; ++r) carry[0][r] += p.d_output[(t * B + b) * R + r];
    Doubles d_after[most_parts], stays[most_parts];
    for (int part = 0; part < S; ++part) d_after[part] = carry[part];
    if (o.size) {
      d_after[0].assign(H, 0);
      for (int64_t r = 0; r < R; ++r) {
        const double y = step.result[r], d = carry[0][r];
        const double slopes[] = {1, 1 - y * y, y * (1 - y), y > 0 ? 1.0 : 0.0},
                     slope = slopes[static_cast<int>(o.nonlinearity)];
        d_projected[now * R + r] = d * slope;
        for (int64_t n = 0; n < H; ++n) d_after[0][n] += d * slope * p.projection[r * H + n];
      }
    }
    for (int part = 0; part < S; ++part) {
      stays[part].assign(part || !o.size ? H : R, 0);
      for (int64_t n = 0; n < H && o.zoneout != Zoneout::nothing; ++n) {
        stays[part][n] = zoneout(part, b, t, n) * d_after[part][n];
        d_after[part][n] -= stays[part][n];
      }
      carry[part] = stays[part];
    }
    Doubles dx(G * H), du(G * H);
    for (int64_t n = 0; n < H; ++n) {
      Unit v = unit(step, n, false);
      One d[most] = {}, dx_n[most] = {}, du_n[most] = {}, ds[most] = {}, dp[most] = {};
      for (int part = 0; part < S; ++part) d[part][0] = d_after[part][n];
      Cell::backward(v.x, v.u, v.saved, v.s, v.p, d, dx_n, du_n, ds, dp);
      for (int g = 0; g < G; ++g) {
        dx[g * H + n] = dx_n[g][0];
        du[g * H + n] = Cell::shares_gradient ? dx_n[g][0] : du_n[g][0];
      }
      for (int part = o.size ? 1 : 0; part < S; ++part) carry[part][n] += ds[part][0];
      for (int k = 0; k < Q; ++k) d_ready[k * H + n] += dp[k][0];
    }
    if constexpr (Cell::second_stage > 0) unmodulate(b, step, dx, du, carry);
    for (int64_t k = 0; k < G * H; ++k) d_bias_x[k] += dx[k], d_bias[k] += du[k];
    if (p.norms_x()) denormalise(dx, step.normed_x, step.deviation_x, p.norm_x, d_norm_x);
    if (p.norms_u()) denormalise(du, step.normed, step.deviation, p.norm, d_norm);
    for (int g = 0; g < E; ++g)
      for (int64_t n = 0; n < H; ++n)
        each_weight(g, n, [&](int64_t k, double weight) {
          carry[0][k] += mask(b, k) * weight * du[g * H + n];
          if (!Cell::mixes_units) d_weight[g * H + n] += du[g * H + n] * step.fed[k];
        });
    for (int64_t k = 0; k < G * H; ++k) d_x[now * G * H + k] = dx[k], d_u[now * G * H + k] = du[k];
  }

  void unmodulate(int64_t b, const Step& step, Doubles& dx, Doubles& du, Doubles* carry) {
    Doubles d_second_stage(H);
    for (int g = E; g < G; ++g)
      for (int64_t n = 0; n < H; ++n)
        each_weight(g, n, [&](int64_t k, double weight) { d_second_stage[k] += weight * du[g * H + n]; });
    for (int64_t n = 0; n < H; ++n) {
      const Unit v = unit(step, n, true);
      One d = {}, dx_n[most] = {}, du_n[most] = {}, ds[most] = {}, dp[most] = {};
      d[0] = d_second_stage[n];
      if constexpr (Cell::second_stage > 0)
        Cell::modulated_backward(v.x, v.u, v.saved, v.s, v.p, d, dx_n, du_n, ds, dp);
      for (int g = 0; g < G; ++g) {
        dx[g * H + n] += dx_n[g][0];
        if (g < E) du[g * H + n] += Cell::shares_gradient ? dx_n[g][0] : du_n[g][0];
      }
      carry[0][n] += mask(b, n) * ds[0][0];
      for (int part = 1; part < S; ++part) carry[part][n] += ds[part][0];
      for (int k = 0; k < Q; ++k) d_ready[k * H + n] += dp[k][0];
    }
  }

  template <class Values>
  void denormalise(Doubles& d, const Doubles& normed, const Doubles& deviation, const Values& scale,
                   Doubles& d_scale) const {
    for (int g = 0; g < G; ++g) {
      double mean = 0, slope = 0;
      for (int64_t k = g * H; k < (g + 1) * H; ++k) {
        d_scale[k] += d[k] * normed[k];
        d[k] *= scale[k];
        mean += d[k] / H, slope += d[k] * normed[k] / H;
      }
      for (int64_t k = g * H; k < (g + 1) * H; ++k) d[k] = (d[k] - mean - normed[k] * slope) * deviation[g];
    }
  }
};

}  // namespace recurra
