// The backward pass: the same loop from the last step to the first, with the generated derivative of the update.
#pragma once

#include "forward.hpp"

namespace recurra {
namespace RECURRA_ISA {

template <class Cell, class T>
struct Backward : Rows {
  typedef typename Vectors<T>::type V;
  static constexpr int W = Vectors<T>::width;
  static constexpr int G = Cell::gates, S = Cell::parts, P = Cell::prepared, K = Cell::saved, L = Cell::second_stage,
                       E = G - L;
  // Vectors of a panel: tiles of few rows and many vectors need fewer addresses, where blocks so wide leave no waste.
  static constexpr int narrow = 2, wide = sizeof(V) == 64 ? 4 : 2;
  static constexpr int64_t group = 48;  // rows multiplied together
  static constexpr bool shares = Cell::shares_gradient;

  const int64_t H, R, columns;
  // Blocks of what the recurrent weights read, and of the units.
  const Blocks read_blocks, unit_blocks;
  bool divides_units;
  const Prepared<Cell, T> prepared;
  Barrier barrier;
  Buffer<T> panels, second_stage_panels, output_panels;
  Buffer<T> d_second_stage, d_unprojected;  // (B, H) of one step

  explicit Backward(const Call& call)
      : Rows(call),
        H(call.hidden),
        R(call.size),
        columns(call.heads > 1 ? call.hidden / call.heads : call.size),
        read_blocks(call.heads > 1 ? call.hidden : call.size, call.heads, panel_width(columns)),
        unit_blocks(call.hidden, 1, panel_width(call.hidden)),
        divides_units(false),
        prepared(call),
        panels(call.weight ? read_blocks.count * E * (H / call.heads) * read_blocks.width : 0),
        second_stage_panels(L ? read_blocks.count * L * H * read_blocks.width : 0),
        output_panels(c.projection ? unit_blocks.count * R * unit_blocks.width : 0),
        d_second_stage(L ? B * H : 0),
        d_unprojected(c.projection ? B * H : 0) {}

  // The k-th of n partitions of the packing.
  void pack(int64_t k, int64_t n) {
    const int64_t count = read_blocks.count, begin = count * k / n, end = count * (k + 1) / n;
    if (c.weight) pack_columns(in(c.weight), columns, H, E, read_blocks, begin, end, panels.data);
    if (L)
      pack_columns(in(c.weight) + E * H * columns, columns, H, L, read_blocks, begin, end, second_stage_panels.data);
    if (c.projection)
      pack_columns(in(c.projection), H, R, 1, unit_blocks, unit_blocks.count * k / n, unit_blocks.count * (k + 1) / n,
                   output_panels.data);
  }

  static int64_t panel_width(int64_t units) {
    return units % (wide * W) == 0 || units >= 16 * W ? wide * W : narrow * W;
  }

  static const T* in(const void* p) { return static_cast<const T*>(p); }
  static T* out(void* p) { return static_cast<T*>(p); }

  // Sums over the rows of one thread, in one array: of the parameters, of both biases, of the scales.
  struct Sums {
    T *per_unit, *bias_x, *bias, *norm, *norm_x;
  };
  int64_t sums_size() const { return (P + 4 * G) * H; }
  Sums sums(T* partial) const {
    T* const gates = partial + P * H;
    return {partial, gates, gates + G * H, gates + 2 * G * H, gates + 3 * G * H};
  }

  // The addresses that one row's step reads and writes.
  struct Row {
    const T *saved, *prev[S], *d_output, *zoneout[S];
    T *carry[S], *d_x, *d_u;
  };

  void prepare(Row& row, int64_t rank, int64_t j) const {
    const int64_t b = order.data[rank], t = time(rank, j), now = step_index(rank, t);
    const int64_t then = j ? step_index(rank, time(rank, j - 1)) : 0;
    row.saved = in(c.saved) + now * K * H;
    row.prev[0] = j ? in(c.output) + padded(rank, time(rank, j - 1)) * R : in(c.initial[0]) + b * R;
    for (int k = 1; k < S; ++k)
      row.prev[k] = j ? in(c.history) + ((k - 1) * valid_steps + then) * H : in(c.initial[k]) + b * H;
    for (int k = 0; k < S; ++k)
      row.zoneout[k] = c.zoneout[k] ? in(c.zoneout[k]) + t * c.zoneout_step + b * c.zoneout_row : nullptr;
    row.d_output = c.d_output ? in(c.d_output) + padded(rank, t) * R : nullptr;
    row.carry[0] = out(c.d_initial[0]) + b * R;
    for (int k = 1; k < S; ++k) row.carry[k] = out(c.d_initial[k]) + b * H;
    row.d_x = out(c.d_x) + now * G * H;
    row.d_u = shares && c.d_u == nullptr ? row.d_x : out(c.d_u) + now * G * H;
  }

