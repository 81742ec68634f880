// Vectors of floats or doubles, and exp, tanh and sigmoid on them.
//
// A vector is the compiler's own extension type, so one source serves every width. Errors in units in the last place,
// measured over all floats of the range (tests/kernels/test_vector_math.py): see each function.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

// Each instruction set compiles this file anew: its own namespace keeps the linker from merging what differs.
#ifndef RECURRA_ISA
#define RECURRA_ISA baseline
#endif
#ifndef RECURRA_VECTOR_BYTES
#define RECURRA_VECTOR_BYTES 16
#endif

namespace recurra {
namespace RECURRA_ISA {

template <class T>
struct Vectors;
template <>
struct Vectors<float> {
  static constexpr int width = RECURRA_VECTOR_BYTES / 4;
  typedef float type __attribute__((vector_size(RECURRA_VECTOR_BYTES)));
  typedef int32_t bits __attribute__((vector_size(RECURRA_VECTOR_BYTES)));
};
template <>
struct Vectors<double> {
  static constexpr int width = RECURRA_VECTOR_BYTES / 8;
  typedef double type __attribute__((vector_size(RECURRA_VECTOR_BYTES)));
  typedef int64_t bits __attribute__((vector_size(RECURRA_VECTOR_BYTES)));
};

template <class V>
struct Scalar {
  typedef typename std::remove_reference<decltype(std::declval<V&>()[0])>::type type;
};

// x in every lane. Written as a difference so that it compiles to one broadcast.
template <class V>
static inline V splat(typename Scalar<V>::type x) {
  return x - V{};
}

template <class V>
static inline V load(const typename Scalar<V>::type* from) {
  V v;
  std::memcpy(&v, from, sizeof(V));
  return v;
}

template <class V>
static inline void store(typename Scalar<V>::type* to, V v) {
  std::memcpy(to, &v, sizeof(V));
}

// The first `count` lanes, the others zero.
template <class V>
static inline V load_part(const typename Scalar<V>::type* from, int64_t count) {
  V v{};
  std::memcpy(&v, from, count * sizeof(v[0]));
  return v;
}

template <class V>
static inline void store_part(typename Scalar<V>::type* to, V v, int64_t count) {
  std::memcpy(to, &v, count * sizeof(v[0]));
}

template <class T>
struct ExpConstants;
template <>
struct ExpConstants<float> {
  static constexpr int terms = 7, mantissa = 23, bias = 127;
  static constexpr float round = 0x1.8p23f, limit = 87.0f;
  // ln 2 as a sum whose first part has few bits, so that its multiples are exact.
  static constexpr float ln2_high = 0x1.62e4p-1f, ln2_low = 0x1.7f7d1cp-20f;
};
template <>
struct ExpConstants<double> {
  static constexpr int terms = 13, mantissa = 52, bias = 1023;
  static constexpr double round = 0x1.8p52, limit = 708.0;
  static constexpr double ln2_high = 0x1.62e42fee00000p-1, ln2_low = 0x1.a39ef35793c76p-33;
};

// exp(x) = 2^n (1 + p): n and p = exp(r) - 1 for the remainder r, |r| <= ln 2 / 2. Limited to |x| <= limit.
template <class V>
struct ExpParts {
  V power, p;
};

template <class V>
static inline ExpParts<V> exp_parts(V x) {
  typedef typename Scalar<V>::type T;
  typedef typename Vectors<T>::bits I;
  typedef ExpConstants<T> C;
  const V high = splat<V>(C::limit), low = splat<V>(-C::limit);
  // Written so that NaN passes through.
  x = x > high ? high : x;
  x = x < low ? low : x;
  const V n = (x * T(1.44269504088896340736) + C::round) - C::round;
  V r = x - n * C::ln2_high;
  r = r - n * C::ln2_low;
  // Taylor's series of (exp(r) - 1 - r) / r^2, whose remainder is below half a unit in the last place of p.
  V q = splat<V>(T(1));
  for (int k = C::terms; k > 2; --k) q = q * r * T(1.0 / k) + T(1);
  const V p = r + r * r * T(0.5) * q;
  I bits = (__builtin_convertvector(n, I) + C::bias) << C::mantissa;
  V power;
  std::memcpy(&power, &bits, sizeof(V));
  return {power, p};
}

// At most 2 ULP for |x| <= limit (87 for float, 708 for double); beyond it infinity or zero.
template <class V>
static inline V vector_exp(V x) {
  typedef typename Scalar<V>::type T;
  const ExpParts<V> e = exp_parts(x);
  V result = e.power + e.power * e.p;
  result = x > splat<V>(ExpConstants<T>::limit) ? splat<V>(T(__builtin_inf())) : result;
  return x < splat<V>(-ExpConstants<T>::limit) ? V{} : result;
}

// At most 3 ULP for x >= -87 (float) or -708 (double); zero below, where the truth is below 2e-38.
template <class V>
static inline V vector_sigmoid(V x) {
  typedef typename Scalar<V>::type T;
  return T(1) / (T(1) + vector_exp(-x));
}

// At most 3 ULP for all floats: from exp(2x) - 1, which keeps its precision near zero.
template <class V>
static inline V vector_tanh(V x) {
  typedef typename Scalar<V>::type T;
  const V far = splat<V>(T(20));
  V y = x > far ? far : x;
  y = y < -far ? -far : y;
  const ExpParts<V> e = exp_parts(y + y);
  const V minus_one = e.power * e.p + (e.power - T(1));
  return minus_one / (minus_one + T(2));
}

template <class V>
static inline V vector_relu(V x) {
  return x > V{} ? x : (x != x ? x : V{});
}

template <class V>
static inline V vector_absolute(V x) {
  return x < V{} ? -x : x;
}

template <class V>
static inline V vector_maximum(V a, V b) {
  return a != a ? a : ((a < b) | (b != b)) ? b : a;
}

template <class V>
static inline V vector_minimum(V a, V b) {
  return a != a ? a : ((a > b) | (b != b)) ? b : a;
}

template <class V, class F>
static inline V by_lane(V x, F f) {
  for (unsigned k = 0; k < sizeof(V) / sizeof(x[0]); ++k) x[k] = f(x[k]);
  return x;
}

template <class V>
static inline V vector_sqrt(V x) {
  return by_lane(x, [](auto a) { return std::sqrt(a); });
}

template <class V>
static inline V vector_log(V x) {
  return by_lane(x, [](auto a) { return std::log(a); });
}

// log(1 + exp(x)), as torch has it: x itself beyond 20.
template <class V>
static inline V vector_softplus(V x) {
  return by_lane(x, [](auto a) { return a > 20 ? a : std::log1p(std::exp(a)); });
}

}  // namespace RECURRA_ISA
}  // namespace recurra
