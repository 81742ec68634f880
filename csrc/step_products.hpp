// Products of a weight with one vector, for streams: packed once, in float32, bfloat16 or int8.
//
// A weight (N, K) is cut into panels of up to `panel_vectors` vectors of rows; in a panel the rows of one column lie
// side by side. A product with one vector is bound by the rate at which the weight is read: bfloat16 halves what is
// read, and int8 quarters it. A weight with many blocks of zeros has panels of the height of a block, in which the
// columns of zero blocks are left out.
#pragma once

#include "rows.hpp"
#include "zero_blocks.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace recurra {

enum class WeightFormat : int64_t { float32, bfloat16, int8 };

namespace RECURRA_ISA {

constexpr int panel_vectors = 4;

// Rows that are multiplied together.
constexpr int64_t row_group = 48;

typedef Vectors<float>::type StepVector;
typedef Vectors<float>::bits StepBits;
constexpr int step_width = Vectors<float>::width;

// The vectors of a panel with zero blocks: the rows of one block.
constexpr int sparse_panel_vectors = block_size > step_width ? int(block_size) / step_width : 1;
static_assert(sparse_panel_vectors <= panel_vectors && block_size % step_width == 0, "a block is whole vectors");

// Columns of a panel that are stored, one after the other.
struct Run {
  int64_t first, count;
};

// Calls f(N, panel, first) for each panel of up to `most` of `vectors` vectors: a constant N vectors from the `first`
// on.
template <class F>
static inline void by_panel(int64_t vectors, int64_t most, F f) {
  int64_t panel = 0;
  for (int64_t first = 0; first < vectors; first += most, ++panel) {
    const int64_t count = most < vectors - first ? most : vectors - first;
    if (count == 1) f(std::integral_constant<int, 1>(), panel, first);
    if (count == 2) f(std::integral_constant<int, 2>(), panel, first);
    if (count == 3) f(std::integral_constant<int, 3>(), panel, first);
    if (count == 4) f(std::integral_constant<int, 4>(), panel, first);
  }
}

// A product's result: out = start + sum, for the lanes of N vectors that exist. `start` may be `out` or null.
template <int N>
static inline void finish(const StepVector* sum, const float* start, float* out, int64_t lanes) {
#pragma GCC unroll 4
  for (int n = 0; n < N; ++n) {
    const int64_t count = lanes - n * step_width;
    if (count >= step_width) {
      store<StepVector>(out + n * step_width, start ? load<StepVector>(start + n * step_width) + sum[n] : sum[n]);
    } else if (count > 0) {
      const StepVector before = start ? load_part<StepVector>(start + n * step_width, count) : StepVector{};
      store_part<StepVector>(out + n * step_width, before + sum[n], count);
    }
  }
}

// The chains of additions that are under way at once: enough to hide the latency of one.
constexpr int chains_of(int vectors) { return vectors >= 4 ? 2 : vectors >= 2 ? 4 : 8; }

// A panel [k][n][lane] of float32 times one vector: the columns of `count` runs.
template <int N>
static inline void multiply_float32(const float* panel, const Run* runs, int64_t count, const float* values,
                                    StepVector* total) {
  constexpr int chains = chains_of(N);
  StepVector sum[chains][N] = {};
  for (const Run* run = runs; run < runs + count; panel += run->count * N * step_width, ++run) {
    const float* from = values + run->first;
    int64_t k = 0;
    for (; k + chains <= run->count; k += chains)
#pragma GCC unroll 8
      for (int c = 0; c < chains; ++c) {
        const StepVector value = splat<StepVector>(from[k + c]);
#pragma GCC unroll 4
        for (int n = 0; n < N; ++n) sum[c][n] += value * load<StepVector>(panel + ((k + c) * N + n) * step_width);
      }
    for (; k < run->count; ++k)
      for (int n = 0; n < N; ++n)
        sum[0][n] += splat<StepVector>(from[k]) * load<StepVector>(panel + (k * N + n) * step_width);
  }
  for (int n = 0; n < N; ++n) {
    total[n] = sum[0][n];
    for (int c = 1; c < chains; ++c) total[n] += sum[c][n];
  }
}

// The same for R rows at once, `stride` apart.
template <int N, int R>
static inline void multiply_rows_float32(const float* panel, const Run* runs, int64_t count, const float* values,
                                         int64_t stride, StepVector (*sum)[N]) {
  StepVector own[R][N] = {};
  for (const Run* run = runs; run < runs + count; ++run) {
    const float* from = values + run->first;
    for (int64_t k = 0; k < run->count; ++k, panel += N * step_width) {
      StepVector w[N];
#pragma GCC unroll 4
      for (int n = 0; n < N; ++n) w[n] = load<StepVector>(panel + n * step_width);
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
        const StepVector value = splat<StepVector>(from[r * stride + k]);
#pragma GCC unroll 4
        for (int n = 0; n < N; ++n) own[r][n] += value * w[n];
      }
    }
  }
  std::memcpy(sum, own, sizeof(own));
}

