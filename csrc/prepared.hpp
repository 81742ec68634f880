// What follows from the per-unit parameters alone, computed once for all steps.
#pragma once

#include "rows.hpp"

namespace recurra {
namespace RECURRA_ISA {

constexpr int at_least(int n) { return n > 0 ? n : 1; }

template <class Cell, class T>
struct Prepared {
  typedef typename Vectors<T>::type V;
  static constexpr int W = Vectors<T>::width, P = Cell::per_unit, Q = Cell::prepared;

  const T* parameters;  // (P, H)
  const int64_t H;
  Buffer<T> values;  // (Q, H)

  explicit Prepared(const Call& call)
      : parameters(static_cast<const T*>(call.per_unit)), H(call.hidden), values(Q * H) {
    if constexpr (Q > 0)
      by_vector<W>(0, H, [&](auto whole, int64_t unit, int64_t count) {
        V p[P], ready[Q];
        for (int k = 0; k < P; ++k) p[k] = get<V, whole.value>(parameters + k * H + unit, count);
        Cell::prepare(p, ready);
        for (int k = 0; k < Q; ++k) put<V, whole.value>(values.data + k * H + unit, ready[k], count);
      });
  }

  template <bool whole>
  void load_at(int64_t unit, int64_t count, V* p) const {
    for (int k = 0; k < Q; ++k) p[k] = get<V, whole>(values.data + k * H + unit, count);
  }

  // The gradients of the parameters (P, H) from those of the values (Q, H).
  void pull_back(const T* d_values, T* d_parameters) const {
    if constexpr (Q > 0)
      by_vector<W>(0, H, [&](auto whole, int64_t unit, int64_t count) {
        V p[P], d[Q], dp[P];
        for (int k = 0; k < P; ++k) p[k] = get<V, whole.value>(parameters + k * H + unit, count);
        for (int k = 0; k < Q; ++k) d[k] = get<V, whole.value>(d_values + k * H + unit, count);
        Cell::prepare_backward(p, d, dp);
        for (int k = 0; k < P; ++k) put<V, whole.value>(d_parameters + k * H + unit, dp[k], count);
      });
    else if (d_parameters)
      std::memset(d_parameters, 0, P * H * sizeof(T));
  }
};

}  // namespace RECURRA_ISA
}  // namespace recurra