  template <bool whole>
  static void add(T* to, V v, int64_t count) {
    put<V, whole>(to, get<V, whole>(to, count) + v, count);
  }

  template <bool whole>
  void update(const Row& row, const T* d_unprojected, const Sums& sum, int64_t unit, int64_t count) const {
    V none[G], saved[at_least(K)], s[S], p[at_least(P)], d[S], dx[G], du[G], ds[S], dp[at_least(P)], stays[S];
    for (int k = 0; k < K; ++k) saved[k] = get<V, whole>(row.saved + k * H + unit, count);
    prepared.template load_at<whole>(unit, count, p);
    for (int k = 0; k < S; ++k) {
      const bool projected = k == 0 && c.projection;
      s[k] = projected ? V{} : get<V, whole>(row.prev[k] + unit, count);
      d[k] = projected ? get<V, whole>(d_unprojected + unit, count) : get<V, whole>(row.carry[k] + unit, count);
      if (k == 0 && !projected && row.d_output) d[k] += get<V, whole>(row.d_output + unit, count);
      stays[k] = V{};
      if (row.zoneout[k]) {
        stays[k] = get<V, whole>(row.zoneout[k] + unit, count) * d[k];
        d[k] -= stays[k];
      }
    }
    for (int g = 0; g < G; ++g) none[g] = V{};
    Cell::backward(none, none, saved, s, p, d, dx, du, ds, dp);
    for (int g = 0; g < G; ++g) {
      put<V, whole>(row.d_x + g * H + unit, dx[g], count);
      add<whole>(sum.bias_x + g * H + unit, dx[g], count);
      if (row.d_u != row.d_x) {
        const V gradient = shares ? dx[g] : du[g];
        put<V, whole>(row.d_u + g * H + unit, gradient, count);
        add<whole>(sum.bias + g * H + unit, gradient, count);
      }
    }
    for (int k = c.projection ? 1 : 0; k < S; ++k) put<V, whole>(row.carry[k] + unit, ds[k] + stays[k], count);
    for (int k = 0; k < P; ++k) add<whole>(sum.per_unit + k * H + unit, dp[k], count);
  }

  // The gradient of a projected output, before the nonlinearity, and then of the output before its projection.
  void unproject(const Row* rows, int64_t active, int64_t begin, int64_t j) {
    for (int64_t a = 0; a < active; ++a) {
      const int64_t rank = begin + a, t = time(rank, j);
      const T* y = in(c.output) + padded(rank, t) * R;
      T* to = out(c.d_projected) + step_index(rank, t) * R;
      by_vector<W>(0, R, [&](auto whole, int64_t k, int64_t count) {
        V d = get<V, whole.value>(rows[a].carry[0] + k, count);
        if (rows[a].d_output) d += get<V, whole.value>(rows[a].d_output + k, count);
        const V r = get<V, whole.value>(y + k, count);
        if (c.nonlinearity == Nonlinearity::tanh) d *= T(1) - r * r;
        if (c.nonlinearity == Nonlinearity::sigmoid) d *= r * (T(1) - r);
        if (c.nonlinearity == Nonlinearity::relu) d = r > V{} ? d : V{};
        put<V, whole.value>(to + k, d, count);
        put<V, whole.value>(rows[a].carry[0] + k, V{}, count);
      });
    }
    multiply_back(
        active, unit_blocks, 0, unit_blocks.count, output_panels.data, R, 1,
        [&](int64_t a, int64_t) { return in(c.d_projected) + step_index(begin + a, time(begin + a, j)) * R; },
        [&](auto whole, int64_t a, int64_t unit, V v, int64_t count) {
          put<V, whole.value>(d_unprojected.data + order.data[begin + a] * H + unit, v, count);
        });
  }

  // Products with panels of columns: `from` returns `parts` addresses of `depth` values each; `to` takes the results.
  template <class From, class To>
  static void multiply_back(int64_t active, const Blocks& blocks, int64_t first, int64_t last, const T* panels,
                            int64_t depth, int64_t parts, From from, To to) {
    if (blocks.width == wide * W)
      multiply_back_by<wide>(active, blocks, first, last, panels, depth, parts, from, to);
    else
      multiply_back_by<narrow>(active, blocks, first, last, panels, depth, parts, from, to);
  }

