// The compiled cells of one instruction set.
#pragma once

#include "call.hpp"
#include "large_product.hpp"

namespace recurra {

struct CellEntries {
  const char* digest;  // of its generated source
  Entry forward32, backward32, forward64, backward64;
  StepEntry update, modulate;
  PrepareEntry prepare;
  int prepared;  // Q
};

struct EntryTable {
  const CellEntries* cells;
  int count;
};

typedef int (*LargeProductEntry)(const LargeProductCall* call, Parallel parallel);

// A large product of float32 and of float64.
struct LargeProductEntries {
  LargeProductEntry of32, of64;
};

namespace baseline {
EntryTable entries();
LargeProductEntries large_products();
}  // namespace baseline
namespace avx2 {
EntryTable entries();
LargeProductEntries large_products();
}  // namespace avx2
namespace avx512 {
EntryTable entries();
LargeProductEntries large_products();
}  // namespace avx512

}  // namespace recurra
