// The rows of a batch: their order, their steps, and the indices of these in memory.
#pragma once

#include "call.hpp"
#include "product.hpp"

namespace recurra {
namespace RECURRA_ISA {

static inline int64_t at_least_one(int64_t n) { return n > 0 ? n : 1; }

struct Rows {
  const Call& c;
  const int64_t B, steps;
  Buffer<int64_t> order, length, first;  // by rank, longest first: the row, its length, its first valid step
  int64_t valid_steps;                   // N

  explicit Rows(const Call& call) : c(call), B(call.batch), steps(call.steps), order(B), length(B), first(B) {
    // Counting sort by length, longest first, stable.
    Buffer<int64_t> starts(steps + 2), starts_at(B + 1);
    for (int64_t t = 0; t < steps + 2; ++t) starts.data[t] = 0;
    starts_at.data[0] = 0;
    for (int64_t b = 0; b < B; ++b) {
      ++starts.data[steps - row_length(b) + 1];
      starts_at.data[b + 1] = starts_at.data[b] + row_length(b);
    }
    for (int64_t t = 1; t < steps + 2; ++t) starts.data[t] += starts.data[t - 1];
    for (int64_t b = 0; b < B; ++b) {
      const int64_t rank = starts.data[steps - row_length(b)]++;
      order.data[rank] = b;
      length.data[rank] = row_length(b);
      first.data[rank] = c.lengths ? starts_at.data[b] : b;
    }
    valid_steps = starts_at.data[B];
  }

  int64_t row_length(int64_t b) const { return c.lengths ? c.lengths[b] : steps; }

  // The time of a row's j-th step.
  int64_t time(int64_t rank, int64_t j) const { return c.reverse ? length.data[rank] - 1 - j : j; }
  // The index of the step among the valid steps, and in the padded (T, B).
  int64_t step_index(int64_t rank, int64_t t) const { return first.data[rank] + (c.lengths ? t : t * B); }
  int64_t padded(int64_t rank, int64_t t) const { return t * B + order.data[rank]; }

  // The first rank of the k-th of n partitions of the rows, which are of equal work.
  int64_t partition(int64_t k, int64_t n) const {
    int64_t total = 0, sum = 0, rank = 0;
    for (int64_t b = 0; b < B; ++b) total += length.data[b] + 1;
    while (rank < B && sum * n < total * k) sum += length.data[rank++] + 1;
    return k == n ? B : rank;
  }

  template <class T>
  void fill_padding(int64_t begin, int64_t end) const {
    T* output = static_cast<T*>(c.output);
    for (int64_t rank = begin; rank < end; ++rank)
      for (int64_t t = length.data[rank]; t < steps; ++t)
        std::memset(output + padded(rank, t) * c.size, 0, c.size * sizeof(T));
  }
};

// The first `count` lanes of a vector, or all of them.
template <class V, bool whole>
static inline V get(const typename Scalar<V>::type* from, int64_t count) {
  return whole ? load<V>(from) : load_part<V>(from, count);
}
template <class V, bool whole>
static inline void put(typename Scalar<V>::type* to, V v, int64_t count) {
  whole ? store<V>(to, v) : store_part<V>(to, v, count);
}

// Calls f(whole, unit, count) for each vector of the units from `begin` to before `end`.
template <int W, class F>
static inline void by_vector(int64_t begin, int64_t end, F f) {
  int64_t unit = begin;
  for (; unit + W <= end; unit += W) f(std::integral_constant<bool, true>(), unit, int64_t(W));
  if (unit < end) f(std::integral_constant<bool, false>(), unit, end - unit);
}

// Calls f(whole, at, unit, count) for each vector of the units, whose first gate lies at `at` in panels of all gates.
template <int W, class F>
static inline void by_block(const Blocks& blocks, int64_t gates, F f) {
  int64_t at = 0, end = 0;
  for (int64_t first = 0; end < blocks.units_in_all(); first = end) {
    end = first + blocks.per_head_units;
    for (; first < end; first += blocks.width, at += gates * blocks.width)
      by_vector<W>(0, end - first < blocks.width ? end - first : blocks.width,
                   [&](auto whole, int64_t j, int64_t count) { f(whole, at + j, first + j, count); });
  }
}

}  // namespace RECURRA_ISA
}  // namespace recurra
