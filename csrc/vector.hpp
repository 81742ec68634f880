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

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

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
  typedef uint32_t unsigned_bits __attribute__((vector_size(RECURRA_VECTOR_BYTES)));
};
template <>
struct Vectors<double> {
  static constexpr int width = RECURRA_VECTOR_BYTES / 8;
  typedef double type __attribute__((vector_size(RECURRA_VECTOR_BYTES)));
  typedef int64_t bits __attribute__((vector_size(RECURRA_VECTOR_BYTES)));
  typedef uint64_t unsigned_bits __attribute__((vector_size(RECURRA_VECTOR_BYTES)));
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

// Zero beyond the first `count` lanes.
template <class V>
static inline V first_lanes(V v, int64_t count) {
  typename Scalar<V>::type lanes[sizeof(V) / sizeof(v[0])];
  store<V>(lanes, v);
  return load_part<V>(lanes, count);
}

template <class T>
struct ExpConstants;
template <>
struct ExpConstants<float> {
  static constexpr int terms = 5, mantissa = 23, bias = 127;
  static constexpr float round = 0x1.8p23f, limit = 87.0f;
  // ln 2 as a sum whose first part has few bits, so that its multiples are exact.
  static constexpr float ln2_high = 0x1.62e4p-1f, ln2_low = 0x1.7f7d1cp-20f;
  // (exp(r) - 1 - r) / r^2 by Chebyshev polynomials for |r| <= ln 2 / 2, lowest power first: within 8e-09 of exp(r).
  static constexpr float series[terms] = {0.500000001f, 0.166665768f, 0.0416664646f, 0.00836320547f, 0.00139336884f};
};
template <>
struct ExpConstants<double> {
  static constexpr int terms = 12, mantissa = 52, bias = 1023;
  static constexpr double round = 0x1.8p52, limit = 708.0;
  static constexpr double ln2_high = 0x1.62e42fee00000p-1, ln2_low = 0x1.a39ef35793c76p-33;
  // Taylor's, 1/2!, 1/3! ..., whose remainder is below half a unit in the last place.
  static constexpr double series[terms] = {1.0 / 2,         1.0 / 6,          1.0 / 24,          1.0 / 120,
                                           1.0 / 720,       1.0 / 5040,       1.0 / 40320,       1.0 / 362880,
                                           1.0 / 3628800.0, 1.0 / 39916800.0, 1.0 / 479001600.0, 1.0 / 6227020800.0};
};

// exp(x) = 2^n (1 + p): n and p = exp(r) - 1 for the remainder r, |r| <= ln 2 / 2. For |x| <= limit.
template <class V>
struct ExpParts {
  V power, p;
};

template <class V>
static inline ExpParts<V> exp_parts(V x) {
  typedef typename Scalar<V>::type T;
  typedef typename Vectors<T>::bits I;
  typedef ExpConstants<T> C;
  const V n = (x * T(1.44269504088896340736) + C::round) - C::round;
  V r = x - n * C::ln2_high;
  r = r - n * C::ln2_low;
  V q = splat<V>(C::series[C::terms - 1]);
#pragma GCC unroll 12
  for (int k = C::terms - 2; k >= 0; --k) q = q * r + C::series[k];
  const V p = r + r * r * q;
  I bits = (__builtin_convertvector(n, I) + C::bias) << C::mantissa;
  V power;
  std::memcpy(&power, &bits, sizeof(V));
  return {power, p};
}

// Limited to |x| <= limit; written so that NaN passes through.
template <class V>
static inline V within(V x, typename Scalar<V>::type limit) {
  const V high = splat<V>(limit), low = splat<V>(-limit);
  x = x > high ? high : x;
  return x < low ? low : x;
}

// 1 / x and a / x for x in 1 to 1e38, within one unit in the last place: where dividing is slow, an estimate and one
// step of Newton's.
template <class V>
static inline V reciprocal(V x) {
#if RECURRA_VECTOR_BYTES == 64 && defined(__AVX512F__)
  if constexpr (std::is_same<typename Scalar<V>::type, float>::value) {
    const V estimate = (V)_mm512_maskz_rcp14_ps(__mmask16(-1), (__m512)x);
    return estimate + estimate * (1.0f - x * estimate);
  }
#endif
  return typename Scalar<V>::type(1) / x;
}

template <class V>
static inline V quotient(V a, V x) {
#if RECURRA_VECTOR_BYTES == 64 && defined(__AVX512F__)
  if constexpr (std::is_same<typename Scalar<V>::type, float>::value) {
    const V inverse = reciprocal(x), result = a * inverse;
    return result + inverse * (a - x * result);
  }
#endif
  return a / x;
}

// At most 2 ULP for |x| <= limit (87 for float, 708 for double); beyond it infinity or zero.
template <class V>
static inline V vector_exp(V x) {
  typedef typename Scalar<V>::type T;
  const ExpParts<V> e = exp_parts(within(x, ExpConstants<T>::limit));
  V result = e.power + e.power * e.p;
  result = x > splat<V>(ExpConstants<T>::limit) ? splat<V>(T(__builtin_inf())) : result;
  return x < splat<V>(-ExpConstants<T>::limit) ? V{} : result;
}

// At most 3 ULP for x >= -87 (float) or -708 (double); below, its value there, under 2e-38.
template <class V>
static inline V vector_sigmoid(V x) {
  typedef typename Scalar<V>::type T;
  const ExpParts<V> e = exp_parts(within(-x, ExpConstants<T>::limit));
  return reciprocal(T(1) + (e.power + e.power * e.p));
}

// At most 3 ULP for all floats: from exp(2 |x|) - 1, which keeps its precision near zero.
template <class V>
static inline V vector_tanh(V x) {
  typedef typename Scalar<V>::type T;
  const V y = within(x, T(20));
  const V positive = y < V{} ? -y : y;
  const ExpParts<V> e = exp_parts(positive + positive);
  const V minus_one = e.power * e.p + (e.power - T(1));
  const V result = quotient(minus_one, minus_one + T(2));
  return y < V{} ? -result : result;
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

template <class V>
static inline V vector_sqrt(V x) {
  typename Scalar<V>::type lanes[sizeof(V) / sizeof(x[0])];
  std::memcpy(lanes, &x, sizeof(V));
  for (auto& lane : lanes) lane = std::sqrt(lane);  // one instruction, as errno is not asked for
  std::memcpy(&x, lanes, sizeof(V));
  return x;
}

// 2 atanh(s) for |s| <= 1/3: the logarithm of (1 + s) / (1 - s).
template <class V>
static inline V twice_atanh(V s) {
  typedef typename Scalar<V>::type T;
  constexpr int terms = sizeof(T) == 4 ? 8 : 17;
  const V square = s * s;
  V sum = splat<V>(T(1.0 / (2 * terms - 1)));
#pragma GCC unroll 17
  for (int k = terms - 2; k >= 1; --k) sum = sum * square + T(1.0 / (2 * k + 1));
  return T(2) * (s + s * square * sum);
}

// At most 3 ULP for normal x; minus infinity at zero and below the normal numbers, NaN for negative x.
template <class V>
static inline V vector_log(V x) {
  typedef typename Scalar<V>::type T;
  typedef typename Vectors<T>::bits I;
  typedef ExpConstants<T> C;
  // Unsigned: the bits of a negative number, whose result is NaN, would overflow.
  typedef typename Vectors<T>::unsigned_bits U;
  U bits;
  std::memcpy(&bits, &x, sizeof(V));
  // The exponent that leaves a mantissa of 2/3 to 4/3.
  const T third = T(2) / 3;
  typename std::remove_reference<decltype(std::declval<U&>()[0])>::type lowest;
  std::memcpy(&lowest, &third, sizeof(T));
  const I exponent = (I)(bits - lowest) >> C::mantissa;
  bits -= (U)exponent << C::mantissa;
  V m;
  std::memcpy(&m, &bits, sizeof(V));
  const V n = __builtin_convertvector(exponent, V);
  V result = n * C::ln2_high + (n * C::ln2_low + twice_atanh((m - T(1)) / (m + T(1))));
  constexpr T smallest = sizeof(T) == 4 ? T(0x1p-126) : T(0x1p-1022);
  result = x < splat<V>(smallest) ? splat<V>(-T(__builtin_inf())) : result;
  result = x < V{} ? splat<V>(T(__builtin_nan(""))) : result;
  return x < splat<V>(T(__builtin_inf())) ? result : x;
}

// log(1 + exp(x)), as torch has it: x itself beyond 20. At most 4 ULP for x >= -87 (float) or -708 (double).
template <class V>
static inline V vector_softplus(V x) {
  typedef typename Scalar<V>::type T;
  const V magnitude = x < V{} ? x : -x;
  const ExpParts<V> e = exp_parts(within(magnitude, ExpConstants<T>::limit));
  const V y = e.power + e.power * e.p;
  const V positive = x > V{} ? x : V{};
  const V result = positive + twice_atanh(y / (y + T(2)));
  const V defined = x == x ? result : x;
  return x > splat<V>(T(20)) ? x : defined;
}

}  // namespace RECURRA_ISA
}  // namespace recurra
