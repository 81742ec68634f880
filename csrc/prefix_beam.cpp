#include "prefix_beam.hpp"

#include <algorithm>
#include <numeric>

namespace recurra {
namespace {

double log_add(double a, double b) {
  const double high = a > b ? a : b, low = a > b ? b : a;
  return low == -infinity ? high : high + std::log1p(std::exp(low - high));
}

}  // namespace

PrefixBeam::PrefixBeam(std::shared_ptr<const BeamRules> rules, const BeamOptions& options)
    : rules_(std::move(rules)), options_(options), V_(static_cast<int64_t>(rules_->texts.size())) {
  Context context{NgramScorer::root, Spelling::root, Spelling::root, Phrases::root, false, 0};
  if (rules_->ngram && rules_->begin_word >= 0) context.ngram = rules_->ngram->after(rules_->begin_word);
  double none = 0;
  if (rules_->has_words) context.phrase = rules_->phrases.step(context.phrase, " ", &none);
  nodes_.push_back({-1, -1, 0, 1, false, context});
  scores_.emplace_back();
  Entry empty{0, 0, -infinity, {}, {}};
  empty.by_blank.score = 0;
  beam_.push_back(empty);
  if (rules_->fusion_weight != 0) pending_.push_back({0, -1, -1});
}

int64_t PrefixBeam::advance(const float* log_probs, int64_t frames) {
  int64_t t = 0;
  for (; t < frames && pending_.empty(); ++t) read(log_probs + t * V_);
  return t;
}

void PrefixBeam::supply(const float* scores) {
  for (const Pending& each : pending_) {
    scores_[size_t(each.node)].assign(scores, scores + V_ + 1);
    nodes_[size_t(each.node)].scored = true;
    scores += V_ + 1;
  }
  pending_.clear();
}

void PrefixBeam::read(const float* log_probs) {
  candidates_.clear();
  by_key_.clear();
  add_stays(log_probs);
  add_extensions(log_probs);
  select();
  ++frame_;
}

// Every prefix stays by a blank, or by its last token once more.
void PrefixBeam::add_stays(const float* log_probs) {
  for (const Entry& entry : beam_) {
    const Node& node = nodes_[size_t(entry.node)];
    Candidate c{entry.node, node.parent, node.token, node.context};
    const double blank = log_probs[rules_->blank];
    c.blank = log_add(entry.blank, entry.label) + blank;
    c.by_blank = best_path(entry);
    c.by_blank.score += blank;
    if (node.token >= 0) {
      const double again = log_probs[node.token];
      c.label = entry.label + again;
      c.by_label = entry.by_label;
      c.by_label.score += again;
      c.by_label.last.end = frame_ + 1;
      if (again > c.by_label.last.log_prob) {
        c.by_label.last.log_prob = again;
        c.by_label.last.peak = frame_;
      }
    }
    by_key_.insert(node.parent, node.token, static_cast<int32_t>(candidates_.size()));
    candidates_.push_back(c);
  }
}

void PrefixBeam::add_extensions(const float* log_probs) {
  const double most = *std::max_element(log_probs, log_probs + V_);
  tokens_.clear();
  for (int32_t v = 0; v < V_; ++v)
    if (v != rules_->blank && log_probs[v] > -infinity && log_probs[v] >= most - options_.token_threshold)
      tokens_.push_back(v);
  for (size_t i = 0; i < beam_.size(); ++i) {
    const Entry& entry = beam_[i];
    const int32_t last = nodes_[size_t(entry.node)].token;
    const double total = log_add(entry.blank, entry.label);
    for (const int32_t v : tokens_) {
      // The same token twice needs a blank between.
      const double before = v == last ? entry.blank : total;
      if (before == -infinity) continue;
      const int32_t at = candidate_for(entry, v);
      if (at < 0) continue;
      Candidate& c = candidates_[size_t(at)];
      c.label = log_add(c.label, before + log_probs[v]);
      const bool by_blank = v == last || entry.by_blank.score > entry.by_label.score;
      const double score = (by_blank ? entry.by_blank : entry.by_label).score + log_probs[v];
      if (score > c.by_label.score) {
        c.by_label.score = score;
        c.by_label.before = -1;
        c.by_label.last = {v, frame_, frame_ + 1, frame_, log_probs[v]};
        c.by_label.fresh = static_cast<int32_t>(2 * i + (by_blank ? 0 : 1));
      }
    }
  }
}

// The candidate for an entry's prefix and one token more; -1 if the rules forbid it.
int32_t PrefixBeam::candidate_for(const Entry& entry, int32_t token) {
  int32_t at = by_key_.find(entry.node, token);
  if (at >= 0) return at;
  Candidate c{children_.find(entry.node, token), entry.node, token, nodes_[size_t(entry.node)].context};
  if (c.node >= 0)
    c.context = nodes_[size_t(c.node)].context;
  else if (!extend(c.context, token, entry.node))
    return -1;
  at = static_cast<int32_t>(candidates_.size());
  by_key_.insert(entry.node, token, at);
  candidates_.push_back(c);
  return at;
}

void PrefixBeam::select() {
  double most = -infinity;
  for (Candidate& c : candidates_) {
    c.score = log_add(c.blank, c.label) + fused(c.context);
    most = std::max(most, c.score);
  }
  std::vector<int32_t> chosen(candidates_.size());
  std::iota(chosen.begin(), chosen.end(), 0);
  const auto better = [this](int32_t a, int32_t b) {
    const double left = candidates_[size_t(a)].score, right = candidates_[size_t(b)].score;
    return left > right || (left == right && a < b);
  };
  const size_t size = std::min(chosen.size(), size_t(options_.beam_size));
  std::partial_sort(chosen.begin(), chosen.begin() + std::ptrdiff_t(size), chosen.end(), better);
  chosen.resize(size);
  // One prefix stays, whatever it scores.
  while (chosen.size() > 1 && !(candidates_[size_t(chosen.back())].score >= most - options_.beam_threshold &&
                                candidates_[size_t(chosen.back())].score > -infinity))
    chosen.pop_back();
  std::vector<int32_t> marks(2 * beam_.size(), -1);
  std::vector<Entry> next;
  next.reserve(chosen.size());
  for (const int32_t at : chosen) {
    Candidate& c = candidates_[size_t(at)];
    settle(c.by_blank, marks);
    settle(c.by_label, marks);
    next.push_back(keep(c));
  }
  for (const Entry& entry : beam_) {
    release(entry.node);
    release_mark(entry.by_blank.before);
    release_mark(entry.by_label.before);
  }
  beam_ = std::move(next);
  if (rules_->fusion_weight == 0) return;
  for (const Entry& entry : beam_) {
    const Node& node = nodes_[size_t(entry.node)];
    if (!node.scored) pending_.push_back({entry.node, node.parent, node.token});
  }
}

// A path that stays: one whose last token is new gets a mark for the token before.
void PrefixBeam::settle(Path& path, std::vector<int32_t>& marks) {
  if (path.fresh >= 0) {
    int32_t& made = marks[size_t(path.fresh)];
    if (made < 0) {
      const Entry& entry = beam_[size_t(path.fresh / 2)];
      made = mark(path.fresh % 2 ? entry.by_label : entry.by_blank);
    }
    path.before = made;
    path.fresh = -1;
  }
  if (path.before >= 0) ++marks_[size_t(path.before)].users;
}

PrefixBeam::Entry PrefixBeam::keep(Candidate& c) {
  if (c.node < 0) {
    if (free_nodes_.empty()) {
      c.node = static_cast<int32_t>(nodes_.size());
      nodes_.emplace_back();
      scores_.emplace_back();
    } else {
      c.node = free_nodes_.back();
      free_nodes_.pop_back();
    }
    nodes_[size_t(c.node)] = {c.parent, c.token, nodes_[size_t(c.parent)].depth + 1, 0, false, c.context};
    children_.insert(c.parent, c.token, c.node);
    use(c.parent);
  }
  use(c.node);
  return {c.node, c.blank, c.label, c.by_blank, c.by_label};
}

void PrefixBeam::release(int32_t node) {
  while (node >= 0 && --nodes_[size_t(node)].users == 0) {
    const int32_t parent = nodes_[size_t(node)].parent;
    children_.erase(parent, nodes_[size_t(node)].token);
    free_nodes_.push_back(node);
    if (rules_->fusion_weight != 0) freed_.push_back(node);
    node = parent;
  }
}

// The mark of a path's last token, without a user yet; -1 for a path without tokens.
int32_t PrefixBeam::mark(const Path& path) {
  if (path.last.token < 0) return -1;
  int32_t made;
  if (free_marks_.empty()) {
    made = static_cast<int32_t>(marks_.size());
    marks_.emplace_back();
  } else {
    made = free_marks_.back();
    free_marks_.pop_back();
  }
  marks_[size_t(made)] = {path.last, path.before, 0};
  if (path.before >= 0) ++marks_[size_t(path.before)].users;
  return made;
}

void PrefixBeam::release_mark(int32_t mark) {
  while (mark >= 0 && --marks_[size_t(mark)].users == 0) {
    free_marks_.push_back(mark);
    mark = marks_[size_t(mark)].before;
  }
}

bool PrefixBeam::extend(Context& context, int32_t token, int32_t node) const {
  const BeamRules& rules = *rules_;
  if (rules.fusion_weight != 0) context.settled += rules.fusion_weight * double(scores_[size_t(node)][size_t(token)]);
  if (!rules.token_words.empty()) {
    score_word(context, rules.token_words[size_t(token)]);
    context.settled += rules.bonus;
  }
  const std::string& text = rules.texts[size_t(token)];
  if (token == rules.separator || rules.begins[size_t(token)]) {
    if (!end_word(context)) return false;
  }
  if (token == rules.separator || text.empty()) return true;
  context.in_word = true;
  if (rules.vocabulary) context.word = rules.vocabulary->step(context.word, text);
  if (rules.lexicon) context.lexicon = rules.lexicon->step(context.lexicon, text);
  context.phrase = rules.phrases.step(context.phrase, text, &context.settled);
  return context.lexicon >= 0;
}

// A word ends, unless none has begun; false if the lexicon has it not.
bool PrefixBeam::end_word(Context& context) const {
  const BeamRules& rules = *rules_;
  if (!context.in_word) return true;
  if (rules.lexicon && rules.lexicon->id(context.lexicon) < 0) return false;
  if (rules.token_words.empty()) {
    if (rules.ngram) score_word(context, rules.vocabulary->id(context.word));
    context.settled += rules.bonus;
  }
  if (rules.has_words) context.phrase = rules.phrases.step(context.phrase, " ", &context.settled);
  context.word = context.lexicon = Spelling::root;
  context.in_word = false;
  return true;
}

void PrefixBeam::score_word(Context& context, int32_t word) const {
  const BeamRules& rules = *rules_;
  if (word < 0) word = rules.unknown_word;
  double log_prob = -infinity;
  int32_t after = NgramScorer::root;
  if (word >= 0) log_prob = rules.ngram->score(context.ngram, word, &after);
  if (log_prob == -infinity) log_prob = rules.unknown_log_prob;
  context.ngram = after;
  context.settled += rules.ngram_weight * log_prob;
}

// The end of the text.
bool PrefixBeam::close(Context& context, int32_t node) const {
  const BeamRules& rules = *rules_;
  if (rules.has_words || rules.token_words.empty()) {
    if (!end_word(context)) return false;
  }
  if (rules.ngram && rules.end_word >= 0) {
    int32_t after;
    const double log_prob = rules.ngram->score(context.ngram, rules.end_word, &after);
    if (log_prob > -infinity) context.settled += rules.ngram_weight * log_prob;
  }
  if (rules.fusion_weight != 0 && !scores_[size_t(node)].empty())
    context.settled += rules.fusion_weight * double(scores_[size_t(node)].back());
  context.phrase = Phrases::root;
  return true;
}

std::vector<BeamHypothesis> PrefixBeam::best(int64_t n, bool over) const {
  std::vector<BeamHypothesis> all;
  std::vector<std::pair<double, size_t>> order;
  for (size_t i = 0; i < beam_.size(); ++i) {
    Context context = nodes_[size_t(beam_[i].node)].context;
    if (over && !close(context, beam_[i].node)) continue;
    order.emplace_back(log_add(beam_[i].blank, beam_[i].label) + fused(context), i);
  }
  std::stable_sort(order.begin(), order.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  if (int64_t(order.size()) > n) order.resize(size_t(n));
  for (const auto& [score, i] : order) {
    const Entry& entry = beam_[i];
    BeamHypothesis one{{}, log_add(entry.blank, entry.label), score};
    const Path& path = best_path(entry);
    if (path.last.token >= 0) one.tokens.push_back(path.last);
    for (int32_t at = path.before; at >= 0; at = marks_[size_t(at)].before)
      one.tokens.push_back(marks_[size_t(at)].time);
    std::reverse(one.tokens.begin(), one.tokens.end());
    all.push_back(std::move(one));
  }
  return all;
}

int64_t PrefixBeam::agreed() const {
  int32_t shared = beam_.front().node;
  for (const Entry& entry : beam_) {
    int32_t other = entry.node;
    while (shared != other) {
      int32_t& deeper = nodes_[size_t(shared)].depth >= nodes_[size_t(other)].depth ? shared : other;
      deeper = nodes_[size_t(deeper)].parent;
    }
  }
  return nodes_[size_t(shared)].depth;
}

}  // namespace recurra
