#pragma once

#include <nanobind/nanobind.h>

namespace recurra {

// Adds the functions of the transducer's loss to the module.
void add_sequence_losses(nanobind::module_& module);

}  // namespace recurra
