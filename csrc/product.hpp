// Matrix products in panels: a few rows of a batch times a weight matrix that is packed once for all steps.
#pragma once

#include <cstdlib>
#include <new>

#include "vector.hpp"

namespace recurra {
namespace RECURRA_ISA {

#if RECURRA_VECTOR_BYTES == 64
constexpr int accumulators = 24;  // of 32 registers
#else
constexpr int accumulators = 12;  // of 16
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

// How units are cut into blocks of `width` units, which never reach from one head into the next.
struct Blocks {
  int64_t width, per_head_units, per_head, count;
  Blocks(int64_t units, int64_t heads, int64_t width)
      : width(width),
        per_head_units(units / heads),
        per_head((units / heads + width - 1) / width),
        count(heads * per_head) {}
  int64_t head(int64_t block) const { return block / per_head; }
  int64_t first(int64_t block) const { return head(block) * per_head_units + block % per_head * width; }
  int64_t units(int64_t block) const {
    const int64_t left = per_head_units - block % per_head * width;
    return left < width ? left : width;
  }
  int64_t units_in_all() const { return count / per_head * per_head_units; }
};

// Rows times a panel: row r of `out`, `stride` apart, is N vectors, the sum over k of from[r][k] * panel[k], added to
// row r of `start`, `start_stride` apart, if it is not null. Few rows sum several k at once: a chain of additions
// each.
template <class T, int N, int R>
static void multiply(const T* panel, int64_t K, const T* const* from, const T* start, int64_t start_stride, T* out,
                     int64_t stride, int64_t ahead) {
  typedef typename Vectors<T>::type V;
  constexpr int W = Vectors<T>::width;
  constexpr int chains = R * N >= 8 ? 1 : R * N >= 4 ? 2 : 4;
  V sum[chains][R][N] = {};
  if (start)
    for (int r = 0; r < R; ++r)
      for (int n = 0; n < N; ++n) sum[0][r][n] = load<V>(start + r * start_stride + n * W);
  int64_t k = 0;
  for (; k + chains <= K; k += chains) {
    const T* w = panel + k * N * W;
#pragma GCC unroll 4
    for (int c = 0; c < chains; ++c) {
      // The panel itself streams from the second-level cache: it is prefetched some steps ahead.
#pragma GCC unroll 8
      for (int line = 0; line < N * W * int(sizeof(T)); line += 64) {
        __builtin_prefetch(reinterpret_cast<const char*>(w + (c + 8) * N * W) + line);
        if (R >= 4) __builtin_prefetch(reinterpret_cast<const char*>(w + c * N * W + ahead) + line, 0, 2);
      }
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
        const V value = splat<V>(from[r][k + c]);
#pragma GCC unroll 16
        for (int n = 0; n < N; ++n) sum[c][r][n] += value * load<V>(w + (c * N + n) * W);
      }
    }
  }
  for (; k < K; ++k)
    for (int r = 0; r < R; ++r)
      for (int n = 0; n < N; ++n) sum[0][r][n] += splat<V>(from[r][k]) * load<V>(panel + (k * N + n) * W);
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
    for (int n = 0; n < N; ++n) {
      V total = sum[0][r][n];
#pragma GCC unroll 4
      for (int c = 1; c < chains; ++c) total += sum[c][r][n];
      store<V>(out + r * stride + n * W, total);
    }
}

template <class T, int N>
struct Product {
  static constexpr int rows = N >= accumulators ? 1 : accumulators / N > 12 ? 12 : accumulators / N;

  // Any number of rows. Where several tiles read the panel, it is taken in parts that stay in the first-level cache.
  static void run(int64_t count, const T* panel, int64_t K, const T* const* from, const T* start, int64_t start_stride,
                  T* out, int64_t stride) {
    constexpr int64_t width = N * Vectors<T>::width, most = 32768 / (width * int64_t(sizeof(T)));
    const int64_t parts = count > rows ? (K + most - 1) / most : 1, depth = parts > 1 ? (K + parts - 1) / parts : K;
    for (int64_t k = 0; k < K || k == 0; k += depth > 0 ? depth : 1) {
      const int64_t length = depth < K - k ? depth : K - k;
      for (int64_t i = 0, height; i < count; i += height) {
        const T* operands[rows];
        height = tile(count - i);
        for (int64_t r = 0; r < height; ++r) operands[r] = from[i + r] + k;
        dispatch<rows>(height, panel + k * width, length, operands,
                       k       ? out + i * stride
                       : start ? start + i * start_stride
                               : nullptr,
                       k ? stride : start_stride, out + i * stride, stride, length * width);
      }
    }
  }

 private:
  // The next tile of `left` rows: all tiles about equal.
  static int64_t tile(int64_t left) {
    const int64_t tiles = (left + rows - 1) / rows;
    return (left + tiles - 1) / tiles;
  }

