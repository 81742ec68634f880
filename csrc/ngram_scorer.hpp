// A back-off n-gram language model (Katz 1987) as a tree: a node for each n-gram, with a link to its longest proper
// suffix. A state is the node of the longest context that the model has.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "infinity.hpp"
#include "pair_map.hpp"

namespace recurra {

class NgramScorer {
 public:
  static constexpr int32_t root = 0;

  explicit NgramScorer(int32_t order) : order_(order), nodes_(1) {}

  // Add an n-gram with natural logarithms; shorter ones first.
  void add(const int32_t* words, int32_t length, float log_prob, float backoff) {
    int32_t node = root;
    for (int32_t k = 0; k < length; ++k) {
      int32_t child = children_.find(node, words[k]);
      if (child < 0) {
        child = static_cast<int32_t>(nodes_.size());
        Node made;
        made.length = k + 1;
        made.suffix = suffix_of(node, words[k]);
        nodes_.push_back(made);
        children_.insert(node, words[k], child);
      }
      node = child;
    }
    nodes_[size_t(node)].log_prob = log_prob;
    nodes_[size_t(node)].backoff = backoff;
  }

  // The state after a word that begins a text, such as <s>.
  int32_t after(int32_t word) const {
    const int32_t child = children_.find(root, word);
    return child < 0 ? root : context(child);
  }

  // log p(word | state), and the state after; minus infinity for a word that the model has not.
  double score(int32_t state, int32_t word, int32_t* after) const {
    double total = 0;
    int32_t longest = -1;
    for (int32_t node = state;; node = nodes_[size_t(node)].suffix) {
      const int32_t child = children_.find(node, word);
      if (child >= 0 && longest < 0) longest = child;
      if (child >= 0 && !std::isnan(nodes_[size_t(child)].log_prob)) {
        *after = context(longest);
        return total + nodes_[size_t(child)].log_prob;
      }
      if (node == root) break;
      total += nodes_[size_t(node)].backoff;
    }
    *after = root;
    return -infinity;
  }

 private:
  struct Node {
    float log_prob = NAN, backoff = 0;  // no probability of its own: only longer n-grams have it
    int32_t suffix = root, length = 0;
  };

  // A context is shorter than the order.
  int32_t context(int32_t node) const {
    return nodes_[size_t(node)].length < order_ ? node : nodes_[size_t(node)].suffix;
  }

  int32_t suffix_of(int32_t parent, int32_t word) const {
    while (parent != root) {
      parent = nodes_[size_t(parent)].suffix;
      const int32_t child = children_.find(parent, word);
      if (child >= 0) return child;
    }
    return root;
  }

  int32_t order_;
  std::vector<Node> nodes_;
  PairMap children_;
};

}  // namespace recurra
