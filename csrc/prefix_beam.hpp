// CTC prefix beam search (Hannun et al. 2014; Graves and Jaitly 2014) frame by frame, with an n-gram or any other
// language model, a lexicon and weighted phrases.
//
// A prefix is a node of a tree, so prefixes share what they have in common; a node whose last user is gone is freed.
// The times of a prefix's tokens are those of its best single path, which is followed beside the sum over all paths.
#pragma once

#include <cmath>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "ngram_scorer.hpp"
#include "pair_map.hpp"
#include "spelling.hpp"

namespace recurra {

// What the tokens spell, and what a prefix may and should be. Shared by the searches that use it.
struct BeamRules {
  int32_t blank = 0;
  int32_t separator = -1;          // the token that ends a word, -1 for none
  std::vector<std::string> texts;  // of each token
  std::vector<char> begins;        // whether a token begins a word
  bool has_words = false;          // whether words end: there is a separator, or tokens that begin words
  std::shared_ptr<NgramScorer> ngram;
  std::vector<int32_t> token_words;  // of the n-gram's vocabulary, for each token, if it is over tokens; else empty
  std::shared_ptr<const Spelling> vocabulary;  // of an n-gram over words
  int32_t begin_word = -1, end_word = -1, unknown_word = -1;
  double unknown_log_prob = 0;              // of a word that is not in the vocabulary if it has no word for them
  std::shared_ptr<const Spelling> lexicon;  // null: any word
  Phrases phrases;
  double ngram_weight = 0, bonus = 0, fusion_weight = 0;
};

struct BeamOptions {
  int64_t beam_size = 100;
  double beam_threshold = infinity;   // below the best prefix, above which a prefix stays
  double token_threshold = infinity;  // the same of a token's log-probability below the frame's best token
};

// A token on the best path of its prefix.
struct TokenTime {
  int32_t token;
  int64_t start, end;  // frames, the end exclusive
  int64_t peak;        // the frame of its highest log-probability
  double log_prob;     // that one
};

struct BeamHypothesis {
  std::vector<TokenTime> tokens;
  double log_prob;  // of CTC, the sum over all paths
  double score;     // with what was fused
};

class PrefixBeam {
 public:
  PrefixBeam(std::shared_ptr<const BeamRules> rules, const BeamOptions& options);

  // Read frames of log-probabilities (T, V) until all are read, or until prefixes need scores of the next tokens, which
  // happens with a fusion weight only. The number of frames read.
  int64_t advance(const float* log_probs, int64_t frames);

  // The nodes whose scores are missing, the nodes they continue (-1 for the empty prefix), and their last tokens.
  struct Pending {
    int32_t node, parent, token;
  };
  const std::vector<Pending>& pending() const { return pending_; }
  // For each pending node the log-probabilities of the next tokens, and of the end behind them, (count, V + 1).
  void supply(const float* scores);
  // The nodes freed since the last call: nothing will continue them.
  std::vector<int32_t> take_freed() { return std::move(freed_); }

  // Up to n hypotheses, best first. If the text is over, words and phrases end and the models' ends count; a prefix
  // whose last word is not in the lexicon is then left out.
  std::vector<BeamHypothesis> best(int64_t n, bool over) const;

  // Tokens at the beginning that all prefixes have in common: no later frame can change them.
  int64_t agreed() const;

 private:
  // What a prefix means to the rules.
  struct Context {
    int32_t ngram, word, lexicon, phrase;
    bool in_word;
    double settled;  // what was fused so far, but for incomplete phrases
  };
  struct Node {
    int32_t parent, token, depth, users;
    bool scored;
    Context context;
  };
  struct Mark {  // a token on a path, and the path before it
    TokenTime time;
    int32_t before, users;
  };
  // A path whose last token may still last. If `fresh`, its tokens before the last are those of a path of the beam
  // before this frame, of an entry and by its blank or not.
  struct Path {
    double score = -infinity;
    int32_t before = -1;
    TokenTime last{-1, 0, 0, 0, 0};
    int32_t fresh = -1;
  };
  struct Entry {
    int32_t node;
    double blank, label;
    Path by_blank, by_label;
  };
  struct Candidate {
    int32_t node, parent, token;
    Context context;
    double blank = -infinity, label = -infinity, score = 0;
    Path by_blank = {}, by_label = {};
  };

  void read(const float* log_probs);
  void add_stays(const float* log_probs);
  void add_extensions(const float* log_probs);
  int32_t candidate_for(const Entry& entry, int32_t token);
  void select();
  Entry keep(Candidate& candidate);

  bool extend(Context& context, int32_t token, int32_t node) const;
  bool end_word(Context& context) const;
  bool close(Context& context, int32_t node) const;
  void score_word(Context& context, int32_t word) const;
  double fused(const Context& context) const { return context.settled + rules_->phrases.promise(context.phrase); }

  void use(int32_t node) { ++nodes_[size_t(node)].users; }
  void release(int32_t node);
  int32_t mark(const Path& path);
  void release_mark(int32_t mark);
  void settle(Path& path, std::vector<int32_t>& marks);
  const Path& best_path(const Entry& entry) const {
    return entry.by_blank.score > entry.by_label.score ? entry.by_blank : entry.by_label;
  }

  std::shared_ptr<const BeamRules> rules_;
  BeamOptions options_;
  int64_t frame_ = 0, V_;
  std::vector<Node> nodes_;
  std::vector<int32_t> free_nodes_, freed_;
  PairMap children_;
  std::vector<Mark> marks_;
  std::vector<int32_t> free_marks_;
  std::vector<Entry> beam_;
  std::vector<Candidate> candidates_;
  PairMap by_key_;
  std::vector<int32_t> tokens_;  // of a frame, that may extend a prefix
  std::vector<Pending> pending_;
  std::vector<std::vector<float>> scores_;  // by node
};

}  // namespace recurra
