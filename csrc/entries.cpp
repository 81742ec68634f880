// Compiled once for each instruction set, with RECURRA_ISA and RECURRA_VECTOR_BYTES set.
#include "entries.hpp"

#include "cells.generated.hpp"
#include "engine.hpp"
#include "step_cell.hpp"

namespace recurra {
namespace RECURRA_ISA {

EntryTable entries() {
#define RECURRA_ENTRY(Name, text)  \
  {text,                           \
   Engine<Name, float>::forward,   \
   Engine<Name, float>::backward,  \
   Engine<Name, double>::forward,  \
   Engine<Name, double>::backward, \
   StepCell<Name>::update,         \
   StepCell<Name>::modulate,       \
   StepCell<Name>::prepare,        \
   Name::prepared},
  static const CellEntries cells[] = {RECURRA_CELLS(RECURRA_ENTRY)};
#undef RECURRA_ENTRY
  return {cells, static_cast<int>(sizeof(cells) / sizeof(cells[0]))};
}

LargeProductEntries large_products() { return {LargeProduct<float>::call, LargeProduct<double>::call}; }

}  // namespace RECURRA_ISA
}  // namespace recurra
