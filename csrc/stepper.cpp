// Streams from Python: a model's step, called with arrays, and the state between its steps.
//
// A small model's step takes about a tenth of a microsecond. Therefore arguments are read here through the buffer
// protocol; whatever is not a plain array of the right type is left to the Python class.
#include "stepper.hpp"

#include <nanobind/ndarray.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "parallel.hpp"
#include "step_call.hpp"
#include "zero_blocks.hpp"

namespace nb = nanobind;

namespace recurra {
namespace {

typedef nb::ndarray<const float, nb::c_contig, nb::device::cpu> Floats;
typedef std::tuple<int64_t, int64_t> Pair;

StepTable table_of(const std::string& instruction_set) {
#if defined(__x86_64__)
  if (instruction_set == "avx2") return avx2::step_table();
  if (instruction_set == "avx512") return avx512::step_table();
#endif
  return baseline::step_table();
}

// Floats aligned to cache lines.
class Memory {
 public:
  Memory() = default;
  explicit Memory(size_t count) { reserve(count); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() { std::free(data_); }

  float* data() const { return data_; }
  // At least `count` floats, whose values are lost when it grows.
  float* reserve(size_t count) {
    if (count > count_ || !data_) {
      std::free(data_);
      count_ = 0;
      data_ = static_cast<float*>(std::aligned_alloc(64, (std::max<size_t>(count, 1) * sizeof(float) + 63) / 64 * 64));
      if (!data_) throw std::bad_alloc();
      count_ = count;
    }
    return data_;
  }

 private:
  float* data_ = nullptr;
  size_t count_ = 0;
};

// The states of the sequences of a batch, (rows, size), and of which model they are.
class State {
 public:
  State(std::string model, int64_t rows, int64_t size) : model(std::move(model)), rows(rows), size(size) {
    values_.reserve(static_cast<size_t>(rows * size));
    std::fill_n(values_.data(), rows * size, 0.0f);
  }

  float* data() const { return values_.data(); }

  const std::string model;
  const int64_t rows, size;

