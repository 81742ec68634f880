// One step of a layer in training or inference, and back through it: one call from Python each, which takes addresses.
#include "single_step.hpp"

#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cstring>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "instruction_sets.hpp"

namespace recurra {
namespace {

namespace nb = nanobind;

typedef std::vector<uintptr_t> Addresses;

template <class T>
T* at(uintptr_t address) {
  return reinterpret_cast<T*>(address);
}

class SingleStep {
 public:
  // `call` is a record with all that does not depend on the sequence, of a dense cell without a projected output.
  SingleStep(const nb::bytes& call, int64_t gates, int64_t features, uintptr_t weight_ih, uintptr_t forward,
             uintptr_t backward, const std::string& instruction_set, int bits, uintptr_t parallel)
      : gates(gates),
        bytes(bits / 8),
        weight_ih(weight_ih),
        run_forward(at<int(const Call*, Parallel)>(forward)),
        run_backward(at<int(const Call*, Parallel)>(backward)),
        multiply(bits == 64 ? large_products(instruction_set).of64 : large_products(instruction_set).of32),
        parallel(at<void(Task, void*, int64_t)>(parallel)) {
    if (call.size() != sizeof(Call)) throw std::invalid_argument("not the bytes of a call record");
    std::memcpy(static_cast<void*>(&prepared), call.data(), sizeof(Call));
    prepared.steps = 1;
    prepared.features = features;
  }

  // With u, x is the input projection, else the inputs.
  void forward(int64_t batch, int64_t threads, uintptr_t x, uintptr_t u, uintptr_t output, uintptr_t saved,
               const Addresses& initial, const Addresses& final_state) const {
    Call c = prepared;
    c.batch = batch, c.threads = threads;
    if (u) {
      c.x = at<void>(x), c.u = at<void>(u), c.weight = nullptr;
    } else {
      c.inputs = at<void>(x), c.weight_ih = at<void>(weight_ih);
    }
    c.output = at<void>(output), c.saved = at<void>(saved);
    for (size_t k = 0; k < initial.size(); ++k) {
      c.initial[k] = at<void>(initial[k]), c.final_state[k] = at<void>(final_state[k]);
    }
    check(run_forward(&c, parallel));
  }

  // Addresses of 0: d_output and d_final that are zero, and results that are not wanted. `work` has room for both
  // projections' gradients and for the state's, of all rows.
  void backward(int64_t batch, int64_t threads, bool shares, uintptr_t inputs, uintptr_t weight_ih, uintptr_t weight_hh,
                uintptr_t saved, uintptr_t d_output, uintptr_t work, uintptr_t d_inputs, uintptr_t d_weight_ih,
                uintptr_t d_weight_hh, uintptr_t d_bias_ih, uintptr_t d_bias_hh, const Addresses& initial,
                const Addresses& d_final, const Addresses& d_initial) const {
    const int64_t rows = gates * prepared.hidden, hidden = prepared.hidden, features = prepared.features;
    const uintptr_t d_x = work, d_u = shares ? d_x : d_x + batch * rows * bytes;
    uintptr_t rest = d_u + batch * rows * bytes;
    Call c = prepared;
    c.batch = batch, c.threads = threads;
    c.saved = at<void>(saved), c.d_output = at<void>(d_output);
    // Of a single step only the initial state's gradient goes through the recurrent weights.
    c.weight = d_initial[0] ? at<void>(weight_hh) : nullptr;
    for (size_t k = 0; k < initial.size(); ++k, rest += batch * hidden * bytes) {
      c.initial[k] = at<void>(initial[k]), c.d_final[k] = at<void>(d_final[k]);
      c.d_initial[k] = at<void>(d_initial[k] ? d_initial[k] : rest);
    }
    c.d_x = at<void>(d_x), c.d_bias_x = at<void>(d_bias_ih);
    if (shares) {
      if (!d_bias_ih) c.d_bias_x = at<void>(d_bias_hh);
    } else {
      c.d_u = at<void>(d_u), c.d_bias = at<void>(d_bias_hh);
    }
    check(run_backward(&c, parallel));
    if (shares && d_bias_ih && d_bias_hh) std::memcpy(at<void>(d_bias_hh), at<void>(d_bias_ih), rows * bytes);
    if (d_inputs) product(threads, batch, features, rows, d_x, rows, 1, weight_ih, d_inputs);
    if (d_weight_ih) product(threads, rows, features, batch, d_x, 1, rows, inputs, d_weight_ih);
    if (d_weight_hh) product(threads, rows, hidden, batch, d_u, 1, rows, initial[0], d_weight_hh);
  }

 private:
  static void check(int failed) {
    if (failed) throw std::bad_alloc();
  }

  void product(int64_t threads, int64_t M, int64_t N, int64_t K, uintptr_t a, int64_t a_row, int64_t a_column,
               uintptr_t b, uintptr_t c) const {
    constexpr int64_t operations_of_a_thread = 2000000;
    const int64_t worthwhile = 2 * M * N * K / operations_of_a_thread + 1;
    const LargeProductCall call{M,           N,     K,        worthwhile < threads ? worthwhile : threads,
                                at<void>(a), a_row, a_column, at<void>(b),
                                N,           1,     nullptr,  at<void>(c)};
    check(multiply(&call, parallel));
  }

  Call prepared;
  const int64_t gates, bytes;
  const uintptr_t weight_ih;
  const Entry run_forward, run_backward;
  const LargeProductEntry multiply;
  const Parallel parallel;
};

}  // namespace

void add_single_step(nb::module_& module) {
  using release = nb::call_guard<nb::gil_scoped_release>;
  nb::class_<SingleStep>(module, "SingleStep", "One step of a layer, and back through it; see csrc/single_step.cpp.")
      .def(nb::init<const nb::bytes&, int64_t, int64_t, uintptr_t, uintptr_t, uintptr_t, const std::string&, int,
                    uintptr_t>())
      .def("forward", &SingleStep::forward, release())
      .def("backward", &SingleStep::backward, release());
}

}  // namespace recurra
