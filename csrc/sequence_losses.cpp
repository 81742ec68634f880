// The transducer's loss from Python: arrays checked by shape and type, then the functions of csrc/transducer.hpp.
#include "sequence_losses.hpp"

#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <cstdint>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>

#include "transducer.hpp"

namespace nb = nanobind;

namespace recurra {
namespace {

template <class T, int dimensions>
using Array = nb::ndarray<T, nb::ndim<dimensions>, nb::c_contig, nb::device::cpu>;
typedef Array<const int64_t, 1> Integers;

TransducerTable table_of(const std::string& instruction_set) {
#if defined(__x86_64__)
  if (instruction_set == "avx2") return avx2::transducer_table();
  if (instruction_set == "avx512") return avx512::transducer_table();
#endif
  return baseline::transducer_table();
}

// The threads that a call may use, and what runs them.
struct Machine {
  std::string instruction_set;
  int64_t threads;
  uintptr_t parallel;

  TransducerTable table() const { return table_of(instruction_set); }
  Parallel runner() const { return reinterpret_cast<Parallel>(parallel); }
};

void expect(bool holds, const char* what) {
  if (!holds) throw std::invalid_argument(what);
}

template <class T>
TransducerRows rows_of(const Machine& machine, int64_t blank, const std::optional<Integers>& index,
                       const Integers& labels, const Array<const T, 2>& logits, const Array<T, 1>& normalizers) {
  TransducerRows call{};
  call.rows = static_cast<int64_t>(labels.shape(0));
  call.vocabulary = static_cast<int64_t>(logits.shape(1));
  call.blank = blank;
  call.threads = machine.threads;
  call.index = index ? index->data() : nullptr;
  call.labels = labels.data();
  call.logits = logits.data();
  call.normalizers = normalizers.data();
  expect(blank >= 0 && blank < call.vocabulary, "blank is not a symbol");
  expect(index ? index->shape(0) == labels.shape(0) : logits.shape(0) == labels.shape(0), "index: one for each cell");
  expect(normalizers.shape(0) == labels.shape(0), "normalizers: one for each cell");
  for (int64_t k = 0; k < call.rows; ++k) {
    expect(call.labels[k] >= -1 && call.labels[k] < call.vocabulary, "labels: -1 to V - 1");
    expect(!call.index || (call.index[k] >= 0 && call.index[k] < static_cast<int64_t>(logits.shape(0))),
           "index: a row of the logits");
  }
  return call;
}

template <class T>
void forward(const Machine& machine, int64_t blank, const std::optional<Integers>& index, const Integers& labels,
             const Array<const T, 2>& logits, const Array<double, 2>& pairs, const Array<T, 1>& normalizers) {
  TransducerRows call = rows_of<T>(machine, blank, index, labels, logits, normalizers);
  expect(pairs.shape(0) == labels.shape(0) && pairs.shape(1) == 2, "pairs: (R, 2)");
  call.pairs = pairs.data();
  const nb::gil_scoped_release released;
  (sizeof(T) == 8 ? machine.table().forward64 : machine.table().forward32)(&call, machine.runner());
}

template <class T>
void backward(const Machine& machine, int64_t blank, const std::optional<Integers>& index, const Integers& labels,
              const Array<const T, 2>& logits, const Array<T, 1>& normalizers, const Array<const double, 2>& d_pairs,
              const Array<T, 2>& d_logits) {
  TransducerRows call = rows_of<T>(machine, blank, index, labels, logits, normalizers);
  expect(d_pairs.shape(0) == labels.shape(0) && d_pairs.shape(1) == 2, "d_pairs: (R, 2)");
  expect(d_logits.shape(0) == logits.shape(0) && d_logits.shape(1) == logits.shape(1), "d_logits: as logits");
  call.d_pairs = d_pairs.data();
  call.d_logits = d_logits.data();
  const nb::gil_scoped_release released;
  (sizeof(T) == 8 ? machine.table().backward64 : machine.table().backward32)(&call, machine.runner());
}

void lattices(const Machine& machine, const Integers& frames, const Integers& labels,
              const Array<const double, 2>& pairs, const Array<double, 1>& losses,
              const std::optional<Array<double, 2>>& d_pairs) {
  TransducerLattices call{};
  call.batch = static_cast<int64_t>(frames.shape(0));
  call.threads = machine.threads;
  call.frames = frames.data();
  call.labels = labels.data();
  call.pairs = pairs.data();
  call.losses = losses.data();
  call.d_pairs = d_pairs ? d_pairs->data() : nullptr;
  expect(labels.shape(0) == frames.shape(0) && losses.shape(0) == frames.shape(0), "one of each for each utterance");
  int64_t cells = 0;
  for (int64_t b = 0; b < call.batch; ++b) {
    expect(call.frames[b] >= 0 && call.labels[b] >= 0, "lengths: 0 or more");
    cells += call.frames[b] * (call.labels[b] + 1);
  }
  expect(static_cast<int64_t>(pairs.shape(0)) == cells && pairs.shape(1) == 2, "pairs: (N, 2)");
  expect(!d_pairs || (d_pairs->shape(0) == pairs.shape(0) && d_pairs->shape(1) == 2), "d_pairs: as pairs");
  const nb::gil_scoped_release released;
  if (machine.table().lattices(&call, machine.runner()) != 0) throw std::bad_alloc();
}

template <class T>
void add_rows(nb::module_& module) {
  module.def("transducer_forward", &forward<T>, nb::arg("machine"), nb::arg("blank"), nb::arg("index").none(),
             nb::arg("labels"), nb::arg("logits"), nb::arg("pairs"), nb::arg("normalizers"));
  module.def("transducer_backward", &backward<T>, nb::arg("machine"), nb::arg("blank"), nb::arg("index").none(),
             nb::arg("labels"), nb::arg("logits"), nb::arg("normalizers"), nb::arg("d_pairs"), nb::arg("d_logits"));
}

}  // namespace

void add_sequence_losses(nb::module_& module) {
  nb::class_<Machine>(module, "LossMachine", "The instruction set, threads and runner of threads of a loss.")
      .def(
          "__init__",
          [](Machine* machine, std::string instruction_set, int64_t threads, uintptr_t parallel) {
            new (machine) Machine{std::move(instruction_set), threads, parallel};
          },
          nb::arg("instruction_set"), nb::arg("threads"), nb::arg("parallel"));
  add_rows<float>(module);
  add_rows<double>(module);
  module.def("transducer_lattices", &lattices, nb::arg("machine"), nb::arg("frames"), nb::arg("labels"),
             nb::arg("pairs"), nb::arg("losses"), nb::arg("d_pairs").none());
}

}  // namespace recurra
