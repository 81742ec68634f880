// The engine: time loop x packed matrix product x generated update, forward and backward.
//
// Rows of the batch are divided among threads, longest first; each thread runs all steps of its rows, so that there is
// no barrier in the time loop. The recurrent weights are packed in panels that hold all gates of a block of units: the
// product of a tile of rows with a panel stays in registers, where the update reads it.
#pragma once

#include <cstdlib>
#include <new>

#include "call.hpp"
#include "vector.hpp"

namespace recurra {
namespace RECURRA_ISA {

#if RECURRA_VECTOR_BYTES == 64
constexpr int registers = 32;
#else
constexpr int registers = 16;
#endif

// A buffer aligned to cache lines; no library containers here, see vector.hpp.
template <class T>
struct Buffer {
  T* data;
  explicit Buffer(int64_t count) : data(nullptr) {
    const size_t bytes = (static_cast<size_t>(count > 0 ? count : 1) * sizeof(T) + 63) / 64 * 64;
    data = static_cast<T*>(std::aligned_alloc(64, bytes));
    if (!data) throw std::bad_alloc();
  }
  ~Buffer() { std::free(data); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
};

static inline int64_t at_least_one(int64_t n) { return n > 0 ? n : 1; }

template <class Cell, class T>
struct Engine {
  typedef typename Vectors<T>::type V;
  static constexpr int64_t W = Vectors<T>::width;
  static constexpr int G = Cell::gates, S = Cell::parts, P = Cell::per_unit, K = Cell::saved;
  // Units of a panel in vectors, and rows of a tile: as many accumulators as registers allow.
  static constexpr int units = G == 1 ? 2 : 1;
  static constexpr int fitting = registers / (G * units + 1);
  static constexpr int rows = fitting > 6 ? 6 : fitting < 1 ? 1 : fitting;
  // The backward product has no gates: two vectors of units, many rows.
  static constexpr int back_units = 2, back_rows = registers == 32 ? 10 : 5;

  const Call& c;
  const int64_t H, B, steps;
  const T* x;
  Buffer<T> panels;
  Buffer<int64_t> order, length;  // rows, longest first

  Engine(const Call& call, bool backward)
      : c(call),
        H(call.hidden),
        B(call.batch),
        steps(call.steps),
        x(static_cast<const T*>(call.x)),
        panels(backward ? blocks(back_units * W) * back_units * W * G * H : blocks(units * W) * units * W * G * H),
        order(B),
        length(B) {
    sort_rows();
    if (backward)
      pack_backward();
    else
      pack_forward();
  }

  int64_t blocks(int64_t size) const { return (H + size - 1) / size; }

  // Counting sort by length, longest first, stable.
  void sort_rows() {
    Buffer<int64_t> starts(steps + 2);
    for (int64_t t = 0; t < steps + 2; ++t) starts.data[t] = 0;
    for (int64_t b = 0; b < B; ++b) ++starts.data[steps - row_length(b) + 1];
    for (int64_t t = 1; t < steps + 2; ++t) starts.data[t] += starts.data[t - 1];
    for (int64_t b = 0; b < B; ++b) {
      const int64_t place = starts.data[steps - row_length(b)]++;
      order.data[place] = b;
      length.data[place] = row_length(b);
    }
  }

  int64_t row_length(int64_t b) const { return c.lengths ? c.lengths[b] : steps; }

  // [block of units][k][gate][unit], zero beyond H.
  void pack_forward() {
    const T* weight = static_cast<const T*>(c.weight);
    constexpr int64_t size = units * W;
    T* to = panels.data;
    for (int64_t block = 0; block < blocks(size); ++block) {
      const int64_t first = block * size, count = H - first < size ? H - first : size;
      for (int64_t k = 0; k < H; ++k)
        for (int g = 0; g < G; ++g, to += size) {
          const T* from = weight + (g * H + first) * H + k;
          if (count == size) {
            for (int64_t j = 0; j < size; ++j) to[j] = from[j * H];
          } else {
            for (int64_t j = 0; j < size; ++j) to[j] = j < count ? from[j * H] : T(0);
          }
        }
    }
  }

  // [block of units][gate and unit above][unit], zero beyond H.
  void pack_backward() {
    const T* weight = static_cast<const T*>(c.weight);
    constexpr int64_t size = back_units * W;
    T* to = panels.data;
    for (int64_t block = 0; block < blocks(size); ++block) {
      const int64_t first = block * size, count = H - first < size ? H - first : size;
      for (int64_t k = 0; k < G * H; ++k, to += size) {
        std::memcpy(to, weight + k * H + first, count * sizeof(T));
        for (int64_t j = count; j < size; ++j) to[j] = T(0);
      }
    }
  }

