// Words by their bytes, and phrases wherever they stand in a text.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "pair_map.hpp"

namespace recurra {

// A tree of spelled words.
class Spelling {
 public:
  static constexpr int32_t root = 0;

  void add(const std::string& word, int32_t id) {
    int32_t node = root;
    for (const char c : word) {
      int32_t child = children_.find(node, byte(c));
      if (child < 0) {
        child = static_cast<int32_t>(ids_.size());
        ids_.push_back(-1);
        children_.insert(node, byte(c), child);
      }
      node = child;
    }
    ids_[size_t(node)] = id;
  }

  // The node after more bytes; -1 if no word begins so.
  int32_t step(int32_t node, const std::string& bytes) const {
    for (size_t k = 0; k < bytes.size() && node >= 0; ++k) node = children_.find(node, byte(bytes[k]));
    return node;
  }

  // The word that ends at a node, -1 if none does.
  int32_t id(int32_t node) const { return node < 0 ? -1 : ids_[size_t(node)]; }

 private:
  static int32_t byte(char c) { return static_cast<unsigned char>(c); }

  std::vector<int32_t> ids_ = {-1};
  PairMap children_;
};

// The automaton of Aho and Corasick (1975) over phrases with weights. A phrase counts once it is complete; what has
// been read of one counts in proportion until then, so that a search does not lose it.
class Phrases {
 public:
  static constexpr int32_t root = 0;

  void add(const std::string& phrase, double weight) {
    int32_t node = root;
    for (size_t k = 0; k < phrase.size(); ++k) {
      int32_t child = children_.find(node, byte(phrase[k]));
      if (child < 0) {
        child = static_cast<int32_t>(nodes_.size());
        nodes_.emplace_back();
        children_.insert(node, byte(phrase[k]), child);
        edges_.push_back({node, byte(phrase[k]), child, k});
      }
      double& promise = nodes_[size_t(node)].promise;
      promise = std::max(promise, weight * double(k) / double(phrase.size()));
      node = child;
    }
    nodes_[size_t(node)].weight += weight;
  }

  // After the last phrase: the links to the longest suffix that begins a phrase, parents before children.
  void finish() {
    std::stable_sort(edges_.begin(), edges_.end(), [](const Edge& a, const Edge& b) { return a.depth < b.depth; });
    for (const Edge& edge : edges_) {
      Node& node = nodes_[size_t(edge.to)];
      node.suffix = edge.from == root ? root : follow(nodes_[size_t(edge.from)].suffix, edge.byte);
      node.weight += nodes_[size_t(node.suffix)].weight;
      node.promise = std::max(node.promise, nodes_[size_t(node.suffix)].promise);
    }
  }

  bool empty() const { return edges_.empty(); }

  // The node after more bytes; the weights of the phrases that end on the way are added to `complete`.
  int32_t step(int32_t node, const std::string& bytes, double* complete) const {
    if (edges_.empty()) return root;
    for (const char c : bytes) {
      node = follow(node, byte(c));
      *complete += nodes_[size_t(node)].weight;
    }
    return node;
  }

  // What the incomplete phrases at a node count.
  double promise(int32_t node) const { return nodes_[size_t(node)].promise; }

 private:
  struct Node {
    int32_t suffix = root;
    double weight = 0, promise = 0;
  };
  struct Edge {
    int32_t from, byte, to;
    size_t depth;
  };

  static int32_t byte(char c) { return static_cast<unsigned char>(c); }

  int32_t follow(int32_t node, int32_t byte) const {
    for (;; node = nodes_[size_t(node)].suffix) {
      const int32_t child = children_.find(node, byte);
      if (child >= 0) return child;
      if (node == root) return root;
    }
  }

  std::vector<Node> nodes_ = {Node{}};
  std::vector<Edge> edges_;
  PairMap children_;
};

}  // namespace recurra
