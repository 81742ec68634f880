// Blocks of zeros in a weight, which products skip.
#pragma once

#include <cstdint>

namespace recurra {

// Rows and columns of a block: one vector with AVX-512, two with AVX2. Training prunes blocks of this size
// (training/pruning.py).
constexpr int64_t block_size = 16;

// Internal linkage: each instruction set has its own.
static inline bool is_zero_block(const float* weight, int64_t N, int64_t K, int64_t row, int64_t column) {
  const int64_t bottom = row + block_size < N ? row + block_size : N;
  const int64_t right = column + block_size < K ? column + block_size : K;
  for (int64_t j = row; j < bottom; ++j)
    for (int64_t k = column; k < right; ++k)
      if (weight[j * K + k] != 0) return false;
  return true;
}

// The fraction of the blocks of a weight (N, K) that have a value other than zero; 1 as soon as that is more than
// `most`. A dense weight is read at a few values of each block only.
static inline double block_density(const float* weight, int64_t N, int64_t K, double most) {
  const int64_t count = (N + block_size - 1) / block_size * ((K + block_size - 1) / block_size);
  int64_t dense = 0;
  for (int64_t row = 0; row < N; row += block_size)
    for (int64_t column = 0; column < K; column += block_size)
      if (!is_zero_block(weight, N, K, row, column) && static_cast<double>(++dense) > most * static_cast<double>(count))
        return 1;
  return count ? static_cast<double>(dense) / static_cast<double>(count) : 1;
}

}  // namespace recurra
