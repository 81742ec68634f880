// A hash map from pairs of numbers, such as a node of a tree and a symbol, to a number of at least 0.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace recurra {

class PairMap {
 public:
  PairMap() : slots_(16) {}

  // The value of a key, -1 if there is none.
  int32_t find(int32_t first, int32_t second) const {
    const uint64_t key = join(first, second);
    for (size_t at = place(key); slots_[at].value != empty; at = (at + 1) & (slots_.size() - 1))
      if (slots_[at].key == key) return slots_[at].value;
    return -1;
  }

  // Set the value of a key that is new.
  void insert(int32_t first, int32_t second, int32_t value) {
    if (2 * (count_ + 1) > slots_.size()) grow();
    put(join(first, second), value);
    ++count_;
  }

  void erase(int32_t first, int32_t second) {
    const uint64_t key = join(first, second);
    size_t hole = place(key);
    while (slots_[hole].value == empty || slots_[hole].key != key) {
      if (slots_[hole].value == empty) return;
      hole = next(hole);
    }
    // What follows moves up, unless its own place lies between the hole and it.
    for (size_t at = next(hole); slots_[at].value != empty; at = next(at)) {
      const size_t home = place(slots_[at].key);
      if (((at - home) & (slots_.size() - 1)) < ((at - hole) & (slots_.size() - 1))) continue;
      slots_[hole] = slots_[at];
      hole = at;
    }
    slots_[hole].value = empty;
    --count_;
  }

  void clear() {
    if (count_ == 0) return;
    slots_.assign(slots_.size(), Slot{});
    count_ = 0;
  }

 private:
  static constexpr int32_t empty = -1;
  struct Slot {
    uint64_t key = 0;
    int32_t value = empty;
  };

  static uint64_t join(int32_t first, int32_t second) { return uint64_t(uint32_t(first)) << 32 | uint32_t(second); }
  size_t place(uint64_t key) const {
    key *= 0x9e3779b97f4a7c15u;
    return static_cast<size_t>(key ^ key >> 32) & (slots_.size() - 1);
  }
  size_t next(size_t at) const { return (at + 1) & (slots_.size() - 1); }

  void put(uint64_t key, int32_t value) {
    size_t at = place(key);
    while (slots_[at].value != empty) at = next(at);
    slots_[at] = {key, value};
  }

  void grow() {
    std::vector<Slot> before(2 * slots_.size());
    before.swap(slots_);
    for (const Slot& slot : before)
      if (slot.value != empty) put(slot.key, slot.value);
  }

  std::vector<Slot> slots_;
  size_t count_ = 0;
};

}  // namespace recurra