 private:
  Memory values_;
};

class Program {
 public:
  Program(const std::string& instruction_set, std::string model, int64_t input_size, int64_t state_size,
          int64_t output_size, int64_t frame_size, int64_t vocabulary, int64_t threads)
      : model(std::move(model)), vocabulary(vocabulary), threads(threads), table_(table_of(instruction_set)) {
    program_.input_size = input_size;
    program_.state_size = state_size;
    program_.output_size = output_size;
    program_.frame_size = (frame_size + 15) / 16 * 16;
    program_.reads_ids = vocabulary > 0;
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  ~Program() {
    for (void* weight : weights_) table_.release(weight);
  }

  void add(StepKind kind, const std::vector<Pair>& locations, const std::vector<Pair>& parts, int64_t size,
           int64_t groups, int64_t kv_heads, int64_t window, float number, bool accumulate) {
    StepOperation o{};
    o.kind = kind;
    o.first = location(locations.at(0));
    o.second = location(locations.at(1));
    o.target = location(locations.at(2));
    if (parts.size() > most_parts) throw std::invalid_argument("too many parts of a state");
    for (const Pair& part : parts) o.parts[o.part_count++] = location(part);
    o.size = size;
    o.groups = groups;
    o.kv_heads = kv_heads;
    o.window = window;
    o.number = number;
    o.accumulate = accumulate;
    operations_.push_back(o);
    program_.operations = operations_.data();
    program_.count = static_cast<int64_t>(operations_.size());
    // A memory of matrices reads and writes a row for each of its values.
    const int64_t deep = kind == StepKind::matrix_memory ? size : window;
    work_ += 8 * std::max<int64_t>(size, 1) * std::max<int64_t>(groups, 1) * std::max<int64_t>(deep, 1);
  }

  // The parameters of the operation that was added last: two vectors.
  void set_vectors(const std::optional<Floats>& left, const std::optional<Floats>& right) {
    StepOperation& o = operations_.back();
    if (left) o.left = copy(left->data(), left->size());
    if (right) o.right = copy(right->data(), right->size());
  }

  void set_weight(const Floats& weight, const std::optional<Floats>& bias, int64_t format) {
    const auto rows = static_cast<int64_t>(weight.shape(0)), columns = static_cast<int64_t>(weight.shape(1));
    void* packed = table_.pack(format, weight.data(), bias ? bias->data() : nullptr, rows, columns, &weight_bytes);
    weights_.push_back(packed);
    operations_.back().weight = packed;
    work_ += rows * columns;
    widest_ = std::max(widest_, columns);
  }

  void set_cell(uintptr_t entry, uintptr_t prepare, int64_t prepared, const std::optional<Floats>& per_unit,
                const std::vector<float>& zoneout, bool reads_output) {
    StepOperation& o = operations_.back();
    o.entry = reinterpret_cast<StepEntry>(entry);
    o.reads_output = reads_output;
    std::copy(zoneout.begin(), zoneout.end(), o.zoneout);
    if (per_unit && prepared > 0) {
      vectors_.push_back(std::make_unique<Memory>(static_cast<size_t>(prepared * o.size)));
      reinterpret_cast<PrepareEntry>(prepare)(per_unit->data(), o.size, vectors_.back()->data());
      o.left = vectors_.back()->data();
    }
  }

  void run(const StepRun& whole) const {
    const size_t frame = static_cast<size_t>(table_.rows * (program_.frame_size + (2 * widest_ + 65) / 64 * 16));
    thread_local Memory frames;
    const int64_t groups = (whole.rows + table_.rows - 1) / table_.rows;
    const bool few = !shares_rows || work(whole.rows, whole.steps) < work_of_thread * threads;
    const int64_t n = std::min(threads, few ? groups : whole.rows);
    if (n <= 1) return table_.run(program_, whole, frames.reserve(frame));
    Job job{this, &whole, frames.reserve(frame * static_cast<size_t>(n)), frame};
    run_parallel(run_partition, &job, n);
  }

  int64_t work(int64_t rows, int64_t steps) const { return work_ * rows * steps; }
  int64_t input_size() const { return program_.input_size; }
  int64_t output_size() const { return program_.output_size; }
  int64_t state_size() const { return program_.state_size; }
  bool reads_ids() const { return program_.reads_ids; }

  const std::string model;
  const int64_t vocabulary, threads;
  int64_t weight_bytes = 0;
  // Whether threads share the rows of small batches too. The sums of a row then depend on how many there are.
  bool shares_rows = false;

 private:
  // Operations for which a thread is worth waking.
  static constexpr int64_t work_of_thread = 1000000;

  struct Job {
    const Program* program;
    const StepRun* whole;
    float* frames;
    size_t frame;
  };

  // The rows of a partition, step by step, because the input and the output of a step have all rows.
  static void run_partition(void* context, int64_t k, int64_t n) noexcept {
    const Job& job = *static_cast<const Job*>(context);
    const StepProgram& program = job.program->program_;
    const StepRun& whole = *job.whole;
    const int64_t begin = whole.rows * k / n, end = whole.rows * (k + 1) / n;
    for (int64_t t = 0; t < whole.steps; ++t) {
      const int64_t at = t * whole.rows + begin;
      StepRun part = whole;
      part.input = program.reads_ids ? static_cast<const void*>(static_cast<const int64_t*>(whole.input) + at)
                                     : static_cast<const float*>(whole.input) + at * program.input_size;
      part.state = whole.state + begin * program.state_size;
      part.output = whole.output + at * program.output_size;
      part.steps = 1;
      part.rows = end - begin;
      job.program->table_.run(program, part, job.frames + static_cast<size_t>(k) * job.frame);
    }
  }

  static Location location(const Pair& pair) { return {static_cast<Space>(std::get<0>(pair)), std::get<1>(pair)}; }

  const float* copy(const float* from, size_t count) {
    vectors_.push_back(std::make_unique<Memory>(count));
    std::copy_n(from, count, vectors_.back()->data());
    return vectors_.back()->data();
  }

  StepTable table_;
  StepProgram program_{};
  std::vector<StepOperation> operations_;
  std::vector<void*> weights_;
  std::vector<std::unique_ptr<Memory>> vectors_;
  int64_t work_ = 0, widest_ = 0;
};

// A view of an array's memory, released at the end of the block.
struct View {
  Py_buffer buffer;
  bool held;
  View(PyObject* object, int flags) : held(PyObject_GetBuffer(object, &buffer, flags | PyBUF_FORMAT) == 0) {
    if (!held) PyErr_Clear();
  }
  View(const View&) = delete;
  View& operator=(const View&) = delete;
  ~View() {
    if (held) PyBuffer_Release(&buffer);
  }
  bool has(char format, int64_t bytes) const {
    if (!held || buffer.itemsize != bytes || !buffer.format) return false;
    const char* name = buffer.format[0] == '@' || buffer.format[0] == '=' || buffer.format[0] == '<' ? buffer.format + 1
                                                                                                     : buffer.format;
    return (name[0] == format || (format == 'q' && name[0] == 'l')) && name[1] == '\0';
  }
};

// numpy.empty and numpy.float32, of the interpreter's lifetime.
struct Numpy {
  PyObject *empty, *float32;
  static const Numpy& get() {
    static const Numpy numpy;
    return numpy;
  }

