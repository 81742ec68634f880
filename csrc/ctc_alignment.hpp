// The best alignment of known labels with frames, by Viterbi's algorithm over CTC's lattice.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "infinity.hpp"

namespace recurra {

struct CtcAlignment {
  std::vector<int64_t> starts, ends;  // of each label, in frames, the end exclusive
  std::vector<int64_t> peaks;         // the frame of its highest log-probability
  std::vector<double> log_probs;      // that one
  double log_prob;                    // of the path; minus infinity if there is none
};

// Log-probabilities (T, V), labels (U). Of its 2 U + 1 states the odd ones are labels, the even ones blanks. A byte for
// each frame and state says from how many states before the path came.
inline CtcAlignment align(const float* log_probs, int64_t T, int64_t V, const int64_t* labels, int64_t U,
                          int64_t blank) {
  const int64_t states = 2 * U + 1;
  CtcAlignment result;
  result.log_prob = -infinity;
  if (T == 0) {
    if (U == 0) result.log_prob = 0;
    return result;
  }
  std::vector<double> best(size_t(states), -infinity), before;
  std::vector<uint8_t> moves(size_t(T * states), 0);
  best[0] = log_probs[blank];
  if (U > 0) best[1] = log_probs[labels[0]];
  for (int64_t t = 1; t < T; ++t) {
    before = best;
    const float* now = log_probs + t * V;
    for (int64_t s = 0; s < states; ++s) {
      double most = before[size_t(s)];
      uint8_t move = 0;
      const auto consider = [&](int64_t steps) {
        if (s >= steps && before[size_t(s - steps)] > most) most = before[size_t(s - steps)], move = uint8_t(steps);
      };
      consider(1);
      const int64_t u = s / 2;
      const bool is_label = s % 2 == 1;
      if (is_label && u > 0 && labels[u] != labels[u - 1]) consider(2);
      moves[size_t(t * states + s)] = move;
      best[size_t(s)] = most + now[is_label ? labels[u] : blank];
    }
  }
  int64_t state = states - 1;
  if (U > 0 && best[size_t(state - 1)] > best[size_t(state)]) --state;
  result.log_prob = best[size_t(state)];
  if (result.log_prob == -infinity) return result;
  result.starts.assign(size_t(U), 0);
  result.ends = result.peaks = result.starts;
  result.log_probs.assign(size_t(U), -infinity);
  for (int64_t t = T - 1; t >= 0; --t) {
    if (state % 2 == 1) {
      const size_t u = size_t(state / 2);
      const double log_prob = log_probs[t * V + labels[u]];
      if (result.ends[u] == 0) result.ends[u] = t + 1;
      result.starts[u] = t;
      if (log_prob >= result.log_probs[u]) result.log_probs[u] = log_prob, result.peaks[u] = t;
    }
    state -= moves[size_t(t * states + state)];
  }
  return result;
}

}  // namespace recurra