  // The time of a row's j-th step.
  int64_t time(int64_t place, int64_t j) const { return c.reverse ? length.data[place] - 1 - j : j; }

  // A row's state before its j-th step.
  const T* before(int part, int64_t place, int64_t j) const {
    const int64_t row = order.data[place];
    if (j == 0) return static_cast<const T*>(c.initial) + (part * B + row) * H;
    const int64_t then = time(place, j - 1) * B + row;
    if (part == 0) return static_cast<const T*>(c.output) + then * H;
    return static_cast<const T*>(c.history) + ((part - 1) * steps * B + then) * H;
  }

  template <class F>
  static inline void vectors(int64_t unit, int64_t hidden, F f) {
    const int64_t left = hidden - unit;
    if (left >= W)
      f(std::integral_constant<bool, true>(), W);
    else if (left > 0)
      f(std::integral_constant<bool, false>(), left);
  }

  template <bool whole>
  static inline V get(const T* from, int64_t count) {
    return whole ? load<V>(from) : load_part<V>(from, count);
  }
  template <bool whole>
  static inline void put(T* to, V v, int64_t count) {
    whole ? store<V>(to, v) : store_part<V>(to, v, count);
  }

  struct Tile {
    const T* x[rows];
    const T* h[rows];     // output before
    const T* prev[rows][S];
    T* next[rows][S];
    T* history[rows][S];  // null where not kept
    T* kept[rows];
  };

  template <int R>
  void forward_tile(const Tile& t, int64_t block) const {
    const int64_t first = block * units * W;
    const T* panel = panels.data + block * units * W * G * H;
    V acc[R][G * units];
    for (int g = 0; g < G; ++g)
      for (int n = 0; n < units; ++n) {
        V start{};
        if (c.bias)
          vectors(first + n * W, H, [&](auto whole, int64_t count) {
            start = get<whole.value>(static_cast<const T*>(c.bias) + g * H + first + n * W, count);
          });
        for (int r = 0; r < R; ++r) acc[r][g * units + n] = start;
      }
    for (int64_t k = 0; k < H; ++k) {
      const T* w = panel + k * G * units * W;
      // The panel streams from the second-level cache: asked for some steps ahead, it is there in time.
      for (int64_t line = 0; line < G * units * W * int64_t(sizeof(T)); line += 64)
        __builtin_prefetch(reinterpret_cast<const char*>(w + 8 * G * units * W) + line);
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
        const V h = splat<V>(t.h[r][k]);
#pragma GCC unroll 8
        for (int g = 0; g < G * units; ++g) acc[r][g] += h * load<V>(w + g * W);
      }
    }
    for (int r = 0; r < R; ++r)
      for (int n = 0; n < units; ++n)
        vectors(first + n * W, H, [&](auto whole, int64_t count) {
          update<whole.value>(t, r, &acc[r][n], first + n * W, count);
        });
  }

  template <bool whole>
  void update(const Tile& t, int r, const V* acc, int64_t unit, int64_t count) const {
    V in[G], u[G], s[S], p[at_least(P)], after[S], kept[at_least(K)];
    for (int g = 0; g < G; ++g) {
      in[g] = get<whole>(t.x[r] + g * H + unit, count);
      u[g] = acc[g * units];
    }
    for (int k = 0; k < S; ++k) s[k] = get<whole>(t.prev[r][k] + unit, count);
    for (int k = 0; k < P; ++k) p[k] = get<whole>(static_cast<const T*>(c.per_unit) + k * H + unit, count);
    Cell::forward(in, u, s, p, after, kept);
    for (int k = 0; k < S; ++k) {
      put<whole>(t.next[r][k] + unit, after[k], count);
      if (t.history[r][k]) put<whole>(t.history[r][k] + unit, after[k], count);
    }
    if (t.kept[r])
      for (int k = 0; k < K; ++k) put<whole>(t.kept[r] + k * H + unit, kept[k], count);
  }

  static constexpr int at_least(int n) { return n > 0 ? n : 1; }

