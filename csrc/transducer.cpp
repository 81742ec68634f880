// Compiled once for each instruction set, with RECURRA_ISA and RECURRA_VECTOR_BYTES set.
//
// The lattice is stored by anti-diagonals t + u, whose cells do not depend on each other: they are vectors. Its sums
// run in float64 over logarithms. Probabilities do not serve, even scaled ones: before training, the path that emits
// every label can be less probable than the one that emits none by any factor.
#include "transducer.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <memory>
#include <new>
#include <vector>

#include "infinity.hpp"
#include "subnormal.hpp"
#include "vector.hpp"

namespace recurra {
namespace RECURRA_ISA {
namespace {

template <class T>
struct Rows {
  typedef typename Vectors<T>::type V;
  static constexpr int W = Vectors<T>::width;

  const TransducerRows& c;

  int64_t row(int64_t k) const { return c.index ? c.index[k] : k; }

  static T largest(const T* x, int64_t count) {
    V wide = splat<V>(T(-infinity));
    int64_t v = 0;
    for (; v + W <= count; v += W) {
      const V next = load<V>(x + v);
      wide = next > wide ? next : wide;
    }
    T best = T(-infinity);
    for (int k = 0; k < W; ++k) best = wide[k] > best ? wide[k] : best;
    for (; v < count; ++v) best = x[v] > best ? x[v] : best;
    return best;
  }

  static T sum_exp(const T* x, int64_t count, T shift) {
    V wide{};
    int64_t v = 0;
    for (; v + W <= count; v += W) wide += vector_exp(load<V>(x + v) - shift);
    if (v < count) wide += first_lanes(vector_exp(load_part<V>(x + v, count - v) - shift), count - v);
    T sum = 0;
    for (int k = 0; k < W; ++k) sum += wide[k];
    return sum;
  }

  void forward(int64_t begin, int64_t end) const {
    T* normalizers = static_cast<T*>(c.normalizers);
    for (int64_t k = begin; k < end; ++k) {
      const T* x = static_cast<const T*>(c.logits) + row(k) * c.vocabulary;
      const int64_t label = c.labels[k];
      const T shift = largest(x, c.vocabulary);
      double* pair = c.pairs + 2 * k;
      if (shift == T(-infinity)) {
        // All are impossible, or there is none but what is not a number.
        const bool defined = std::all_of(x, x + c.vocabulary, [](T value) { return value == value; });
        normalizers[k] = shift;
        pair[0] = pair[1] = defined ? -infinity : __builtin_nan("");
        continue;
      }
      const double log_sum = std::log(double(sum_exp(x, c.vocabulary, shift)));
      normalizers[k] = T(double(shift) + log_sum);
      pair[0] = double(x[c.blank]) - double(shift) - log_sum;
      pair[1] = label < 0 ? -infinity : double(x[label]) - double(shift) - log_sum;
    }
  }

  void backward(int64_t begin, int64_t end) const {
    const T* normalizers = static_cast<const T*>(c.normalizers);
    for (int64_t k = begin; k < end; ++k) {
      const int64_t at = row(k) * c.vocabulary, label = c.labels[k];
      const T* x = static_cast<const T*>(c.logits) + at;
      T* d = static_cast<T*>(c.d_logits) + at;
      const T blank = T(c.d_pairs[2 * k]), other = label < 0 ? T(0) : T(c.d_pairs[2 * k + 1]);
      const T total = blank + other;
      // A cell that no path passes has no gradient, whatever its logits are.
      if (total == 0 && blank == 0) {
        std::fill_n(d, c.vocabulary, T(0));
        continue;
      }
      const T shift = normalizers[k];
      int64_t v = 0;
      for (; v + W <= c.vocabulary; v += W) store<V>(d + v, vector_exp(load<V>(x + v) - shift) * -total);
      if (v < c.vocabulary) {
        const int64_t count = c.vocabulary - v;
        store_part<V>(d + v, vector_exp(load_part<V>(x + v, count) - shift) * -total, count);
      }
      d[c.blank] += blank;
      if (label >= 0) d[label] += other;
    }
  }

  static void forward_task(void* context, int64_t k, int64_t n) noexcept {
    const WithoutSubnormals within;
    const Rows& rows = *static_cast<const Rows*>(context);
    rows.forward(rows.c.rows * k / n, rows.c.rows * (k + 1) / n);
  }

  static void backward_task(void* context, int64_t k, int64_t n) noexcept {
    const WithoutSubnormals within;
    const Rows& rows = *static_cast<const Rows*>(context);
    rows.backward(rows.c.rows * k / n, rows.c.rows * (k + 1) / n);
  }

  int64_t threads() const {
    const int64_t worthwhile = c.rows * c.vocabulary / 20000 + 1;
    return std::max<int64_t>(1, std::min({c.threads, worthwhile, c.rows}));
  }

  static void run_forward(const TransducerRows* call, Parallel parallel) {
    Rows rows{*call};
    parallel(forward_task, &rows, rows.threads());
  }

  static void run_backward(const TransducerRows* call, Parallel parallel) {
    Rows rows{*call};
    parallel(backward_task, &rows, rows.threads());
  }
};

typedef Vectors<double>::type V;
constexpr int64_t W = Vectors<double>::width;

// log(exp(a) + exp(b)); NaN if either is.
V log_add(V a, V b) {
  const V high = a > b ? a : b, low = a > b ? b : a;
  const V sum = high + vector_softplus(low - high);
  return low == splat<V>(-infinity) ? high : sum;
}

// The lattice of one utterance by anti-diagonals; a row of each array has a cell for each number of labels, with
// impossible cells before and behind.
class Lattice {
 public:
  static int64_t stride(int64_t labels) { return (labels + W) / W * W + W; }
  // Values of scratch memory.
  static int64_t size(int64_t frames, int64_t labels) { return 3 * (frames + labels + 1) * stride(labels) + 2 * W; }

