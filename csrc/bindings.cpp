#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "instruction_sets.hpp"

NB_MODULE(_native, module) {
  module.doc() = "Recurra's compiled kernels.";
  module.def("instruction_sets", &recurra::instruction_sets,
             "The vector instruction sets that this processor offers, widest last.");
}