  void forward_rows(int64_t begin, int64_t end) const {
    T* output = static_cast<T*>(c.output);
    T* history = static_cast<T*>(c.history);
    T* final_state = static_cast<T*>(c.final_state);
    const T* initial = static_cast<const T*>(c.initial);
    T* kept = static_cast<T*>(c.kept);
    // Parts beyond the output live in the final state, which they end in, and are updated in place.
    for (int64_t place = begin; place < end; ++place)
      for (int k = 0; k < S; ++k) {
        const int64_t at = (k * B + order.data[place]) * H;
        std::memcpy(final_state + at, initial + at, H * sizeof(T));
      }
    const int64_t longest = begin < end ? length.data[begin] : 0;
    int64_t active = end;
    for (int64_t j = 0; j < longest; ++j) {
      while (active > begin && length.data[active - 1] <= j) --active;
      for (int64_t block = 0; block < blocks(units * W); ++block)
        for (int64_t place = begin; place < active; place += rows) {
          Tile t;
          const int64_t count = active - place < rows ? active - place : rows;
          for (int64_t r = 0; r < count; ++r) {
            const int64_t row = order.data[place + r], now = time(place + r, j) * B + row;
            t.x[r] = x + now * G * H;
            t.h[r] = before(0, place + r, j);
            t.prev[r][0] = t.h[r];
            t.next[r][0] = output + now * H;
            t.history[r][0] = nullptr;
            for (int k = 1; k < S; ++k) {
              t.prev[r][k] = t.next[r][k] = final_state + (k * B + row) * H;
              t.history[r][k] = history ? history + ((k - 1) * steps * B + now) * H : nullptr;
            }
            t.kept[r] = kept ? kept + now * K * H : nullptr;
          }
          forward_tiles<rows>(t, block, count);
        }
    }
    for (int64_t place = begin; place < end; ++place)
      if (length.data[place] > 0)
        std::memcpy(final_state + order.data[place] * H, before(0, place, length.data[place]), H * sizeof(T));
  }

  template <int R>
  void forward_tiles(const Tile& t, int64_t block, int64_t count) const {
    if (count == R)
      forward_tile<R>(t, block);
    else if constexpr (R > 1)
      forward_tiles<R - 1>(t, block, count);
  }

  void backward_rows(int64_t begin, int64_t end, T* d_per_unit) const {
    const T* d_final = static_cast<const T*>(c.d_final);
    T* carry = static_cast<T*>(c.d_initial);  // ends as the gradient of the initial state
    for (int64_t place = begin; place < end; ++place)
      for (int k = 0; k < S; ++k) {
        const int64_t at = (k * B + order.data[place]) * H;
        std::memcpy(carry + at, d_final + at, H * sizeof(T));
      }
    for (int64_t k = 0; k < P * H; ++k) d_per_unit[k] = T(0);
    const int64_t longest = begin < end ? length.data[begin] : 0;
    int64_t active = begin;
    for (int64_t j = longest - 1; j >= 0; --j) {
      while (active < end && length.data[active] > j) ++active;
      for (int64_t place = begin; place < active; ++place) {
        for (int64_t unit = 0; unit < H; unit += W)
          vectors(unit, H, [&](auto whole, int64_t count) { backward_update<whole.value>(place, j, unit, count, d_per_unit); });
      }
      T* d_u = static_cast<T*>(c.d_u ? c.d_u : c.d_x);
      for (int64_t block = 0; block < blocks(back_units * W); ++block)
        for (int64_t place = begin; place < active; place += back_rows) {
          const int64_t count = active - place < back_rows ? active - place : back_rows;
          const T* from[back_rows];
          T* to[back_rows];
          for (int64_t r = 0; r < count; ++r) {
            const int64_t row = order.data[place + r];
            from[r] = d_u + (time(place + r, j) * B + row) * G * H;
            to[r] = carry + row * H;
          }
          backward_tiles<back_rows>(from, to, block, count);
        }
    }
  }

  template <bool whole>
  void backward_update(int64_t place, int64_t j, int64_t unit, int64_t count, T* d_per_unit) const {
    const int64_t row = order.data[place], now = time(place, j) * B + row;
    const T* d_output = static_cast<const T*>(c.d_output);
    T* carry = static_cast<T*>(c.d_initial);
    V in[G], kept[at_least(K)], s[S], p[at_least(P)], d[S], dx[G], du[G], ds[S], dp[at_least(P)];
    if (Cell::needs_x)
      for (int g = 0; g < G; ++g) in[g] = get<whole>(x + now * G * H + g * H + unit, count);
    for (int k = 0; k < K; ++k)
      kept[k] = get<whole>(static_cast<const T*>(c.kept) + (now * K + k) * H + unit, count);
    for (int k = 0; k < S; ++k) {
      s[k] = get<whole>(before(k, place, j) + unit, count);
      d[k] = get<whole>(carry + (k * B + row) * H + unit, count);
    }
    d[0] += get<whole>(d_output + now * H + unit, count);
    for (int k = 0; k < P; ++k) p[k] = get<whole>(static_cast<const T*>(c.per_unit) + k * H + unit, count);
    Cell::backward(in, kept, s, p, d, dx, du, ds, dp);
    for (int g = 0; g < G; ++g) {
      put<whole>(static_cast<T*>(c.d_x) + now * G * H + g * H + unit, dx[g], count);
      if (!Cell::shares_gradient) put<whole>(static_cast<T*>(c.d_u) + now * G * H + g * H + unit, du[g], count);
    }
    for (int k = 0; k < S; ++k) put<whole>(carry + (k * B + row) * H + unit, ds[k], count);
    for (int k = 0; k < P; ++k) {
      T* sum = d_per_unit + k * H + unit;
      put<whole>(sum, get<whole>(sum, count) + dp[k], count);
    }
  }