  template <int M, class From, class To>
  static void multiply_back_by(int64_t active, const Blocks& blocks, int64_t first, int64_t last, const T* panels,
                               int64_t depth, int64_t parts, From from, To to) {
    for (int64_t block = first; block < last; ++block)
      for (int64_t a = 0; a < active; a += group) {
        const int64_t count = active - a < group ? active - a : group;
        T result[group * M * W];
        const T* operands[group];
        for (int64_t part = 0; part < parts; ++part) {
          for (int64_t i = 0; i < count; ++i) operands[i] = from(a + i, part) + blocks.head(block) * depth;
          Product<T, M>::run(count, panels + (block * parts + part) * depth * M * W, depth, operands,
                             part ? result : nullptr, M * W, result, M * W);
        }
        for (int64_t i = 0; i < count; ++i)
          by_vector<W>(0, blocks.units(block), [&](auto whole, int64_t k, int64_t lanes) {
            to(whole, a + i, blocks.first(block) + k, load<V>(result + i * M * W + k), lanes);
          });
      }
  }

  // Back through the normalisation of each projection.
  void denormalise(const Row& row, int64_t rank, int64_t j, const Sums& sum) const {
    const int64_t now = step_index(rank, time(rank, j)), at = now * G * H;
    if (c.norm) denormalise_row<T, G>(row.d_u, in(c.normed) + at, in(c.deviation) + now * G, in(c.norm), H, sum.norm);
    if (c.norm_x)
      denormalise_row<T, G>(row.d_x, in(c.normed_x) + at, in(c.deviation_x) + now * G, in(c.norm_x), H, sum.norm_x);
  }

  // Back through the second-stage gates' weights, and through what they read.
  void unmodulate(const Row* rows, int64_t active, int64_t begin, const Sums& sum) {
    multiply_back(
        active, read_blocks, 0, read_blocks.count, second_stage_panels.data, L * H, 1,
        [&](int64_t a, int64_t) { return rows[a].d_u + E * H; },
        [&](auto whole, int64_t a, int64_t unit, V v, int64_t count) {
          put<V, whole.value>(d_second_stage.data + order.data[begin + a] * H + unit, v, count);
        });
    for (int64_t a = 0; a < active; ++a) {
      const T* mask = c.mask ? in(c.mask) + order.data[begin + a] * R : nullptr;
      by_vector<W>(0, H, [&](auto whole, int64_t unit, int64_t count) {
        constexpr bool w = whole.value;
        const Row& row = rows[a];
        V none[G] = {}, saved[at_least(K)], s[S], p[at_least(P)], dx[G] = {}, du[G] = {}, ds[S] = {},
          dp[at_least(P)] = {};
        for (int k = 0; k < K; ++k) saved[k] = get<V, w>(row.saved + k * H + unit, count);
        prepared.template load_at<w>(unit, count, p);
        for (int k = 0; k < S; ++k) s[k] = get<V, w>(row.prev[k] + unit, count);
        if (mask) s[0] *= get<V, w>(mask + unit, count);
        const V d = get<V, w>(d_second_stage.data + order.data[begin + a] * H + unit, count);
        Cell::modulated_backward(none, none, saved, s, p, d, dx, du, ds, dp);
        for (int g = 0; g < G; ++g) {
          add<w>(row.d_x + g * H + unit, dx[g], count);
          add<w>(sum.bias_x + g * H + unit, dx[g], count);
          if (row.d_u != row.d_x && g < E) {
            const V gradient = shares ? dx[g] : du[g];
            add<w>(row.d_u + g * H + unit, gradient, count);
            add<w>(sum.bias + g * H + unit, gradient, count);
          }
        }
        if (mask) ds[0] *= get<V, w>(mask + unit, count);
        for (int k = 0; k < S; ++k) add<w>(row.carry[k] + unit, ds[k], count);
        for (int k = 0; k < P; ++k) add<w>(sum.per_unit + k * H + unit, dp[k], count);
      });
    }
  }

