// CTC's beam search, n-gram scorer and alignment from Python.
#include "decoding.hpp"

#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "ctc_alignment.hpp"
#include "prefix_beam.hpp"

namespace nb = nanobind;

namespace recurra {
namespace {

template <class T, int dimensions>
using Array = nb::ndarray<const T, nb::ndim<dimensions>, nb::c_contig, nb::device::cpu>;

void expect(bool holds, const char* what) {
  if (!holds) throw std::invalid_argument(what);
}

void add_ngrams(NgramScorer& scorer, const Array<int32_t, 2>& words, const Array<float, 1>& log_probs,
                const Array<float, 1>& backoffs) {
  const size_t count = words.shape(0);
  expect(log_probs.shape(0) == count && backoffs.shape(0) == count, "one probability and back-off for each n-gram");
  const auto length = static_cast<int32_t>(words.shape(1));
  const nb::gil_scoped_release released;
  for (size_t k = 0; k < count; ++k)
    scorer.add(words.data() + k * words.shape(1), length, log_probs.data()[k], backoffs.data()[k]);
}

std::shared_ptr<const Spelling> spelling_of(const std::vector<std::pair<std::string, int32_t>>& words) {
  auto spelling = std::make_shared<Spelling>();
  for (const auto& [word, id] : words) spelling->add(word, id);
  return spelling;
}

void set_tokens(BeamRules& rules, std::vector<std::string> texts, const std::vector<bool>& begins, int32_t blank,
                int32_t separator) {
  const auto count = static_cast<int32_t>(texts.size());
  expect(begins.size() == texts.size(), "begins: one for each token");
  expect(blank >= 0 && blank < count && separator >= -1 && separator < count, "blank, separator: tokens");
  rules.texts = std::move(texts);
  rules.begins.assign(begins.begin(), begins.end());
  rules.blank = blank;
  rules.separator = separator;
  rules.has_words = separator >= 0 || std::find(begins.begin(), begins.end(), true) != begins.end();
}

void set_ngram(BeamRules& rules, std::shared_ptr<NgramScorer> scorer,
               const std::vector<std::pair<std::string, int32_t>>& vocabulary, std::vector<int32_t> token_words,
               const std::tuple<int32_t, int32_t, int32_t>& special, double unknown_log_prob) {
  expect(token_words.empty() || token_words.size() == rules.texts.size(), "token_words: one for each token");
  rules.ngram = std::move(scorer);
  rules.vocabulary = spelling_of(vocabulary);
  rules.token_words = std::move(token_words);
  std::tie(rules.begin_word, rules.end_word, rules.unknown_word) = special;
  rules.unknown_log_prob = unknown_log_prob;
}

void set_phrases(BeamRules& rules, const std::vector<std::pair<std::string, double>>& phrases) {
  rules.phrases = Phrases();
  for (const auto& [phrase, weight] : phrases) rules.phrases.add(rules.has_words ? " " + phrase + " " : phrase, weight);
  rules.phrases.finish();
}

int64_t advance(PrefixBeam& beam, const Array<float, 2>& log_probs, int64_t symbols) {
  expect(static_cast<int64_t>(log_probs.shape(1)) == symbols, "log_probs: (T, V)");
  const float* values = log_probs.data();
  const nb::gil_scoped_release released;
  expect(std::none_of(values, values + log_probs.size(), [](float x) { return std::isnan(x) || x == float(infinity); }),
         "log_probs: not a number, or plus infinity");
  return beam.advance(values, static_cast<int64_t>(log_probs.shape(0)));
}

// Tokens with start, end, peak and log-probability of each; log-probability; score.
typedef std::tuple<int32_t, int64_t, int64_t, int64_t, double> Timed;
typedef std::tuple<std::vector<Timed>, double, double> Found;

std::vector<Found> best(const PrefixBeam& beam, int64_t n, bool over) {
  std::vector<Found> results;
  for (const BeamHypothesis& one : beam.best(n, over)) {
    std::vector<Timed> tokens;
    tokens.reserve(one.tokens.size());
    for (const TokenTime& t : one.tokens) tokens.emplace_back(t.token, t.start, t.end, t.peak, t.log_prob);
    results.emplace_back(std::move(tokens), one.log_prob, one.score);
  }
  return results;
}

std::pair<std::vector<Timed>, double> align_labels(const Array<float, 2>& log_probs, const Array<int64_t, 1>& labels,
                                                   int64_t blank) {
  const auto symbols = static_cast<int64_t>(log_probs.shape(1));
  const int64_t* values = labels.data();
  expect(blank >= 0 && blank < symbols, "blank: a symbol");
  expect(std::all_of(values, values + labels.size(), [&](int64_t v) { return v >= 0 && v < symbols && v != blank; }),
         "labels: symbols other than the blank");
  CtcAlignment found;
  {
    const nb::gil_scoped_release released;
    found = align(log_probs.data(), static_cast<int64_t>(log_probs.shape(0)), symbols, values,
                  static_cast<int64_t>(labels.shape(0)), blank);
  }
  std::vector<Timed> tokens;
  for (size_t u = 0; u < found.starts.size(); ++u)
    tokens.emplace_back(static_cast<int32_t>(values[u]), found.starts[u], found.ends[u], found.peaks[u],
                        found.log_probs[u]);
  return {std::move(tokens), found.log_prob};
}

}  // namespace

void add_decoding(nb::module_& module) {
  nb::class_<NgramScorer>(module, "NgramScorer", "A back-off n-gram language model; see csrc/ngram_scorer.hpp.")
      .def(nb::init<int32_t>(), nb::arg("order"))
      .def("add", &add_ngrams, nb::arg("words"), nb::arg("log_probs"), nb::arg("backoffs"),
           "Add n-grams (M, n) of one length, shorter ones before longer ones, with natural logarithms.")
      .def("after", &NgramScorer::after, nb::arg("word"), "The state after a word that begins a text.")
      .def(
          "score",
          [](const NgramScorer& scorer, int32_t state, int32_t word) {
            int32_t after;
            const double log_prob = scorer.score(state, word, &after);
            return std::make_pair(log_prob, after);
          },
          nb::arg("state"), nb::arg("word"), "log p of a word after a state of this model, and the state after it.");
  nb::class_<BeamRules>(module, "BeamRules", "What the tokens of a beam search spell, and what may and should be.")
      .def(nb::init<>())
      .def("set_tokens", &set_tokens, nb::arg("texts"), nb::arg("begins"), nb::arg("blank"), nb::arg("separator"))
      .def("set_ngram", &set_ngram, nb::arg("scorer"), nb::arg("vocabulary"), nb::arg("token_words"),
           nb::arg("special"), nb::arg("unknown_log_prob"))
      .def(
          "set_lexicon",
          [](BeamRules& rules, const std::vector<std::pair<std::string, int32_t>>& words) {
            rules.lexicon = spelling_of(words);
          },
          nb::arg("words"))
      .def("set_phrases", &set_phrases, nb::arg("phrases"))
      .def_rw("ngram_weight", &BeamRules::ngram_weight)
      .def_rw("bonus", &BeamRules::bonus)
      .def_rw("fusion_weight", &BeamRules::fusion_weight);
  nb::class_<PrefixBeam>(module, "PrefixBeam", "CTC prefix beam search; see csrc/prefix_beam.hpp.")
      .def(
          "__init__",
          [](PrefixBeam* beam, const BeamRules& rules, int64_t beam_size, double beam_threshold,
             double token_threshold) {
            expect(beam_size >= 1, "beam_size: at least 1");
            // A copy: what is set later holds for later searches.
            new (beam)
                PrefixBeam(std::make_shared<BeamRules>(rules), BeamOptions{beam_size, beam_threshold, token_threshold});
          },
          nb::arg("rules"), nb::arg("beam_size"), nb::arg("beam_threshold"), nb::arg("token_threshold"))
      .def("advance", &advance, nb::arg("log_probs"), nb::arg("symbols"),
           "Read frames until all are read or scores are missing; the number read.")
      .def("pending",
           [](const PrefixBeam& beam) {
             std::vector<std::tuple<int32_t, int32_t, int32_t>> nodes;
             for (const PrefixBeam::Pending& each : beam.pending())
               nodes.emplace_back(each.node, each.parent, each.token);
             return nodes;
           })
      .def(
          "supply",
          [](PrefixBeam& beam, const Array<float, 2>& scores, int64_t symbols) {
            expect(scores.shape(0) == beam.pending().size() && static_cast<int64_t>(scores.shape(1)) == symbols + 1,
                   "scores: (pending, V + 1)");
            beam.supply(scores.data());
          },
          nb::arg("scores"), nb::arg("symbols"))
      .def("take_freed", &PrefixBeam::take_freed)
      .def("best", &best, nb::arg("n"), nb::arg("over"))
      .def_prop_ro("agreed", &PrefixBeam::agreed);
  module.def("ctc_align", &align_labels, nb::arg("log_probs"), nb::arg("labels"), nb::arg("blank"),
             "The best alignment of labels (U) with log-probabilities (T, V): tokens with their times, and its "
             "log-probability; no tokens and minus infinity if there is none.");
}

}  // namespace recurra
