#pragma once

#include <nanobind/nanobind.h>

namespace recurra {

// Adds the classes `StepProgram` and `StepState` to the module.
void add_stepper(nanobind::module_& module);

}  // namespace recurra
