#pragma once

namespace recurra {

// INFINITY is a float, whose conversion linters report.
constexpr double infinity = __builtin_inf();

}  // namespace recurra