 private:
  Numpy() {
    const nb::module_ module = nb::module_::import_("numpy");
    empty = module.attr("empty").inc_ref().ptr();
    float32 = module.attr("float32").inc_ref().ptr();
  }
};

// The shape of an output: of the input's leading sizes, and the features. No memory is allocated for it.
struct Shape {
  Py_ssize_t sizes[3];
  int count;

  bool fits(const Py_buffer& buffer) const {
    return buffer.ndim == count && std::equal(sizes, sizes + count, buffer.shape);
  }
};

nb::object empty_array(const Shape& shape) {
  const Numpy& numpy = Numpy::get();
  nb::object sizes = nb::steal(PyTuple_New(shape.count));
  for (int k = 0; k < shape.count; ++k) PyTuple_SET_ITEM(sizes.ptr(), k, PyLong_FromSsize_t(shape.sizes[k]));
  PyObject* arguments[] = {sizes.ptr(), numpy.float32};
  PyObject* array = PyObject_Vectorcall(numpy.empty, arguments, 2, nullptr);
  if (!array) throw nb::python_error();
  return nb::steal(array);
}

// The steps and rows of an input of a shape (..., features), whose last size is checked; false if it does not fit.
bool sizes_of(const Py_ssize_t* shape, int dimensions, int64_t features, bool ids, int64_t& steps, int64_t& rows) {
  const int leading = ids ? dimensions : dimensions - 1;
  if (leading < 0 || leading > 2 || (!ids && shape[leading] != features)) return false;
  steps = leading == 2 ? shape[0] : 1;
  rows = leading == 2 ? shape[1] : leading == 1 ? shape[0] : 1;
  return true;
}

// (output, state), or nothing if the arguments are not plain arrays that fit.
nb::object step(const Program& program, nb::handle x, nb::handle state_object, nb::handle out) {
  State* state;
  if (!nb::try_cast<State*>(state_object, state) || !state) return {};
  if (state->size != program.state_size() || state->model != program.model) return {};
  int64_t steps = 1, rows = 1, id = 0;
  Shape shape{};
  StepRun run{};
  std::optional<View> input;
  if (program.reads_ids() && PyLong_CheckExact(x.ptr())) {
    int overflow = 0;
    id = PyLong_AsLongLongAndOverflow(x.ptr(), &overflow);
    if (overflow || id < 0 || id >= program.vocabulary) return {};
    run.input = &id;
  } else {
    input.emplace(x.ptr(), PyBUF_C_CONTIGUOUS);
    const bool ids = program.reads_ids();
    if (!input->has(ids ? 'q' : 'f', ids ? 8 : 4)) return {};
    const Py_buffer& b = input->buffer;
    if (!sizes_of(b.shape, b.ndim, program.input_size(), ids, steps, rows)) return {};
    shape.count = ids ? b.ndim : b.ndim - 1;
    std::copy_n(b.shape, shape.count, shape.sizes);
    if (ids) {
      const auto* values = static_cast<const int64_t*>(b.buf);
      for (int64_t k = 0; k < steps * rows; ++k)
        if (values[k] < 0 || values[k] >= program.vocabulary) return {};
    }
    run.input = b.buf;
  }
  if (rows != state->rows) return {};
  shape.sizes[shape.count++] = program.output_size();
  nb::object result = out.is_none() ? empty_array(shape) : nb::borrow(out);
  const View output(result.ptr(), PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE);
  if (!output.has('f', 4) || !shape.fits(output.buffer)) return {};
  run.state = state->data();
  run.output = static_cast<float*>(output.buffer.buf);
  run.steps = steps;
  run.rows = rows;
  // Other threads of Python may run meanwhile, where that takes longer than to hand the interpreter over.
  constexpr int64_t long_work = 400000;
  if (program.work(rows, steps) > long_work) {
    const nb::gil_scoped_release released;
    program.run(run);
  } else {
    program.run(run);
  }
  return nb::steal(PyTuple_Pack(2, result.ptr(), state_object.ptr()));
}

nb::object call(nb::handle self, nb::handle x, nb::handle state, nb::handle out) {
  nb::object result = step(*nb::inst_ptr<Program>(self), x, state, out);
  return result.is_valid() ? result : self.attr("_general")(x, state, out);
}

}  // namespace

void add_stepper(nb::module_& module) {
  nb::class_<State>(module, "StepState", "The states of a batch of sequences between steps.")
      .def(nb::init<std::string, int64_t, int64_t>(), nb::arg("model"), nb::arg("rows"), nb::arg("size"))
      .def_ro("model", &State::model)
      .def_ro("rows", &State::rows)
      .def_prop_ro(
          "values",
          [](State& state) {
            return nb::ndarray<nb::numpy, float, nb::ndim<2>>(
                state.data(), {static_cast<size_t>(state.rows), static_cast<size_t>(state.size)});
          },
          nb::rv_policy::reference_internal, "A view of the values, (rows, size).");
  nb::class_<Program>(module, "StepProgram", "One step of a model; see csrc/step_call.hpp.")
      .def(nb::init<std::string, std::string, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t>(),
           nb::arg("instruction_set"), nb::arg("model"), nb::arg("input_size"), nb::arg("state_size"),
           nb::arg("output_size"), nb::arg("frame_size"), nb::arg("vocabulary"), nb::arg("threads"))
      .def("_add",
           [](Program& program, int64_t kind, const std::vector<Pair>& locations, const std::vector<Pair>& parts,
              int64_t size, int64_t groups, int64_t kv_heads, int64_t window, float number, bool accumulate) {
             program.add(static_cast<StepKind>(kind), locations, parts, size, groups, kv_heads, window, number,
                         accumulate);
           })
      .def("_set_vectors", &Program::set_vectors, nb::arg("left").none(), nb::arg("right").none())
      .def("_set_weight", &Program::set_weight, nb::arg("weight"), nb::arg("bias").none(), nb::arg("format"))
      .def("_set_cell", &Program::set_cell, nb::arg("entry"), nb::arg("prepare"), nb::arg("prepared"),
           nb::arg("per_unit").none(), nb::arg("zoneout"), nb::arg("reads_output"))
      .def_ro("weight_bytes", &Program::weight_bytes)
      .def_rw("shares_rows", &Program::shares_rows)
      .def("__call__", &call, nb::arg("x"), nb::arg("state").none() = nb::none(), nb::arg("out").none() = nb::none());
  module.def(
      "block_density",
      [](const Floats& weight, double most) {
        return block_density(weight.data(), static_cast<int64_t>(weight.shape(0)),
                             static_cast<int64_t>(weight.shape(1)), most);
      },
      nb::arg("weight"), nb::arg("most"),
      "The fraction of blocks with a value other than zero; 1 as soon as that is more than `most`.");
  std::map<std::string, int64_t> kinds;
#define RECURRA_KIND(name) kinds[#name] = static_cast<int64_t>(StepKind::name);
  RECURRA_STEP_KINDS(RECURRA_KIND)
#undef RECURRA_KIND
  module.attr("step_kinds") = kinds;
}

}  // namespace recurra