// A panel [k / 2][n][lane][k % 2] of bfloat16 times one vector: a float whose last 16 bits are cut off.
template <int N>
static inline void multiply_bfloat16(const StepBits* panel, const Run* runs, int64_t count, const float* values,
                                     StepVector* total) {
  constexpr int chains = chains_of(N) / 2;
  StepVector sum[chains][2][N] = {};
  const auto add = [&](StepVector(&to)[2][N], int64_t pair, float even, float odd) {
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) {
      StepBits both;
      std::memcpy(&both, panel + pair * N + n, sizeof(both));
      const StepBits low = both << 16, high = both & int32_t(0xffff0000);
      StepVector first, second;
      std::memcpy(&first, &low, sizeof(first));
      std::memcpy(&second, &high, sizeof(second));
      to[0][n] += splat<StepVector>(even) * first;
      to[1][n] += splat<StepVector>(odd) * second;
    }
  };
  for (const Run* run = runs; run < runs + count; panel += (run->count + 1) / 2 * N, ++run) {
    const float* from = values + run->first;
    int64_t pair = 0;
    for (; 2 * (pair + chains) <= run->count; pair += chains)
#pragma GCC unroll 4
      for (int c = 0; c < chains; ++c) add(sum[c], pair + c, from[2 * (pair + c)], from[2 * (pair + c) + 1]);
    for (; 2 * pair < run->count; ++pair)
      add(sum[0], pair, from[2 * pair], 2 * pair + 1 < run->count ? from[2 * pair + 1] : 0.0f);
  }
  for (int n = 0; n < N; ++n) {
    total[n] = sum[0][0][n] + sum[0][1][n];
    for (int c = 1; c < chains; ++c) total[n] += sum[c][0][n] + sum[c][1][n];
  }
}

#if defined(__AVX512F__)
#define RECURRA_BFLOAT16 __attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,avx512bf16")))

// Rounds a vector to bfloat16, to the nearest; `to` is padded with a zero to a multiple of 2.
RECURRA_BFLOAT16 static void round_to_bfloat16(const float* from, int64_t K, uint16_t* to) {
  int64_t k = 0;
  for (; k + step_width <= K; k += step_width) {
    const __m256bh rounded = _mm512_cvtneps_pbh(_mm512_loadu_ps(from + k));
    std::memcpy(to + k, &rounded, sizeof(rounded));
  }
  const StepVector rest = load_part<StepVector>(from + k, K - k);
  const __m256bh rounded = _mm512_cvtneps_pbh((__m512)rest);
  std::memcpy(to + k, &rounded, static_cast<size_t>(2 * ((K - k + 1) / 2 * 2)));
}

