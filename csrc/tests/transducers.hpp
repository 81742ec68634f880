// The transducer's loss against a plain sum over the lattice: sizes around the vector's, no frames, no labels, one
// thread and several.
#pragma once

#include <cmath>
#include <cstdio>
#include <vector>

#include "../infinity.hpp"
#include "../parallel.hpp"
#include "../transducer.hpp"

namespace recurra {

inline double plain_log_add(double a, double b) {
  const double high = a > b ? a : b, low = a > b ? b : a;
  return low == -infinity ? high : high + std::log1p(std::exp(low - high));
}

// -log p of one utterance from the log-probabilities of its cells.
inline double plain_loss(const double* pairs, int64_t T, int64_t U) {
  if (T == 0) return U == 0 ? 0 : infinity;
  std::vector<double> alpha(static_cast<size_t>(T * (U + 1)), -infinity);
  alpha[0] = 0;
  for (int64_t t = 0; t < T; ++t)
    for (int64_t u = 0; u <= U; ++u) {
      const int64_t at = t * (U + 1) + u;
      double& now = alpha[static_cast<size_t>(at)];
      if (t > 0) now = plain_log_add(now, alpha[static_cast<size_t>(at - U - 1)] + pairs[2 * (at - U - 1)]);
      if (u > 0) now = plain_log_add(now, alpha[static_cast<size_t>(at - 1)] + pairs[2 * (at - 1) + 1]);
    }
  return -(alpha.back() + pairs[2 * (T * (U + 1) - 1)]);
}

template <class T>
bool check_transducer(int64_t vocabulary, int64_t threads) {
  const std::vector<int64_t> frames = {3, 0, 1, 17, 5, 0}, counts = {2, 0, 9, 8, 0, 2};
  std::vector<int64_t> labels, sizes;
  uint32_t seed = 1;
  const auto next = [&seed] { return seed = seed * 1664525u + 1013904223u, seed >> 16; };
  for (size_t b = 0; b < frames.size(); ++b) {
    sizes.push_back(frames[b] * (counts[b] + 1));
    for (int64_t t = 0; t < frames[b]; ++t)
      for (int64_t u = 0; u <= counts[b]; ++u) labels.push_back(u < counts[b] ? 1 + u % (vocabulary - 1) : -1);
  }
  const size_t cells = labels.size();
  std::vector<T> logits(cells * static_cast<size_t>(vocabulary)), d_logits(logits.size()), normalizers(cells);
  for (T& value : logits) value = T(next()) / 8192 - 4;
  std::vector<double> pairs(2 * cells), d_pairs(2 * cells), losses(frames.size());
  TransducerRows rows{int64_t(cells), vocabulary,     0,
                      threads,        nullptr,        labels.data(),
                      logits.data(),  pairs.data(),   normalizers.data(),
                      d_pairs.data(), d_logits.data()};
  const TransducerLattices lattices{int64_t(frames.size()), threads,       frames.data(), counts.data(),
                                    pairs.data(),           losses.data(), d_pairs.data()};
  const TransducerTable table = baseline::transducer_table();
  (sizeof(T) == 8 ? table.forward64 : table.forward32)(&rows, run_parallel);
  bool good = table.lattices(&lattices, run_parallel) == 0;
  (sizeof(T) == 8 ? table.backward64 : table.backward32)(&rows, run_parallel);
  size_t first = 0;
  for (size_t b = 0; b < frames.size(); ++b) {
    const double expected = plain_loss(pairs.data() + 2 * first, frames[b], counts[b]);
    good &= expected == losses[b] || std::abs(losses[b] - expected) < 1e-9;
    // Each path passes each frame by one blank and emits each label once; a row's gradients sum to zero.
    double blanks = 0, emitted = 0, sum = 0;
    for (size_t k = first; k < first + static_cast<size_t>(sizes[b]); ++k) {
      blanks -= d_pairs[2 * k];
      emitted -= d_pairs[2 * k + 1];
      for (size_t v = 0; v < static_cast<size_t>(vocabulary); ++v)
        sum += std::abs(double(d_logits[k * static_cast<size_t>(vocabulary) + v]));
      double row = 0;
      for (size_t v = 0; v < static_cast<size_t>(vocabulary); ++v)
        row += double(d_logits[k * static_cast<size_t>(vocabulary) + v]);
      good &= std::abs(row) < 1e-4;
    }
    good &= sizes[b] == 0 || (std::abs(blanks - double(frames[b])) < 1e-9 && sum > 0);
    good &= sizes[b] == 0 || std::abs(emitted - double(counts[b])) < 1e-9;
    first += static_cast<size_t>(sizes[b]);
  }
  if (!good) std::printf("transducer of %ld symbols on %ld threads differs\n", long(vocabulary), long(threads));
  return good;
}

inline bool check_transducers() {
  bool good = true;
  for (int64_t vocabulary : {2, 5, 8, 600})
    for (int64_t threads : {1, 3})
      good &= check_transducer<float>(vocabulary, threads) && check_transducer<double>(vocabulary, threads);
  return good;
}

}  // namespace recurra
