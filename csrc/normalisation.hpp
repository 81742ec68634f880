// Layer normalisation of a row's projections, gate by gate over all units.
#pragma once

#include <cmath>

#include "rows.hpp"

namespace recurra {
namespace RECURRA_ISA {

// The projection of one row for the update, in panels or gate by gate.
template <class T, int G>
struct Projection {
  typedef typename Vectors<T>::type V;
  static constexpr int W = Vectors<T>::width;

  const T* from;
  int64_t stride;  // from gate to gate
  bool in_panels;
  // Results of the normalisation, or null if they are not wanted.
  const T *scale = nullptr, *shift = nullptr;
  T* normed = nullptr;
  T mean[G], inverse[G];

  Projection(const T* from, int64_t stride, bool in_panels) : from(from), stride(stride), in_panels(in_panels) {}

  // Two passes over the row, which is in the first-level cache: a mean far from zero costs no digits of the variance.
  void normalise(const Blocks& blocks, int64_t H, double epsilon, const void* scale, const void* shift, T* normed,
                 T* deviation) {
    this->scale = static_cast<const T*>(scale), this->shift = static_cast<const T*>(shift), this->normed = normed;
    V sum[G] = {}, squares[G] = {};
    by_block<W>(blocks, G, [&](auto whole, int64_t at, int64_t unit, int64_t count) {
      for (int g = 0; g < G; ++g) sum[g] += raw<whole.value>(g, at, unit, count);
    });
    for (int g = 0; g < G; ++g) mean[g] = lane_sum(sum[g]) / T(H);
    by_block<W>(blocks, G, [&](auto whole, int64_t at, int64_t unit, int64_t count) {
      for (int g = 0; g < G; ++g) {
        const V d = raw<whole.value>(g, at, unit, count) - mean[g];
        squares[g] += whole.value ? d * d : first_lanes(d * d, count);
      }
    });
    for (int g = 0; g < G; ++g) inverse[g] = T(1) / std::sqrt(lane_sum(squares[g]) / T(H) + T(epsilon));
    if (deviation) std::memcpy(deviation, inverse, sizeof(inverse));
  }

  // All gates of some units, which lie at `at` in panels.
  template <bool whole>
  void read(V* to, int64_t H, int64_t at, int64_t unit, int64_t count) const {
    for (int g = 0; g < G; ++g) to[g] = raw<whole>(g, at, unit, count);
    if (!scale) return;
    for (int g = 0; g < G; ++g) to[g] = (to[g] - mean[g]) * inverse[g];
    if (normed)
      for (int g = 0; g < G; ++g) put<V, whole>(normed + g * H + unit, to[g], count);
    for (int g = 0; g < G; ++g) to[g] *= get<V, whole>(scale + g * H + unit, count);
    if (shift)
      for (int g = 0; g < G; ++g) to[g] += get<V, whole>(shift + g * H + unit, count);
  }

 private:
  template <bool whole>
  V raw(int g, int64_t at, int64_t unit, int64_t count) const {
    return get<V, whole>(from + (in_panels ? at : unit) + g * stride, count);
  }
};

// Back through it: a row of gradients from that of the result to that of what was normalised, and their part in the
// gradient of the scale.
template <class T, int G>
static void denormalise_row(T* gradient, const T* normed, const T* deviation, const T* scale, int64_t H, T* d_scale) {
  typedef typename Vectors<T>::type V;
  constexpr int W = Vectors<T>::width;
  V total[G] = {}, along[G] = {};
  by_vector<W>(0, H, [&](auto whole, int64_t unit, int64_t count) {
    constexpr bool w = whole.value;
    for (int g = 0; g < G; ++g) {
      const int64_t k = g * H + unit;
      const V d = get<V, w>(gradient + k, count), x = get<V, w>(normed + k, count);
      const V scaled = d * get<V, w>(scale + k, count);
      put<V, w>(d_scale + k, get<V, w>(d_scale + k, count) + d * x, count);
      // Rounded here, as in the sum: of few units the difference from the mean is next to nothing.
      put<V, w>(gradient + k, scaled, count);
      total[g] += scaled;
      along[g] += scaled * x;
    }
  });
  for (int g = 0; g < G; ++g) {
    const T mean = lane_sum(total[g]) / T(H), slope = lane_sum(along[g]) / T(H), inverse = deviation[g];
    by_vector<W>(g * H, (g + 1) * H, [&](auto whole, int64_t k, int64_t count) {
      constexpr bool w = whole.value;
      const V d = get<V, w>(gradient + k, count) - mean - slope * get<V, w>(normed + k, count);
      put<V, w>(gradient + k, d * inverse, count);
    });
  }
}

}  // namespace RECURRA_ISA
}  // namespace recurra
