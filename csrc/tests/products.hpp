// Large products against plain loops: rows or columns contiguous, sizes around those of panels and blocks, on one
// thread and on several.
#pragma once

#include <cmath>
#include <cstdio>
#include <vector>

#include "../large_product.hpp"
#include "../parallel.hpp"

namespace recurra {

inline bool check_product(int64_t M, int64_t N, int64_t K, bool a_rows, bool b_rows, bool biased, int64_t threads) {
  std::vector<float> a(static_cast<size_t>(M * K)), b(static_cast<size_t>(K * N)), bias(static_cast<size_t>(N));
  std::vector<float> c(static_cast<size_t>(M * N));
  uint32_t seed = 1;
  for (std::vector<float>* values : {&a, &b, &bias})
    for (float& value : *values) {
      seed = seed * 1664525u + 1013904223u;
      value = static_cast<float>(seed >> 16) / 32768.0f - 1.0f;
    }
  const int64_t a_row = a_rows ? K : 1, a_column = a_rows ? 1 : M, b_row = b_rows ? N : 1, b_column = b_rows ? 1 : K;
  const LargeProductCall call{
      M, N, K, threads, a.data(), a_row, a_column, b.data(), b_row, b_column, biased ? bias.data() : nullptr, c.data()};
  if (baseline::LargeProduct<float>::call(&call, run_parallel) != 0) return false;
  for (int64_t i = 0; i < M; ++i)
    for (int64_t j = 0; j < N; ++j) {
      double expected = biased ? bias[static_cast<size_t>(j)] : 0.0;
      for (int64_t k = 0; k < K; ++k)
        expected +=
            double(a[static_cast<size_t>(i * a_row + k * a_column)]) * b[static_cast<size_t>(k * b_row + j * b_column)];
      if (!(std::abs(expected - c[static_cast<size_t>(i * N + j)]) < 1e-3)) {
        std::printf("product %ld %ld %ld: row %ld column %ld differs\n", long(M), long(N), long(K), long(i), long(j));
        return false;
      }
    }
  return true;
}

inline bool check_products() {
  bool good = true;
  for (int64_t M : {1, 95, 97})
    for (int64_t N : {1, 16, 30, 200})
      for (int64_t K : {0, 7, 513})
        for (int way = 0; way < 8; ++way)
          good &= check_product(M, N, K, (way & 1) != 0, (way & 2) != 0, (way & 4) != 0, 1 + way % 3);
  return good;
}

}  // namespace recurra
