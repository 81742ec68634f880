// CTC's beam search against what it must be: without pruning, the probabilities of all texts sum to one, and fused
// scores differ from them by what is fused; with it, times are in order. And alignments.
#pragma once

#include <cmath>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "../ctc_alignment.hpp"
#include "../prefix_beam.hpp"

namespace recurra {

// Log-probabilities of frames of blank, a, b and a separator.
inline std::vector<float> made_frames(int64_t frames, float scale) {
  std::vector<float> values(static_cast<size_t>(4 * frames));
  uint32_t seed = 7;
  for (float& value : values) {
    seed = seed * 1664525u + 1013904223u;
    value = scale * static_cast<float>(seed >> 16) / 65536.0f;
  }
  for (size_t t = 0; t < values.size(); t += 4) {
    float sum = 0;
    for (size_t v = 0; v < 4; ++v) sum += std::exp(values[t + v]);
    for (size_t v = 0; v < 4; ++v) values[t + v] -= std::log(sum);
  }
  return values;
}

inline std::shared_ptr<BeamRules> made_rules(bool fused) {
  auto rules = std::make_shared<BeamRules>();
  rules->texts = {"", "a", "b", ""};
  rules->begins.assign(4, 0);
  rules->separator = 3;
  rules->has_words = true;
  if (!fused) return rules;
  auto scorer = std::make_shared<NgramScorer>(2);
  const int32_t words[] = {0, 1, 2, 3}, pair[] = {0, 2};
  for (const int32_t& word : words) scorer->add(&word, 1, -1.5f, -0.25f);
  scorer->add(pair, 2, -0.5f, 0);
  auto vocabulary = std::make_shared<Spelling>();
  vocabulary->add("a", 2);
  vocabulary->add("ab", 3);
  rules->ngram = scorer;
  rules->vocabulary = rules->lexicon = vocabulary;
  rules->begin_word = 0, rules->end_word = 1;
  rules->ngram_weight = 0.5, rules->bonus = 0.25;
  rules->phrases.add(" a ab ", 2);
  rules->phrases.add(" ab ", 1);
  rules->phrases.finish();
  return rules;
}

inline bool check_decodings() {
  bool good = true;
  const std::vector<float> few = made_frames(6, 3), many = made_frames(900, 8);
  PrefixBeam everything(made_rules(false), {1 << 20, infinity, infinity});
  good &= everything.advance(few.data(), 6) == 6;
  double sum = 0;
  for (const BeamHypothesis& one : everything.best(1 << 20, true)) sum += std::exp(one.log_prob);
  good &= std::abs(sum - 1) < 1e-6;

  PrefixBeam fused(made_rules(true), {12, 20, 10});
  for (int64_t t = 0; t < 900; t += 9) good &= fused.advance(many.data() + 4 * t, 9) == 9;
  const std::vector<BeamHypothesis> best = fused.best(3, true);
  good &= !best.empty() && best.front().tokens.size() > 50 && fused.agreed() > 0;
  for (const BeamHypothesis& one : best)
    for (size_t k = 1; k < one.tokens.size(); ++k) good &= one.tokens[k - 1].end <= one.tokens[k].start;

  // Scores of the next tokens from outside: a prefix's are supplied once, when it is new.
  auto rules = made_rules(false);
  rules->fusion_weight = 1;
  PrefixBeam asked(rules, {12, 20, 10});
  int64_t read = 0, rounds = 0;
  while (read < 300) {
    const int64_t some = asked.advance(many.data() + 4 * read, 300 - read);
    read += some;
    good &= some > 0 || !asked.pending().empty();
    const std::vector<float> scores(5 * asked.pending().size(), -1.0f);
    asked.supply(scores.data());
    rounds += !asked.take_freed().empty();
  }
  good &= rounds > 0;
  for (const BeamHypothesis& one : asked.best(3, true))
    good &= std::abs(one.log_prob - double(one.tokens.size()) - 1 - one.score) < 1e-6;

  const int64_t labels[] = {1, 1, 2};
  const CtcAlignment aligned = align(few.data(), 6, 4, labels, 3, 0);
  good &= aligned.starts.size() == 3 && std::isfinite(aligned.log_prob) && aligned.ends[0] < aligned.starts[1];
  good &= align(few.data(), 3, 4, labels, 3, 0).log_prob == -infinity;
  good &= align(few.data(), 0, 4, labels, 0, 0).log_prob == 0 && align(few.data(), 2, 4, labels, 0, 0).log_prob < 0;
  if (!good) std::puts("a search or an alignment differs");
  return good;
}

}  // namespace recurra