  template <int R>
  static void dispatch(int64_t count, const T* panel, int64_t K, const T* const* from, const T* start,
                       int64_t start_stride, T* out, int64_t stride, int64_t ahead) {
    if (count == R)
      multiply<T, N, R>(panel, K, from, start, start_stride, out, stride, ahead);
    else if constexpr (R > 1)
      dispatch<R - 1>(count, panel, K, from, start, start_stride, out, stride, ahead);
  }
};

// Panels of the rows of a weight (gates * units, columns): [block][column][gate][unit], zero beyond a block's units. Of
// the blocks of one thread only, from `begin` to before `end_block`.
template <class T>
static void pack_rows(const T* weight, int64_t columns, int64_t units, int64_t first_gate, int64_t gates,
                      const Blocks& blocks, int64_t begin, int64_t end_block, T* to) {
  constexpr int64_t step = 16;  // columns at a time: both sides stay in the first-level cache
  const int64_t width = blocks.width;
  to += begin * columns * gates * width;
  for (int64_t block = begin; block < end_block; ++block, to += columns * gates * width)
    for (int64_t column = 0; column < columns; column += step) {
      const int64_t end = column + step < columns ? column + step : columns;
      for (int64_t g = 0; g < gates; ++g)
        for (int64_t j = 0; j < width; ++j) {
          const bool inside = j < blocks.units(block);
          const T* from = weight + ((first_gate + g) * units + blocks.first(block) + j) * columns;
          for (int64_t k = column; k < end; ++k) to[(k * gates + g) * width + j] = inside ? from[k] : T(0);
        }
    }
}

// A vector of the gates' values (gates * units) in the order of the panels: [block][gate][unit].
template <class T>
static void pack_values(const T* values, int64_t units, int64_t first_gate, int64_t gates, const Blocks& blocks,
                        T* to) {
  for (int64_t block = 0; block < blocks.count; ++block)
    for (int64_t g = 0; g < gates; ++g)
      for (int64_t j = 0; j < blocks.width; ++j)
        *to++ = j < blocks.units(block) ? values[(first_gate + g) * units + blocks.first(block) + j] : T(0);
}

// Panels of the columns of a weight (gates * above, columns), for products with its transpose: [block of columns][gate]
// [row above][column], the rows of a block's own head.
template <class T>
static void pack_columns(const T* weight, int64_t columns, int64_t above, int64_t gates, const Blocks& blocks,
                         int64_t begin, int64_t end_block, T* to) {
  const int64_t width = blocks.width, heads = blocks.count / blocks.per_head, within = above / heads;
  to += begin * gates * within * width;
  for (int64_t block = begin; block < end_block; ++block) {
    const int64_t head = blocks.head(block), first = blocks.first(block) - head * blocks.per_head_units;
    const int64_t units = blocks.units(block);
    for (int64_t g = 0; g < gates; ++g)
      for (int64_t k = 0; k < within; ++k, to += width) {
        std::memcpy(to, weight + (g * above + head * within + k) * columns + first, units * sizeof(T));
        for (int64_t j = units; j < width; ++j) to[j] = T(0);
      }
  }
}

// The sum of a vector's lanes, halves first.
template <class T, int bytes>
struct Halves {
  typedef T type __attribute__((vector_size(bytes)));
  static inline T sum(type v) {
    if constexpr (bytes > 16) {
      typedef typename Halves<T, bytes / 2>::type Half;
      Half low, high;
      std::memcpy(&low, &v, sizeof(Half));
      std::memcpy(&high, reinterpret_cast<const char*>(&v) + sizeof(Half), sizeof(Half));
      return Halves<T, bytes / 2>::sum(low + high);
    } else if constexpr (sizeof(T) == 4) {
      return (v[0] + v[2]) + (v[1] + v[3]);
    } else {
      return v[0] + v[1];
    }
  }
};

template <class V>
static inline typename Scalar<V>::type lane_sum(V v) {
  return Halves<typename Scalar<V>::type, sizeof(V)>::sum(v);
}

// One row times rows of an unpacked weight: out[j] = start[j] + the sum over k of weight[j][k] * from[k], for 4 rows of
// the weight at once. For so few rows of a batch that packing would take longer.
template <class T>
static void multiply_unpacked(const T* weight, int64_t K, int64_t count, const T* from, const T* start, T* out) {
  typedef typename Vectors<T>::type V;
  constexpr int W = Vectors<T>::width, at_once = 4;
  int64_t j = 0;
  for (; j + at_once <= count; j += at_once) {
    const T* w = weight + j * K;
    V sum[at_once] = {};
    int64_t k = 0;
    for (; k + W <= K; k += W) {
      const V value = load<V>(from + k);
#pragma GCC unroll 4
      for (int r = 0; r < at_once; ++r) sum[r] += value * load<V>(w + r * K + k);
    }
#pragma GCC unroll 4
    for (int r = 0; r < at_once; ++r) {
      T total = lane_sum(sum[r]) + (start ? start[j + r] : T(0));
      for (int64_t rest = k; rest < K; ++rest) total += from[rest] * w[r * K + rest];
      out[j + r] = total;
    }
  }
  for (; j < count; ++j) {
    T total = start ? start[j] : T(0);
    for (int64_t k = 0; k < K; ++k) total += from[k] * weight[j * K + k];
    out[j] = total;
  }
}

}  // namespace RECURRA_ISA
}  // namespace recurra
