// Threads that wait for each other: after packing, and at every step where they divide the units.
#pragma once

#include <sched.h>

#include <cstdint>

#include "vector.hpp"

namespace recurra {
namespace RECURRA_ISA {

// All n threads arrive before one continues. A thread spins for a moment and then yields its core, because another
// thread may be waiting for one.
struct Barrier {
  alignas(64) int64_t arrived = 0;

  // `round` is each thread's own count of the times that it was here, from 0.
  void wait(int64_t n, int64_t& round) {
    const int64_t all = ++round * n;
    if (n == 1) return;
    __atomic_add_fetch(&arrived, 1, __ATOMIC_ACQ_REL);
    for (int spins = 0; __atomic_load_n(&arrived, __ATOMIC_ACQUIRE) < all; ++spins) {
      if (spins < 4096) {
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
      } else {
        sched_yield();
      }
    }
  }
};

}  // namespace RECURRA_ISA
}  // namespace recurra
