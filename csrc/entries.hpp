// The compiled cells of one instruction set.
#pragma once

#include "call.hpp"

namespace recurra {

struct CellEntries {
  const char* digest;  // of its generated source
  Entry forward32, backward32, forward64, backward64;
};

struct EntryTable {
  const CellEntries* cells;
  int count;
};

namespace baseline {
EntryTable entries();
}
namespace avx2 {
EntryTable entries();
}
namespace avx512 {
EntryTable entries();
}

}  // namespace recurra
