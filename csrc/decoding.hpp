#pragma once

#include <nanobind/nanobind.h>

namespace recurra {

// Adds the classes of CTC's beam search and n-grams, and the function that aligns, to the module.
void add_decoding(nanobind::module_& module);

}  // namespace recurra