  void run(int64_t k, int64_t n, T* partial, Row* rows) {
    const bool split = divides_units;
    const int64_t begin = split ? 0 : partition(k, n), end = split ? B : partition(k + 1, n);
    const int64_t count = read_blocks.count;
    const int64_t first = split ? count * k / n : 0, last = split ? count * (k + 1) / n : count;
    const int64_t unit = !split ? 0 : first < count ? read_blocks.first(first) : H;
    const int64_t beyond = !split ? H : last < count ? read_blocks.first(last) : H;
    // The carry ends as the gradient of the initial state.
    for (int64_t rank = begin; rank < end; ++rank)
      for (int part = 0; part < S; ++part) {
        const int64_t size = part ? H : R, from = split ? unit : 0, to = split ? beyond : size;
        T* carry = out(c.d_initial[part]) + order.data[rank] * size;
        if (c.d_final[part])
          std::memcpy(carry + from, in(c.d_final[part]) + order.data[rank] * size + from, (to - from) * sizeof(T));
        else
          std::memset(carry + from, 0, (to - from) * sizeof(T));
      }
    std::memset(partial, 0, sums_size() * sizeof(T));
    const Sums sum = sums(partial);
    rows += split ? k * B : begin;
    const int64_t longest = begin < end ? length.data[begin] : 0;
    int64_t active = 0, round = 0;
    pack(k, n);
    // A thread packs the panels of the units that it computes.
    if (!split) barrier.wait(n, round);
    for (int64_t j = longest - 1; j >= 0; --j) {
      while (active < end - begin && length.data[begin + active] > j) ++active;
      for (int64_t a = 0; a < active; ++a) prepare(rows[a], begin + a, j);
      if (c.projection) unproject(rows, active, begin, j);
      for (int64_t a = 0; a < active; ++a) {
        const T* d = c.projection ? d_unprojected.data + order.data[begin + a] * H : nullptr;
        by_vector<W>(unit, beyond,
                     [&](auto whole, int64_t at, int64_t lanes) { update<whole.value>(rows[a], d, sum, at, lanes); });
        if (c.norm || c.norm_x) denormalise(rows[a], begin + a, j, sum);
      }
      if constexpr (L > 0) unmodulate(rows, active, begin, sum);
      if (!c.weight) continue;
      // All of this step's gradients are needed. One barrier is enough: the next step's are in other memory.
      if (split) barrier.wait(n, round);
      multiply_back(
          active, read_blocks, first, last, panels.data, heads_depth(), c.heads > 1 ? E : 1,
          [&](int64_t a, int64_t gate) { return rows[a].d_u + gate * H; },
          [&](auto whole, int64_t a, int64_t at, V v, int64_t lanes) {
            if (c.mask) v *= get<V, whole.value>(in(c.mask) + order.data[begin + a] * R + at, lanes);
            add<whole.value>(rows[a].carry[0] + at, v, lanes);
          });
    }
  }

  int64_t heads_depth() const { return c.heads > 1 ? H / c.heads : E * H; }

  int64_t threads() {
    const int64_t reads = c.weight ? columns : reads_of_an_update;
    const double work = 2.0 * G * H * reads * B * steps;
    const int64_t worthwhile = static_cast<int64_t>(work / 1e6) + 1;
    const int64_t n = c.threads < worthwhile ? c.threads : worthwhile;
    divides_units = B < 2 * n && !c.norm && !c.norm_x && L == 0 && !c.projection && !c.mask && read_blocks.count >= n &&
                    2.0 * G * H * reads * B > 5e4;
    return at_least_one(divides_units || n < B ? n : B);
  }

  struct Job {
    Backward* engine;
    T* partial;
    Row* rows;  // of all threads
  };

  static void task(void* context, int64_t k, int64_t n) noexcept {
    const WithoutSubnormals within;
    const Job& job = *static_cast<const Job*>(context);
    job.engine->run(k, n, job.partial + k * job.engine->sums_size(), job.rows);
  }

  // Summed in a fixed order, which gives the same bits in every run.
  void total(void* to, const T* partial, int64_t offset, int64_t size, int64_t n) const {
    if (!to) return;
    for (int64_t i = 0; i < size; ++i) {
      T sum = 0;
      for (int64_t k = 0; k < n; ++k) sum += partial[k * sums_size() + offset + i];
      out(to)[i] = sum;
    }
  }

  static int call(const Call* call, Parallel parallel) {
    try {
      Backward backward(*call);
      const int64_t n = backward.threads(), H = call->hidden;
      Buffer<T> partial(n * backward.sums_size());
      std::memset(partial.data, 0, n * backward.sums_size() * sizeof(T));
      Buffer<T> d_prepared(call->d_per_unit ? P * H : 0);
      Buffer<Row> rows((backward.divides_units ? n : 1) * backward.B);
      Job job{&backward, partial.data, rows.data};
      if (n > 1)
        parallel(task, &job, n);
      else
        task(&job, 0, 1);
      if (call->d_per_unit) {
        backward.total(d_prepared.data, partial.data, 0, P * H, n);
        backward.prepared.pull_back(d_prepared.data, out(call->d_per_unit));
      }
      backward.total(call->d_bias_x, partial.data, P * H, G * H, n);
      backward.total(call->d_bias, partial.data, (P + G) * H, G * H, n);
      backward.total(call->d_norm, partial.data, (P + 2 * G) * H, G * H, n);
      backward.total(call->d_norm_x, partial.data, (P + 3 * G) * H, G * H, n);
      return 0;
    } catch (const std::bad_alloc&) {
      return 1;
    }
  }
};

}  // namespace RECURRA_ISA
}  // namespace recurra
