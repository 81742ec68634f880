#pragma once

#include <string>
#include <vector>

#include "entries.hpp"

namespace recurra {

// The vector instruction sets that this processor and its operating system offer, widest last.
std::vector<std::string> instruction_sets();

// Who made this processor: "intel", "amd", or "other".
std::string processor_vendor();

// The large products compiled for an instruction set.
LargeProductEntries large_products(const std::string& instruction_set);

}  // namespace recurra