  // Adds the gradient through the recurrent projection to the carry.
  template <int R>
  void backward_tile(const T* const* from, T* const* to, int64_t block) const {
    const T* panel = panels.data + block * back_units * W * G * H;
    V acc[R][back_units] = {};
    for (int64_t k = 0; k < G * H; ++k) {
      const T* w = panel + k * back_units * W;
      __builtin_prefetch(w + 16 * back_units * W);
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
        const V d = splat<V>(from[r][k]);
#pragma GCC unroll 4
        for (int n = 0; n < back_units; ++n) acc[r][n] += d * load<V>(w + n * W);
      }
    }
    for (int r = 0; r < R; ++r)
      for (int n = 0; n < back_units; ++n) {
        const int64_t unit = (block * back_units + n) * W;
        vectors(unit, H, [&](auto whole, int64_t count) {
          put<whole.value>(to[r] + unit, get<whole.value>(to[r] + unit, count) + acc[r][n], count);
        });
      }
  }

  template <int R>
  void backward_tiles(const T* const* from, T* const* to, int64_t block, int64_t count) const {
    if (count == R)
      backward_tile<R>(from, to, block);
    else if constexpr (R > 1)
      backward_tiles<R - 1>(from, to, block, count);
  }

  // Where the k-th of n shares of the rows begins: shares of equal work.
  int64_t share(int64_t k, int64_t n) const {
    int64_t total = 0, sum = 0, place = 0;
    for (int64_t b = 0; b < B; ++b) total += length.data[b] + 1;
    while (place < B && sum * n < total * k) sum += length.data[place++] + 1;
    return k == n ? B : place;
  }

  struct Job {
    const Engine* engine;
    int64_t shares;
    T* partial;  // (shares, P, H) of the backward pass
  };

  static void forward_task(void* context, int64_t k) {
    const Job& job = *static_cast<const Job*>(context);
    job.engine->forward_rows(job.engine->share(k, job.shares), job.engine->share(k + 1, job.shares));
  }

  static void backward_task(void* context, int64_t k) {
    const Job& job = *static_cast<const Job*>(context);
    job.engine->backward_rows(job.engine->share(k, job.shares), job.engine->share(k + 1, job.shares),
                              job.partial + k * P * job.engine->H);
  }

  // Threads worth waking: a share of the work should take far longer than that.
  int64_t shares() const {
    const double work = 2.0 * G * H * H * B * steps;
    const int64_t worthwhile = static_cast<int64_t>(work / 2e6) + 1;
    int64_t n = c.threads < B ? c.threads : B;
    n = n < worthwhile ? n : worthwhile;
    return at_least_one(n);
  }

  static int forward(const Call* call, Parallel parallel) {
    try {
      const Engine engine(*call, false);
      Job job{&engine, engine.shares(), nullptr};
      if (job.shares > 1)
        parallel(forward_task, &job, job.shares);
      else
        forward_task(&job, 0);
      return 0;
    } catch (const std::bad_alloc&) {
      return 1;
    }
  }

  static int backward(const Call* call, Parallel parallel) {
    try {
      const Engine engine(*call, true);
      const int64_t n = engine.shares(), size = P * engine.H;
      Buffer<T> partial(n * size);
      Job job{&engine, n, partial.data};
      if (n > 1)
        parallel(backward_task, &job, n);
      else
        backward_task(&job, 0);
      // Summed in a fixed order: the same bits at every run.
      T* total = static_cast<T*>(call->d_per_unit);
      for (int64_t i = 0; i < size; ++i) {
        total[i] = T(0);
        for (int64_t k = 0; k < n; ++k) total[i] += partial.data[k * size + i];
      }
      return 0;
    } catch (const std::bad_alloc&) {
      return 1;
    }
  }
};

}  // namespace RECURRA_ISA
}  // namespace recurra