  Lattice(const double* pairs, int64_t frames, int64_t labels, double* scratch)
      : T_(frames), U_(labels), S_(stride(labels)), diagonals_(frames + labels) {
    std::fill_n(scratch, size(frames, labels), -infinity);
    const int64_t rows = (diagonals_ + 1) * S_;
    alpha_ = scratch + W;
    blank_ = alpha_ + rows;
    label_ = blank_ + rows;
    for (int64_t t = 0; t < T_; ++t)
      for (int64_t u = 0; u <= U_; ++u, pairs += 2) {
        blank_[(t + u) * S_ + u] = pairs[0];
        if (u < U_) label_[(t + u) * S_ + u] = pairs[1];
      }
  }

  double loss() {
    alpha_[0] = 0;
    for (int64_t d = 1; d < diagonals_; ++d) {
      const double *before = alpha_ + (d - 1) * S_, *blank = blank_ + (d - 1) * S_, *label = label_ + (d - 1) * S_;
      double* now = alpha_ + d * S_;
      for (int64_t u = 0; u <= U_; u += W)
        store<V>(now + u,
                 log_add(load<V>(before + u) + load<V>(blank + u), load<V>(before + u - 1) + load<V>(label + u - 1)));
    }
    const int64_t last = (diagonals_ - 1) * S_ + U_;
    log_likelihood_ = alpha_[last] + blank_[last];
    return -log_likelihood_;
  }

  // After `loss`: the gradient of the loss by each pair.
  void gradient(double* d_pairs) {
    if (log_likelihood_ == -infinity) {
      std::fill_n(d_pairs, 2 * T_ * (U_ + 1), 0.0);
      return;
    }
    // The backward variables of a diagonal take the place of the forward variables of the one behind it.
    double* after = alpha_ + diagonals_ * S_;
    after[U_] = 0;
    for (int64_t d = diagonals_ - 1; d >= 0; --d, after -= S_) {
      double *now = alpha_ + d * S_, *blank = blank_ + d * S_, *label = label_ + d * S_;
      for (int64_t u = 0; u <= U_; u += W) {
        const V by_blank = load<V>(blank + u) + load<V>(after + u);
        const V by_label = load<V>(label + u) + load<V>(after + u + 1);
        const V reached = load<V>(now + u) - log_likelihood_;
        store<V>(blank + u, -vector_exp(reached + by_blank));
        store<V>(label + u, -vector_exp(reached + by_label));
        store<V>(now + u, log_add(by_blank, by_label));
      }
    }
    for (int64_t t = 0; t < T_; ++t)
      for (int64_t u = 0; u <= U_; ++u, d_pairs += 2) {
        d_pairs[0] = blank_[(t + u) * S_ + u];
        d_pairs[1] = u < U_ ? label_[(t + u) * S_ + u] : 0;
      }
  }

 private:
  int64_t T_, U_, S_, diagonals_;
  double *alpha_, *blank_, *label_;
  double log_likelihood_ = 0;
};

struct LatticeJob {
  const TransducerLattices& c;
  std::vector<int64_t> offsets;       // of each utterance's first cell
  std::unique_ptr<double[]> scratch;  // for each thread
  int64_t size;
  std::atomic<int64_t> next;  // utterance: they differ in length, so each thread takes one after another

  void run(int64_t b, double* memory) const {
    const int64_t T = c.frames[b], U = c.labels[b], at = 2 * offsets[static_cast<size_t>(b)];
    if (T == 0) {
      c.losses[b] = U == 0 ? 0 : infinity;
      return;
    }
    Lattice lattice(c.pairs + at, T, U, memory);
    c.losses[b] = lattice.loss();
    if (c.d_pairs) lattice.gradient(c.d_pairs + at);
  }

  static void task(void* context, int64_t k, int64_t) noexcept {
    const WithoutSubnormals within;
    LatticeJob& job = *static_cast<LatticeJob*>(context);
    for (int64_t b = job.next++; b < job.c.batch; b = job.next++) job.run(b, job.scratch.get() + k * job.size);
  }
};

int lattices(const TransducerLattices* call, Parallel parallel) {
  try {
    LatticeJob job{*call, {}, nullptr, 0, {0}};
    int64_t cells = 0;
    for (int64_t b = 0; b < call->batch; ++b) {
      job.offsets.push_back(cells);
      cells += call->frames[b] * (call->labels[b] + 1);
      job.size = std::max(job.size, Lattice::size(call->frames[b], call->labels[b]));
    }
    const int64_t threads = std::max<int64_t>(1, std::min({call->threads, call->batch, cells / 4000 + 1}));
    job.scratch.reset(new double[static_cast<size_t>(threads * job.size)]);
    parallel(LatticeJob::task, &job, threads);
    return 0;
  } catch (const std::bad_alloc&) {
    return 1;
  }
}

}  // namespace

TransducerTable transducer_table() {
  return {Rows<float>::run_forward, Rows<double>::run_forward, Rows<float>::run_backward, Rows<double>::run_backward,
          lattices};
}

}  // namespace RECURRA_ISA
}  // namespace recurra