// The same panel by the processor's own products of pairs, for a vector that is rounded too.
template <int N>
RECURRA_BFLOAT16 static void multiply_bfloat16_pairs(const StepBits* panel, const Run* runs, int64_t count,
                                                     const uint16_t* values, StepVector* total) {
  constexpr int chains = chains_of(N);
  __m512 sum[chains][N];
  for (int c = 0; c < chains; ++c)
    for (int n = 0; n < N; ++n) sum[c][n] = _mm512_setzero_ps();
  const auto add = [&](__m512(&to)[N], const uint16_t* from, int64_t pair) RECURRA_BFLOAT16 {
    int32_t two;
    std::memcpy(&two, from + 2 * pair, 4);
    const __m512i value = _mm512_set1_epi32(two);
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n)
      to[n] = _mm512_dpbf16_ps(to[n], (__m512bh)_mm512_loadu_si512(panel + pair * N + n), (__m512bh)value);
  };
  for (const Run* run = runs; run < runs + count; panel += (run->count + 1) / 2 * N, ++run) {
    const int64_t pairs = (run->count + 1) / 2;
    int64_t pair = 0;
    for (; pair + chains <= pairs; pair += chains)
#pragma GCC unroll 8
      for (int c = 0; c < chains; ++c) add(sum[c], values + run->first, pair + c);
    for (; pair < pairs; ++pair) add(sum[0], values + run->first, pair);
  }
  for (int n = 0; n < N; ++n) {
    for (int c = 1; c < chains; ++c) sum[0][n] = _mm512_add_ps(sum[0][n], sum[c][n]);
    std::memcpy(total + n, &sum[0][n], sizeof(sum[0][n]));
  }
}
#endif

static inline bool has_bfloat16() {
#if defined(__AVX512F__)
  static const bool has = [] {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512bw");
  }();
  return has;
#else
  return false;
#endif
}

// Rounds a vector to int8 with the scale that it returns: q * scale is about x. `to` is padded with zeros to a multiple
// of 4. A vector with a NaN or an infinite number has the scale NaN.
static inline float quantise(const float* from, int64_t K, int8_t* to) {
  StepVector largest{}, finite{};
  by_vector<step_width>(0, K, [&](auto whole, int64_t k, int64_t count) {
    const StepVector x = get<StepVector, whole.value>(from + k, count);
    const StepVector magnitude = vector_absolute(x);
    largest = magnitude > largest ? magnitude : largest;
    finite += x * 0.0f;
  });
  float most = 0, invalid = 0;
  for (int lane = 0; lane < step_width; ++lane) {
    most = largest[lane] > most ? largest[lane] : most;
    invalid += finite[lane];
  }
  // 2^-100: the inverse of anything smaller is not a number.
  const float inverse = most > 0x1p-100f ? 127.0f / most : 0.0f;
  typedef int8_t Bytes __attribute__((vector_size(step_width)));
  by_vector<step_width>(0, K, [&](auto whole, int64_t k, int64_t count) {
    const StepVector x = get<StepVector, whole.value>(from + k, count) * inverse;
    const StepVector rounded = (x + 0x1.8p23f) - 0x1.8p23f;
    const Bytes bytes = __builtin_convertvector(__builtin_convertvector(rounded, StepBits), Bytes);
    std::memcpy(to + k, &bytes, count);
  });
  for (int64_t k = K; k % 4; ++k) to[k] = 0;
  return most / 127.0f + invalid;
}

// A panel [k / 4][n][lane][k % 4] of int8 times one vector of int8, exactly.
template <int N>
static inline void multiply_int8(const int8_t* panel, const Run* runs, int64_t count, const int8_t* values,
                                 StepBits* total) {
  StepBits sum[N] = {};
  for (const Run* run = runs; run < runs + count; ++run)
    for (int64_t k = 0; k < run->count; k += 4) {
      const int8_t* x = values + run->first + k;
      const int8_t* w = panel;
      panel += N * 4 * step_width;
#if defined(__AVX2__)
      // Products of pairs with |x| as unsigned bytes: at most 2 * 127 * 127, which 16 bits hold.
      int32_t four;
      std::memcpy(&four, x, 4);
      const __m256i value = _mm256_set1_epi32(four), magnitude = _mm256_abs_epi8(value);
      const __m256i ones = _mm256_set1_epi16(1);
#pragma GCC unroll 8
      for (int n = 0; n < N * step_width / 8; ++n) {
        const __m256i weight = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(w) + n);
        const __m256i pairs = _mm256_maddubs_epi16(magnitude, _mm256_sign_epi8(weight, value));
        __m256i* to = reinterpret_cast<__m256i*>(sum) + n;
        *to = _mm256_add_epi32(*to, _mm256_madd_epi16(pairs, ones));
      }
#else
      for (int n = 0; n < N; ++n)
        for (int lane = 0; lane < step_width; ++lane, w += 4)
          sum[n][lane] += int32_t(w[0]) * x[0] + int32_t(w[1]) * x[1] + int32_t(w[2]) * x[2] + int32_t(w[3]) * x[3];
#endif
    }
  std::memcpy(total, sum, sizeof(sum));
}

