// Products of large matrices: of all steps' inputs with a weight, and of gradients with either.
//
// For processors on which the library that torch was built with does not use all of the vector units: MKL on those that
// are not Intel's. The right-hand matrix is packed in panels of four vectors, a few hundred rows at a time; of the
// left-hand one, blocks that stay in the second-level cache are multiplied with each panel.
#pragma once

#include "call.hpp"
#include "product.hpp"
#include "subnormal.hpp"

namespace recurra {

// C (M, N) = A (M, K) B (K, N) + bias (N), the bias null for none. C is contiguous; A and B have any strides.
struct LargeProductCall {
  int64_t M, N, K, threads;
  const void* a;
  int64_t a_row, a_column;
  const void* b;
  int64_t b_row, b_column;
  const void* bias;
  void* c;
};

namespace RECURRA_ISA {

template <class T>
class LargeProduct {
 public:
  // 0, or 1 if there is not enough memory.
  static int call(const LargeProductCall* call, Parallel parallel) {
    try {
      LargeProduct product(*call);
      if (product.threads > 1)
        parallel(task, &product, product.threads);
      else
        product.part(0);
      return 0;
    } catch (const std::bad_alloc&) {
      return 1;
    }
  }

 private:
  static constexpr int64_t lanes = Vectors<T>::width, vectors = 4, width = vectors * lanes;
  static constexpr int64_t depth = 512;                     // rows of B that are packed at a time
  static constexpr int64_t tall = 96;                       // rows of A that meet each panel
  static constexpr int64_t apart = depth + 64 / sizeof(T);  // of rows of A that are copied: not a power of two
  static constexpr int64_t ahead = 12;                      // rows of B that are fetched before they are packed
  static constexpr int64_t least = width * 6;               // columns, or rows, that a thread is worth

  const LargeProductCall& p;
  const T *a, *b, *bias;
  T* c;
  bool by_columns;  // whether threads divide the columns of C, or its rows
  int64_t threads, panels, deep, space;
  Buffer<T> scratch;

  explicit LargeProduct(const LargeProductCall& call)
      : p(call),
        a(static_cast<const T*>(call.a)),
        b(static_cast<const T*>(call.b)),
        bias(static_cast<const T*>(call.bias)),
        c(static_cast<T*>(call.c)),
        by_columns(call.N > call.M),
        threads(threads_for(by_columns ? call.N : call.M, call.threads)),
        panels(up(by_columns ? up(call.N, threads) + width : call.N, width)),
        deep(call.K < depth ? call.K : depth),
        space(panels * deep * width + (call.a_column == 1 ? 0 : tall * apart) + tall * width),
        scratch(threads * space) {}

  static int64_t up(int64_t count, int64_t by) { return (count + by - 1) / by; }

  static int64_t threads_for(int64_t count, int64_t most) {
    const int64_t wanted = count / least;
    return wanted < 1 ? 1 : wanted < most ? wanted : most;
  }

  // There may be fewer threads than asked for.
  static void task(void* context, int64_t k, int64_t n) noexcept {
    auto* const product = static_cast<LargeProduct*>(context);
    for (; k < product->threads; k += n) product->part(k);
  }

  void part(int64_t k) {
    const WithoutSubnormals without;
    const int64_t grain = by_columns ? width : 1, count = up(by_columns ? p.N : p.M, grain);
    const int64_t begin = count * k / threads * grain, stop = count * (k + 1) / threads * grain;
    T* const own = scratch.data + k * space;
    if (by_columns)
      block(0, p.M, begin, stop < p.N ? stop : p.N, own);
    else
      block(begin, stop, 0, p.N, own);
  }

