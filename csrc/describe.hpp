// A plan in words. No header of the engine includes this: it needs the standard library's strings.
#pragma once

#include <string>

#include "plan.hpp"

namespace recurra {
namespace RECURRA_ISA {

inline std::string describe(const Plan& plan) {
  return std::string(plan.fused ? "fused" : "projected before") + (plan.unpacked ? ", unpacked" : ", packed") +
         (plan.whole_rows ? ", whole rows, " : ", block by block, ") + std::to_string(plan.threads) + " threads by " +
         (plan.divides_units ? "units" : "rows");
}

}  // namespace RECURRA_ISA
}  // namespace recurra