#if defined(__AVX512F__)
// The same with the vector neural network instructions. Their first factor is unsigned: x is moved by 128, and
// `row_sums`, 128 times the sum of a row of the weight, is taken off.
template <int N>
__attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,avx512vnni"))) static void multiply_int8_vnni(
    const int8_t* panel, const Run* runs, int64_t count, const int8_t* values, const int32_t* row_sums,
    StepBits* total) {
  constexpr int chains = chains_of(N);
  __m512i sum[chains][N];
  for (int c = 0; c < chains; ++c)
    for (int n = 0; n < N; ++n) sum[c][n] = _mm512_setzero_si512();
  const auto* w = reinterpret_cast<const __m512i*>(panel);
  for (const Run* run = runs; run < runs + count; ++run) {
    const int8_t* from = values + run->first;
    const int64_t quads = (run->count + 3) / 4;
    int64_t k = 0;
    for (; k + chains <= quads; k += chains)
#pragma GCC unroll 8
      for (int c = 0; c < chains; ++c) {
        uint32_t four;
        std::memcpy(&four, from + 4 * (k + c), 4);
        const __m512i value = _mm512_set1_epi32(static_cast<int32_t>(four ^ 0x80808080u));
#pragma GCC unroll 4
        for (int n = 0; n < N; ++n)
          sum[c][n] = _mm512_dpbusd_epi32(sum[c][n], value, _mm512_loadu_si512(w + (k + c) * N + n));
      }
    for (; k < quads; ++k) {
      uint32_t four;
      std::memcpy(&four, from + 4 * k, 4);
      const __m512i value = _mm512_set1_epi32(static_cast<int32_t>(four ^ 0x80808080u));
      for (int n = 0; n < N; ++n) sum[0][n] = _mm512_dpbusd_epi32(sum[0][n], value, _mm512_loadu_si512(w + k * N + n));
    }
    w += quads * N;
  }
  for (int n = 0; n < N; ++n) {
    for (int c = 1; c < chains; ++c) sum[0][n] = _mm512_add_epi32(sum[0][n], sum[c][n]);
    sum[0][n] = _mm512_sub_epi32(sum[0][n], _mm512_loadu_si512(row_sums + n * step_width));
    std::memcpy(total + n, &sum[0][n], sizeof(sum[0][n]));
  }
}
#endif

static inline bool has_vnni() {
#if defined(__AVX512F__)
  static const bool has = [] {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw");
  }();
  return has;
#else
  return false;
#endif
}

// Which columns of which panels of a weight (N, K) are stored: all, or, if a quarter of its blocks are zero, those of
// the other blocks.
class StepRuns {
 public:
  const int64_t vectors;
  const bool sparse;
  const int64_t height;  // vectors of a panel, but for the last

