// Cells whose units do not mix (a diagonal recurrence, or none): sequential in time, vectors of units, no product.
//
// The loop is bound by memory: only the states are written for the backward pass, which computes the gates again from
// x. A thread takes its rows in groups whose state stays in the second-level cache.
#pragma once

#include "forward.hpp"

namespace recurra {
namespace RECURRA_ISA {

template <class Cell, class T>
struct Elementwise : Rows {
  typedef typename Vectors<T>::type V;
  static constexpr int W = Vectors<T>::width;
  static constexpr int G = Cell::gates, S = Cell::parts, P = Cell::prepared;
  static constexpr bool diagonal = Cell::diagonal;

  const int64_t H;
  const Prepared<Cell, T> prepared;

  explicit Elementwise(const Call& call) : Rows(call), H(call.hidden), prepared(call) {}

  static const T* in(const void* p) { return static_cast<const T*>(p); }
  static T* out(void* p) { return static_cast<T*>(p); }

  struct Row {
    const T *x, *prev[S], *mask, *zoneout[S], *d_output;
    T *output, *state[S], *history[S], *d_x, *carry[S];
  };

  // Sums over the rows of one thread: of the parameters, of both biases, of the diagonal weights.
  int64_t sums_size() const { return (P + 3 * G) * H; }

  void prepare(Row& row, int64_t rank, int64_t j, bool backward) const {
    const int64_t b = order.data[rank], t = time(rank, j), now = step_index(rank, t);
    const int64_t then = j ? step_index(rank, time(rank, j - 1)) : 0;
    row.x = in(c.x) + now * G * H;
    row.mask = c.mask ? in(c.mask) + b * H : nullptr;
    row.output = out(c.output) + padded(rank, t) * H;
    for (int k = 0; k < S; ++k) {
      row.zoneout[k] = c.zoneout[k] ? in(c.zoneout[k]) + t * c.zoneout_step + b * c.zoneout_row : nullptr;
      row.state[k] = backward ? nullptr : out(c.final_state[k]) + b * H;
      row.prev[k] = !backward ? row.state[k]
                    : j == 0  ? in(c.initial[k]) + b * H
                    : k == 0  ? in(c.output) + padded(rank, time(rank, j - 1)) * H
                              : in(c.history) + ((k - 1) * valid_steps + then) * H;
      row.history[k] = k && c.history ? out(c.history) + ((k - 1) * valid_steps + now) * H : nullptr;
      row.carry[k] = backward ? out(c.d_initial[k]) + b * H : nullptr;
    }
    row.d_output = backward && c.d_output ? in(c.d_output) + padded(rank, t) * H : nullptr;
    row.d_x = backward ? out(c.d_x) + now * G * H : nullptr;
  }

  template <bool whole>
  void load_step(const Row& row, int64_t unit, int64_t count, V* x, V* u, V* s, V* p) const {
    for (int k = 0; k < S; ++k) s[k] = get<V, whole>(row.prev[k] + unit, count);
    prepared.template load_at<whole>(unit, count, p);
    const V fed = diagonal && row.mask ? s[0] * get<V, whole>(row.mask + unit, count) : s[0];
    for (int g = 0; g < G; ++g) {
      x[g] = get<V, whole>(row.x + g * H + unit, count);
      // Two valid steps ahead, in the order of the loop: the hardware's prefetch stops at the end of a page.
      __builtin_prefetch(row.x + (2 * G + g) * H + unit);
      u[g] = V{};
      if (diagonal) {
        u[g] = get<V, whole>(in(c.weight) + g * H + unit, count) * fed;
        if (c.bias) u[g] += get<V, whole>(in(c.bias) + g * H + unit, count);
      }
    }
  }

  template <bool whole>
  void forward_update(const Row& row, int64_t unit, int64_t count) const {
    V x[G], u[G], s[S], p[at_least(P)], after[S], saved[1];
    load_step<whole>(row, unit, count, x, u, s, p);
    Cell::forward(x, u, s, p, after, saved);
    for (int k = 0; k < S; ++k) {
      if (row.zoneout[k]) after[k] += get<V, whole>(row.zoneout[k] + unit, count) * (s[k] - after[k]);
      put<V, whole>(row.state[k] + unit, after[k], count);
      if (row.history[k]) put<V, whole>(row.history[k] + unit, after[k], count);
    }
    put<V, whole>(row.output + unit, after[0], count);
  }

  template <bool whole>
  static void add(T* to, V v, int64_t count) {
    put<V, whole>(to, get<V, whole>(to, count) + v, count);
  }

  template <bool whole>
  void backward_update(const Row& row, T* sums, int64_t unit, int64_t count) const {
    V x[G], u[G], s[S], p[at_least(P)], saved[1], d[S], stays[S], dx[G], du[G], ds[S], dp[at_least(P)];
    load_step<whole>(row, unit, count, x, u, s, p);
    for (int k = 0; k < S; ++k) {
      d[k] = get<V, whole>(row.carry[k] + unit, count);
      if (k == 0 && row.d_output) d[k] += get<V, whole>(row.d_output + unit, count);
      stays[k] = V{};
      if (row.zoneout[k]) {
        stays[k] = get<V, whole>(row.zoneout[k] + unit, count) * d[k];
        d[k] -= stays[k];
      }
    }
    Cell::backward(x, u, saved, s, p, d, dx, du, ds, dp);
    for (int k = 0; k < P; ++k) add<whole>(sums + k * H + unit, dp[k], count);
    sums += P * H;
    V fed = s[0], mask{};
    if (diagonal && row.mask) {
      mask = get<V, whole>(row.mask + unit, count);
      fed *= mask;
    }
    for (int g = 0; g < G; ++g) {
      put<V, whole>(row.d_x + g * H + unit, dx[g], count);
      add<whole>(sums + g * H + unit, dx[g], count);
      if (diagonal) {
        const V gradient = Cell::shares_gradient ? dx[g] : du[g];
        add<whole>(sums + (G + g) * H + unit, gradient, count);
        add<whole>(sums + (2 * G + g) * H + unit, gradient * fed, count);
        const V back = gradient * get<V, whole>(in(c.weight) + g * H + unit, count);
        ds[0] += row.mask ? mask * back : back;
      }
    }
    for (int k = 0; k < S; ++k) put<V, whole>(row.carry[k] + unit, ds[k] + stays[k], count);
  }

