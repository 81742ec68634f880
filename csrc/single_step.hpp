#pragma once

#include <nanobind/nanobind.h>

namespace recurra {

// Adds the class `SingleStep` to the module.
void add_single_step(nanobind::module_& module);

}  // namespace recurra
