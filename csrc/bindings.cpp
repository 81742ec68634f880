#include <nanobind/nanobind.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <new>
#include <string>
#include <tuple>
#include <vector>

#include "decoding.hpp"
#include "describe.hpp"
#include "entries.hpp"
#include "headers.generated.hpp"
#include "instruction_sets.hpp"
#include "parallel.hpp"
#include "sequence_losses.hpp"
#include "single_step.hpp"
#include "stepper.hpp"

namespace {

// Forward and backward functions, float32 and then float64; update, modulate and prepare of a step; prepared values.
typedef std::tuple<uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, int> Addresses;

template <class F>
uintptr_t address(F* function) {
  return reinterpret_cast<uintptr_t>(function);
}

std::map<std::string, Addresses> entries(const std::string& instruction_set) {
  recurra::EntryTable table{nullptr, 0};
  if (instruction_set == "baseline") table = recurra::baseline::entries();
#if defined(__x86_64__)
  if (instruction_set == "avx2") table = recurra::avx2::entries();
  if (instruction_set == "avx512") table = recurra::avx512::entries();
#endif
  std::map<std::string, Addresses> addresses;
  for (int k = 0; k < table.count; ++k) {
    const recurra::CellEntries& cell = table.cells[k];
    addresses[cell.digest] = {
        address(cell.forward32), address(cell.backward32), address(cell.forward64), address(cell.backward64),
        address(cell.update),    address(cell.modulate),   address(cell.prepare),   cell.prepared};
  }
  return addresses;
}

typedef std::tuple<uintptr_t, int64_t, int64_t> Strided;

// C = A B + bias at these addresses; raises MemoryError.
void large_product(const std::string& instruction_set, int bits, int64_t threads,
                   const std::tuple<int64_t, int64_t, int64_t>& sizes, const Strided& a, const Strided& b,
                   uintptr_t bias, uintptr_t c, uintptr_t parallel) {
  const auto pointer = [](uintptr_t at) { return reinterpret_cast<void*>(at); };
  const recurra::LargeProductCall call{
      std::get<0>(sizes),      std::get<1>(sizes), std::get<2>(sizes), threads,
      pointer(std::get<0>(a)), std::get<1>(a),     std::get<2>(a),     pointer(std::get<0>(b)),
      std::get<1>(b),          std::get<2>(b),     pointer(bias),      pointer(c)};
  const recurra::LargeProductEntries entries = recurra::large_products(instruction_set);
  if ((bits == 64 ? entries.of64 : entries.of32)(&call, reinterpret_cast<recurra::Parallel>(parallel)) != 0)
    throw std::bad_alloc();
}

typedef std::tuple<std::string, size_t, size_t> Field;

// Name, offset and size of each field of a `Call`, in order, for the comparison with Python's declaration.
std::vector<Field> call_layout() {
  std::vector<Field> fields;
#define RECURRA_FIELD(name) fields.emplace_back(#name, offsetof(recurra::Call, name), sizeof(recurra::Call::name));
  RECURRA_CALL_FIELDS(RECURRA_FIELD)
#undef RECURRA_FIELD
  return fields;
}

#define RECURRA_SIZE(name) +sizeof(recurra::Call::name)
static_assert(sizeof(recurra::Call) == 0 RECURRA_CALL_FIELDS(RECURRA_SIZE), "RECURRA_CALL_FIELDS names every field");
#undef RECURRA_SIZE

recurra::baseline::Plan plan_forward(uintptr_t call, int gates, int second_stage, int lanes) {
  // nanobind has no pointer to a ctypes structure, only its address.
  const auto* record = reinterpret_cast<const recurra::Call*>(call);
  return recurra::baseline::plan_forward({gates, second_stage, recurra::baseline::vectors_of_block(gates) * lanes},
                                         *record);
}

}  // namespace

NB_MODULE(_native, module) {
  module.doc() = "Recurra's compiled kernels.";
  module.def("instruction_sets", &recurra::instruction_sets,
             "The vector instruction sets that this processor offers, widest last.");
  module.def("entries", &entries,
             "Addresses of a cell's forward and backward functions (float32, then float64) and of its step's update, "
             "modulate and prepare, and the number of prepared values, by the digest of its source, compiled for an "
             "instruction set; empty if it is not compiled.");
  module.def(
      "large_product", &large_product, nanobind::call_guard<nanobind::gil_scoped_release>(),
      "Write the product of two matrices, and a bias unless its address is 0: the instruction set, the bits of a "
      "number, the threads, the sizes (M, N, K), address and strides of A and of B, the addresses of the bias, "
      "of the result, and of the function that runs threads.");
  module.def("processor_vendor", &recurra::processor_vendor, "Who made this processor: intel, amd, or other.");
  module.attr("source_digest") = recurra::source_digest;
  module.def("call_layout", &call_layout, "Name, offset and size in bytes of each field of a call record, in order.");
  using recurra::Nonlinearity;
  module.attr("nonlinearities") = std::map<std::string, int64_t>{
      {"identity", static_cast<int64_t>(Nonlinearity::identity)},
      {"tanh", static_cast<int64_t>(Nonlinearity::tanh)},
      {"sigmoid", static_cast<int64_t>(Nonlinearity::sigmoid)},
      {"relu", static_cast<int64_t>(Nonlinearity::relu)},
  };
  using recurra::baseline::Plan;
  nanobind::class_<Plan>(module, "Plan", "How the forward pass goes about a call; see csrc/plan.hpp.")
      .def_ro("fused", &Plan::fused)
      .def_ro("unpacked", &Plan::unpacked)
      .def_ro("whole_rows", &Plan::whole_rows)
      .def_ro("divides_units", &Plan::divides_units)
      .def_ro("threads", &Plan::threads)
      .def("__repr__", &recurra::baseline::describe);
  module.def(
      "plan_forward", &plan_forward,
      "The plan for the call record at an address, a cell's gates and second-stage gates, and the lanes of a vector.");
  module.def(
      "headers", []() { return recurra::headers(); }, "The engine's header files, by name.");
  module.def(
      "parallel", []() { return address(recurra::run_parallel); },
      "Address of the function that runs tasks on threads.");
  module.def(
      "run_both",
      [](uintptr_t entry, uintptr_t first, uintptr_t second) {
        const auto call = [](uintptr_t at) { return reinterpret_cast<const recurra::Call*>(at); };
        if (recurra::run_both(reinterpret_cast<recurra::Entry>(entry), call(first), call(second)) != 0)
          throw std::bad_alloc();
      },
      nanobind::call_guard<nanobind::gil_scoped_release>(),
      "Run a cell's function, by its address, on the call records at two addresses at the same time, each on one "
      "thread.");
  module.def(
      "use_openmp",
      [](uintptr_t parallel, uintptr_t thread_number, uintptr_t thread_count) {
        recurra::use_openmp(reinterpret_cast<void*>(parallel), reinterpret_cast<void*>(thread_number),
                            reinterpret_cast<void*>(thread_count));
      },
      "Use the OpenMP runtime with these entry points (GOMP_parallel, omp_get_thread_num, omp_get_num_threads).");
  recurra::add_single_step(module);
  recurra::add_stepper(module);
  recurra::add_sequence_losses(module);
  recurra::add_decoding(module);
}