  // Rows [top, bottom) and columns [left, right) of C.
  void block(int64_t top, int64_t bottom, int64_t left, int64_t right, T* own) {
    T *const packed = own, *const edge = own + panels * deep * width, *const copied = edge + tall * width;
    const T* from[tall];
    for (int64_t k = 0; k == 0 || k < p.K; k += depth) {
      const int64_t length = depth < p.K - k ? depth : p.K - k;
      for (int64_t j = left; j < right; j += width) pack(k, length, j, right, packed + (j - left) * length);
      for (int64_t i = top; i < bottom; i += tall) {
        const int64_t count = tall < bottom - i ? tall : bottom - i;
        if (p.a_column != 1) transpose(i, count, k, length, copied);
        for (int64_t r = 0; r < count; ++r) from[r] = p.a_column == 1 ? a + (i + r) * p.a_row + k : copied + r * apart;
        for (int64_t j = left; j < right; j += width) {
          const T* const panel = packed + (j - left) * length;
          const int64_t missing = j + width - right;
          if (missing > 0)
            edge_panel((right - j + lanes - 1) / lanes, count, panel, length, from, k, i, j, right - j, edge);
          else if (k)
            Product<T, vectors>::run(count, panel, length, from, at(i, j), p.N, at(i, j), p.N);
          else
            Product<T, vectors>::run(count, panel, length, from, bias ? bias + j : nullptr, 0, at(i, j), p.N);
        }
      }
    }
  }

  T* at(int64_t i, int64_t j) const { return c + i * p.N + j; }

  // Rows [k, k + length) of B, columns from `first`: a panel, which has as many vectors as there are columns for.
  void pack(int64_t k, int64_t length, int64_t first, int64_t right, T* to) const {
    const int64_t count = width < right - first ? width : right - first, wide = up(count, lanes) * lanes;
    const T* from = b + k * p.b_row + first * p.b_column;
    if (p.b_column == 1) {
      for (int64_t j = 0; j < length; ++j, from += p.b_row, to += wide) {
        const T* const later = j + ahead < length ? from + ahead * p.b_row : from;
        for (int64_t line = 0; line < count; line += 64 / sizeof(T)) __builtin_prefetch(later + line);
        std::memcpy(to, from, count * sizeof(T));
        for (int64_t rest = count; rest < wide; ++rest) to[rest] = T(0);
      }
      return;
    }
    constexpr int64_t step = 16;  // rows at a time: both sides stay in the first-level cache
    for (int64_t j = 0; j < length; j += step) {
      const int64_t end = j + step < length ? j + step : length;
      for (int64_t column = 0; column < wide; ++column)
        for (int64_t row = j; row < end; ++row)
          to[row * wide + column] = column < count ? from[row * p.b_row + column * p.b_column] : T(0);
    }
  }

  // Rows [i, i + count) and columns [k, k + length) of A, where its columns are apart.
  void transpose(int64_t i, int64_t count, int64_t k, int64_t length, T* to) const {
    constexpr int64_t step = 16;
    const T* const from = a + i * p.a_row + k * p.a_column;
    for (int64_t r = 0; r < count; r += step) {
      const int64_t end = r + step < count ? r + step : count;
      for (int64_t j = 0; j < length; ++j)
        for (int64_t row = r; row < end; ++row) to[row * apart + j] = from[row * p.a_row + j * p.a_column];
    }
  }

  // A panel of `left` columns, fewer than fill four vectors, computed aside.
  void edge_panel(int64_t count_vectors, int64_t count, const T* panel, int64_t length, const T* const* from, int64_t k,
                  int64_t i, int64_t j, int64_t left, T* edge) const {
    for (int64_t r = 0; r < count; ++r)
      for (int64_t n = 0; n < left; ++n) edge[r * width + n] = k ? *at(i + r, j + n) : bias ? bias[j + n] : T(0);
    narrow<vectors>(count_vectors, count, panel, length, from, edge);
    for (int64_t r = 0; r < count; ++r) std::memcpy(at(i + r, j), edge + r * width, left * sizeof(T));
  }

  template <int N>
  static void narrow(int64_t wanted, int64_t count, const T* panel, int64_t length, const T* const* from, T* edge) {
    if (wanted == N)
      Product<T, N>::run(count, panel, length, from, edge, width, edge, width);
    else if constexpr (N > 1)
      narrow<N - 1>(wanted, count, panel, length, from, edge);
  }
};

}  // namespace RECURRA_ISA
}  // namespace recurra