  // The values of `together` columns of a row lie side by side.
  StepRuns(const float* weight, int64_t N, int64_t K, int64_t together)
      : vectors((N + step_width - 1) / step_width),
        sparse(block_density(weight, N, K, 0.75) <= 0.75),
        height(sparse ? sparse_panel_vectors : panel_vectors),
        panels((vectors + height - 1) / height),
        runs(panels * (sparse ? (K + 2 * block_size - 1) / (2 * block_size) : 1)),
        begins(panels + 1),
        places(panels + 1) {
    int64_t count = 0, place = 0;
    for (int64_t panel = 0; panel < panels; ++panel) {
      const int64_t wide = height < vectors - panel * height ? height : vectors - panel * height;
      begins.data[panel] = count;
      places.data[panel] = place;
      int64_t columns = sparse ? 0 : K;
      if (!sparse) runs.data[count++] = {0, K};
      for (int64_t k = 0; sparse && k < K; k += block_size) {
        if (is_zero_block(weight, N, K, panel * block_size, k)) continue;
        const int64_t own = block_size < K - k ? block_size : K - k;
        columns += own;
        if (count > begins.data[panel] && runs.data[count - 1].first + runs.data[count - 1].count == k)
          runs.data[count - 1].count += own;
        else
          runs.data[count++] = {k, own};
      }
      place += (columns + together - 1) / together * together * wide * step_width;
    }
    begins.data[panels] = count;
    places.data[panels] = place;
  }

  const Run* of(int64_t panel) const { return runs.data + begins.data[panel]; }
  int64_t count(int64_t panel) const { return begins.data[panel + 1] - begins.data[panel]; }
  // Where a panel begins, in values.
  int64_t place(int64_t panel) const { return places.data[panel]; }
  int64_t size() const { return places.data[panels]; }

 private:
  const int64_t panels;
  Buffer<Run> runs;
  Buffer<int64_t> begins, places;
};

// A weight (N, K) and a bias (N), packed.
struct StepWeight {
  const WeightFormat format;
  const int64_t N, K;
  const StepRuns runs;
  Buffer<float> bias;  // (vectors), zero beyond N
  Buffer<char> panels;
  Buffer<float> scales;      // int8: by row
  Buffer<int32_t> row_sums;  // int8: by row, 128 times its sum

  StepWeight(WeightFormat format, const float* weight, const float* bias_values, int64_t N, int64_t K)
      : format(format),
        N(N),
        K(K),
        runs(weight, N, K, 4 / value_bytes()),
        bias(runs.vectors * step_width),
        panels(bytes()),
        scales(format == WeightFormat::int8 ? runs.vectors * step_width : 0),
        row_sums(format == WeightFormat::int8 ? runs.vectors * step_width : 0) {
    for (int64_t j = 0; j < runs.vectors * step_width; ++j) bias.data[j] = bias_values && j < N ? bias_values[j] : 0.0f;
    by_panel(runs.vectors, runs.height,
             [&](auto n, int64_t panel, int64_t first) { pack<n.value>(weight, panel, first); });
  }

  int64_t bytes() const { return runs.size() * value_bytes(); }

  // The bytes into which `multiply` may round a row of K values.
  static constexpr int64_t scratch_bytes(int64_t K) { return (2 * K + 65) / 64 * 64; }

  // out (rows, N), `stride` apart, is the bias, or what `out` holds, plus the product with the rows of `from`.
  // `scratch` has `scratch_bytes(K)` for each row, of at most `row_group` rows. Rows of a group read a panel while it
  // is near.
  void multiply(int64_t rows, const float* from, int64_t from_stride, bool accumulate, float* out, int64_t stride,
                int8_t* scratch) const {
    if (format == WeightFormat::float32 && rows > 1)
      return multiply_rows(rows, from, from_stride, accumulate, out, stride);
    for (int64_t first = 0; first < rows;
         first += row_group, from += row_group * from_stride, out += row_group * stride)
      multiply_group(row_group < rows - first ? row_group : rows - first, from, from_stride, accumulate, out, stride,
                     scratch);
  }

