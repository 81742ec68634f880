#pragma once

#include <string>
#include <vector>

namespace recurra {

// The vector instruction sets that this processor and its operating system offer, widest last.
std::vector<std::string> instruction_sets();

// Who made this processor: "intel", "amd", or "other".
std::string processor_vendor();

}  // namespace recurra