  // Rows whose states stay in the second-level cache: as many as fit, because longer stretches are then read in order.
  int64_t group() const { return at_least_one(131072 / (S * H * int64_t(sizeof(T)))); }

  void forward_rows(int64_t begin, int64_t end) const {
    for (int64_t rank = begin; rank < end; ++rank)
      for (int k = 0; k < S; ++k) {
        const int64_t at = order.data[rank] * H;
        std::memcpy(out(c.final_state[k]) + at, in(c.initial[k]) + at, H * sizeof(T));
      }
    int64_t active = end;
    for (int64_t j = 0; begin < end && j < length.data[begin]; ++j) {
      while (active > begin && length.data[active - 1] <= j) --active;
      for (int64_t rank = begin; rank < active; ++rank) {
        Row row;
        prepare(row, rank, j, false);
        by_vector<W>(0, H,
                     [&](auto whole, int64_t unit, int64_t count) { forward_update<whole.value>(row, unit, count); });
      }
    }
  }

  void backward_rows(int64_t begin, int64_t end, T* sums) const {
    for (int64_t rank = begin; rank < end; ++rank)
      for (int k = 0; k < S; ++k) {
        T* carry = out(c.d_initial[k]) + order.data[rank] * H;
        if (c.d_final[k])
          std::memcpy(carry, in(c.d_final[k]) + order.data[rank] * H, H * sizeof(T));
        else
          std::memset(carry, 0, H * sizeof(T));
      }
    int64_t active = begin;
    for (int64_t j = begin < end ? length.data[begin] - 1 : -1; j >= 0; --j) {
      while (active < end && length.data[active] > j) ++active;
      for (int64_t rank = begin; rank < active; ++rank) {
        Row row;
        prepare(row, rank, j, true);
        by_vector<W>(0, H, [&](auto whole, int64_t unit, int64_t count) {
          backward_update<whole.value>(row, sums, unit, count);
        });
      }
    }
  }

  struct Job {
    const Elementwise* engine;
    T* partial;
  };

  static void forward_task(void* context, int64_t k, int64_t n) noexcept {
    const WithoutSubnormals within;
    const Elementwise& engine = *static_cast<const Job*>(context)->engine;
    const int64_t begin = engine.partition(k, n), end = engine.partition(k + 1, n), group = engine.group();
    engine.template fill_padding<T>(begin, end);
    for (int64_t first = begin; first < end; first += group)
      engine.forward_rows(first, first + group < end ? first + group : end);
  }

  static void backward_task(void* context, int64_t k, int64_t n) noexcept {
    const WithoutSubnormals within;
    const Job& job = *static_cast<const Job*>(context);
    const Elementwise& engine = *job.engine;
    T* sums = job.partial + k * engine.sums_size();
    const int64_t begin = engine.partition(k, n), end = engine.partition(k + 1, n), group = engine.group();
    for (int64_t first = begin; first < end; first += group)
      engine.backward_rows(first, first + group < end ? first + group : end, sums);
  }

  int64_t threads() const {
    const int64_t worthwhile = G * H * B * steps / 100000 + 1;
    const int64_t n = c.threads < worthwhile ? c.threads : worthwhile;
    return at_least_one(n < B ? n : B);
  }

  static int forward(const Call* call, Parallel parallel) {
    try {
      const Elementwise engine(*call);
      Job job{&engine, nullptr};
      const int64_t n = engine.threads();
      if (n > 1)
        parallel(forward_task, &job, n);
      else
        forward_task(&job, 0, 1);
      return 0;
    } catch (const std::bad_alloc&) {
      return 1;
    }
  }

  static int backward(const Call* call, Parallel parallel) {
    try {
      const Elementwise engine(*call);
      const int64_t n = engine.threads(), H = call->hidden, size = engine.sums_size();
      Buffer<T> partial(n * size);
      std::memset(partial.data, 0, n * size * sizeof(T));
      Job job{&engine, partial.data};
      if (n > 1)
        parallel(backward_task, &job, n);
      else
        backward_task(&job, 0, 1);
      Buffer<T> d_prepared(P * H);
      void* const to[] = {d_prepared.data, call->d_bias_x, call->d_bias, call->d_weight};
      const int64_t offset[] = {0, P * H, (P + G) * H, (P + 2 * G) * H, (P + 3 * G) * H};
      // Summed in a fixed order, which gives the same bits in every run.
      for (int part = 0; part < 4; ++part)
        for (int64_t i = offset[part]; to[part] && i < offset[part + 1]; ++i) {
          T sum = 0;
          for (int64_t k = 0; k < n; ++k) sum += partial.data[k * size + i];
          out(to[part])[i - offset[part]] = sum;
        }
      if (call->d_per_unit) engine.prepared.pull_back(d_prepared.data, out(call->d_per_unit));
      return 0;
    } catch (const std::bad_alloc&) {
      return 1;
    }
  }
};

}  // namespace RECURRA_ISA
}  // namespace recurra