 private:
  void multiply_group(int64_t rows, const float* from, int64_t from_stride, bool accumulate, float* out, int64_t stride,
                      int8_t* scratch) const {
    float scale[row_group];
    const auto rounded = [&](int64_t row) { return scratch + row * scratch_bytes(K); };
    for (int64_t row = 0; row < rows; ++row) {
      const float* const values = from + row * from_stride;
      scale[row] = format == WeightFormat::int8 ? quantise(values, K, rounded(row)) : 0.0f;
#if defined(__AVX512F__)
      if (format == WeightFormat::bfloat16 && has_bfloat16())
        round_to_bfloat16(values, K, reinterpret_cast<uint16_t*>(rounded(row)));
#endif
    }
    by_panel(runs.vectors, runs.height, [&](auto n, int64_t index, int64_t first) {
      constexpr int count = n.value;
      const int64_t at = first * step_width;
      for (int64_t row = 0; row < rows; ++row) {
        StepVector sum[count];
        multiply_panel<count>(index, at, from + row * from_stride, rounded(row), scale[row], sum);
        float* const to = out + row * stride + at;
        finish<count>(sum, accumulate ? to : bias.data + at, to, N - at);
      }
    });
  }

  // One panel times a row of values, or what they were rounded to.
  template <int count>
  void multiply_panel(int64_t index, int64_t at, const float* values, const int8_t* rounded, float scale,
                      StepVector* sum) const {
    const int64_t length = runs.count(index);
    const Run* const stored = runs.of(index);
    const char* panel = panels.data + runs.place(index) * value_bytes();
    if (format == WeightFormat::float32) {
      multiply_float32<count>(reinterpret_cast<const float*>(panel), stored, length, values, sum);
    } else if (format == WeightFormat::bfloat16) {
#if defined(__AVX512F__)
      if (has_bfloat16())
        return multiply_bfloat16_pairs<count>(reinterpret_cast<const StepBits*>(panel), stored, length,
                                              reinterpret_cast<const uint16_t*>(rounded), sum);
#endif
      multiply_bfloat16<count>(reinterpret_cast<const StepBits*>(panel), stored, length, values, sum);
    } else {
      StepBits whole[count];
      multiply_bytes<count>(reinterpret_cast<const int8_t*>(panel), index, rounded, at, whole);
      for (int v = 0; v < count; ++v)
        sum[v] = __builtin_convertvector(whole[v], StepVector) *
                 (load<StepVector>(scales.data + at + v * step_width) * scale);
    }
  }

  int64_t value_bytes() const { return format == WeightFormat::float32 ? 4 : format == WeightFormat::bfloat16 ? 2 : 1; }

  template <int count>
  void multiply_bytes(const int8_t* panel, int64_t index, const int8_t* from, int64_t at, StepBits* total) const {
#if defined(__AVX512F__)
    if (has_vnni())
      return multiply_int8_vnni<count>(panel, runs.of(index), runs.count(index), from, row_sums.data + at, total);
#endif
    (void)at;
    multiply_int8<count>(panel, runs.of(index), runs.count(index), from, total);
  }

  // Tiles of rows, which read a panel together.
  void multiply_rows(int64_t rows, const float* from, int64_t from_stride, bool accumulate, float* out,
                     int64_t stride) const {
    const float* operands[row_group];
    float part[row_group * panel_vectors * step_width];
    for (int64_t first_row = 0; first_row < rows; first_row += row_group) {
      const int64_t height = row_group < rows - first_row ? row_group : rows - first_row;
      for (int64_t r = 0; r < height; ++r) operands[r] = from + (first_row + r) * from_stride;
      float* to = out + first_row * stride;
      by_panel(runs.vectors, runs.height, [&](auto n, int64_t index, int64_t first) {
        constexpr int count = n.value;
        const int64_t at = first * step_width, lanes = N - at;
        const float* panel = reinterpret_cast<const float*>(panels.data) + runs.place(index);
        if (runs.sparse) {
          if constexpr (count <= sparse_panel_vectors)
            multiply_tiles<count>(height, panel, index, operands[0], from_stride, accumulate ? to + at : bias.data + at,
                                  accumulate ? stride : 0, to + at, stride);
          return;
        }
        if (lanes >= count * step_width)
          return Product<float, count>::run(height, panel, K, operands, accumulate ? to + at : bias.data + at,
                                            accumulate ? stride : 0, to + at, stride);
        Product<float, count>::run(height, panel, K, operands, nullptr, 0, part, count * step_width);
        for (int64_t r = 0; r < height; ++r) {
          StepVector sum[count];
          for (int v = 0; v < count; ++v) sum[v] = load<StepVector>(part + (r * count + v) * step_width);
          finish<count>(sum, accumulate ? to + r * stride + at : bias.data + at, to + r * stride + at, lanes);
        }
      });
    }
  }

  // Tiles of rows times the runs of a panel. All tiles are about equally high.
  template <int count>
  void multiply_tiles(int64_t rows, const float* panel, int64_t index, const float* from, int64_t from_stride,
                      const float* start, int64_t start_stride, float* out, int64_t stride) const {
    constexpr int most = Product<float, count>::rows;
    const int64_t lanes = N - index * sparse_panel_vectors * step_width;
    for (int64_t r = 0, tall; r < rows; r += tall) {
      const int64_t tiles = (rows - r + most - 1) / most;
      tall = (rows - r + tiles - 1) / tiles;
      StepVector sum[most][count];
      multiply_tile<count, most>(tall, panel, index, from + r * from_stride, from_stride, sum);
      for (int64_t i = r; i < r + tall; ++i)
        finish<count>(sum[i - r], start + i * start_stride, out + i * stride, lanes);
    }
  }

  template <int count, int R>
  void multiply_tile(int64_t rows, const float* panel, int64_t index, const float* from, int64_t from_stride,
                     StepVector (*sum)[count]) const {
    if (rows == R)
      multiply_rows_float32<count, R>(panel, runs.of(index), runs.count(index), from, from_stride, sum);
    else if constexpr (R > 1)
      multiply_tile<count, R - 1>(rows, panel, index, from, from_stride, sum);
  }

  template <int count>
  void pack(const float* weight, int64_t panel, int64_t first) {
    char* to = panels.data + runs.place(panel) * value_bytes();
    const auto by_column = [&](int64_t step, auto f) {
      for (const Run* run = runs.of(panel); run < runs.of(panel) + runs.count(panel); ++run)
        for (int64_t k = run->first; k < run->first + run->count; k += step) f(k);
    };
    const auto value = [&](int64_t row, int64_t k) { return row < N && k < K ? weight[row * K + k] : 0.0f; };
    const int64_t at = first * step_width, height = count * step_width;
    if (format == WeightFormat::float32) {
      by_column(1, [&](int64_t k) {
        for (int64_t j = 0; j < height; ++j, to += 4) {
          const float x = value(at + j, k);
          std::memcpy(to, &x, 4);
        }
      });
    } else if (format == WeightFormat::bfloat16) {
      by_column(2, [&](int64_t k) {
        for (int64_t j = 0; j < height; ++j)
          for (int64_t odd = 0; odd < 2; ++odd, to += 2) {
            const uint16_t x = nearest_bfloat16(value(at + j, k + odd));
            std::memcpy(to, &x, 2);
          }
      });
    } else {
      for (int64_t j = 0; j < height; ++j) {
        float most = 0;
        for (int64_t k = 0; k < K; ++k) {
          const float magnitude = __builtin_fabsf(value(at + j, k));
          most = magnitude > most ? magnitude : most;
        }
        scales.data[at + j] = most / 127.0f;
        row_sums.data[at + j] = 0;
      }
      by_column(4, [&](int64_t k) {
        for (int64_t j = 0; j < height; ++j)
          for (int64_t q = 0; q < 4; ++q, ++to) {
            const float scale = scales.data[at + j];
            const int32_t x = scale > 0 ? static_cast<int32_t>(__builtin_nearbyintf(value(at + j, k + q) / scale)) : 0;
            row_sums.data[at + j] += 128 * x;
            *to = static_cast<char>(x);
          }
      });
    }
  }

  // To the nearest, ties to even; the weights are finite.
  static uint16_t nearest_bfloat16(float x) {
    uint32_t bits;
    std::memcpy(&bits, &x, 4);
    return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
  }
};

}  // namespace RECURRA_ISA
}  // namespace recurra
