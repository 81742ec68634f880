// The operations of a model's step. Compiled once for each instruction set.
#include "step_call.hpp"

#include "step_products.hpp"
#include "subnormal.hpp"

namespace recurra {
namespace RECURRA_ISA {
namespace {

typedef StepVector V;
constexpr int W = step_width;
constexpr int64_t most_rows = row_group;
constexpr int64_t no_id = 0;

// Calls f(whole, k, count) for each vector of `size` values.
template <class F>
inline void by_value(int64_t size, F f) {
  by_vector<W>(0, size, f);
}

template <class F>
inline void map(const float* from, float* to, int64_t size, F f) {
  by_value(size, [&](auto whole, int64_t k, int64_t count) {
    put<V, whole.value>(to + k, f(get<V, whole.value>(from + k, count)), count);
  });
}

template <class F>
inline void map(const float* a, const float* b, float* to, int64_t size, F f) {
  by_value(size, [&](auto whole, int64_t k, int64_t count) {
    put<V, whole.value>(to + k, f(get<V, whole.value>(a + k, count), get<V, whole.value>(b + k, count)), count);
  });
}

inline float sum_of(const float* from, int64_t size) {
  V sum{};
  by_value(size, [&](auto whole, int64_t k, int64_t count) { sum += get<V, whole.value>(from + k, count); });
  return lane_sum(sum);
}

// Each of `groups` parts of `size` values: less its mean, over its deviation, times `scale`, plus `bias` if there is
// one.
void normalise(const StepOperation& o, const float* from, float* to) {
  for (int64_t g = 0; g < o.groups; ++g) {
    const float *x = from + g * o.size, *scale = o.left + g * o.size;
    const float* bias = o.right ? o.right + g * o.size : nullptr;
    float* y = to + g * o.size;
    const float mean = sum_of(x, o.size) / static_cast<float>(o.size);
    V squares{};
    by_value(o.size, [&](auto whole, int64_t k, int64_t count) {
      const V difference = get<V, whole.value>(x + k, count) - mean;
      squares += whole.value ? difference * difference : first_lanes(difference * difference, count);
    });
    const float inverse = 1.0f / std::sqrt(lane_sum(squares) / static_cast<float>(o.size) + o.number);
    by_value(o.size, [&](auto whole, int64_t k, int64_t count) {
      V value = (get<V, whole.value>(x + k, count) - mean) * inverse * get<V, whole.value>(scale + k, count);
      if (bias) value += get<V, whole.value>(bias + k, count);
      put<V, whole.value>(y + k, value, count);
    });
  }
}

// Over the square root of the mean of the squares, times `scale`.
void rms_normalise(const float* from, const float* scale, float epsilon, float* to, int64_t size) {
  V squares{};
  by_value(size, [&](auto whole, int64_t k, int64_t count) {
    const V x = get<V, whole.value>(from + k, count);
    squares += x * x;
  });
  const float inverse = 1.0f / std::sqrt(lane_sum(squares) / static_cast<float>(size) + epsilon);
  map(from, scale, to, size, [&](V x, V factor) { return x * inverse * factor; });
}

// x times the normal distribution function, from erf by formula 7.1.26 of Abramowitz and Stegun, within 1e-7 of it.
V gelu(V x) {
  const V z = vector_absolute(x) * 0.70710678f, t = 1.0f / (1.0f + 0.3275911f * z);
  const V sum = t * (0.254829592f + t * (-0.284496736f + t * (1.421413741f + t * (-1.453152027f + t * 1.061405429f))));
  const V tail = 0.5f * sum * vector_exp(-z * z);
  return x * (x < V{} ? tail : 1.0f - tail);
}

void softmax(const float* from, float* to, int64_t size, bool logarithm) {
  float most = from[0];
  for (int64_t k = 1; k < size; ++k) most = from[k] > most ? from[k] : most;
  V sum{};
  by_value(size, [&](auto whole, int64_t k, int64_t count) {
    const V x = get<V, whole.value>(from + k, count) - most, e = vector_exp(x);
    sum += whole.value ? e : first_lanes(e, count);
    put<V, whole.value>(to + k, logarithm ? x : e, count);
  });
  const float total = lane_sum(sum), shift = std::log(total), factor = 1.0f / total;
  map(to, to, size, [&](V x) { return logarithm ? x - shift : x * factor; });
}

// The mean of values weighted by the softmax of their scores, so far. The state has the largest score, the sum of the
// weights and that of the weighted values.
void attend(const float* value, float score, float* state, float* to, int64_t size) {
  const float most = score > state[0] ? score : state[0];
  const float stays = std::exp(state[0] - most), weight = std::exp(score - most);
  state[0] = most;
  state[1] = state[1] * stays + weight;
  float* sums = state + 2;
  map(sums, value, sums, size, [&](V before, V x) { return before * stays + x * weight; });
  const float factor = 1.0f / state[1];
  map(sums, to, size, [&](V x) { return x * factor; });
}

// A whole number from 0 to `most` that the state holds, or 0: whatever was written to it, no memory beyond is touched.
int64_t whole_number(float x, int64_t most) {
  return x > 0.0f && x <= static_cast<float>(most) ? static_cast<int64_t>(x) : 0;
}

// Attention of a step to itself and to those before, at most W - 1, whose keys and values lie in places used in turn.
// The query is turned by the distance of a step, instead of query and key by their positions.
void local_attention(const StepOperation& o, const float* query, const float* key, float* keys, float* values,
                     float* place, float* to) {
  const int64_t size = o.size, half = size / 2, before = o.window - 1, features = o.kv_heads * size;
  const int64_t next = whole_number(place[0], before - 1), length = whole_number(place[1], before);
  const float factor = 1.0f / std::sqrt(static_cast<float>(size));
  float* weights = to + o.groups * size;
  const auto at = [&](float* past, const float* present, int64_t distance) {
    return distance ? past + (next - distance + before) % before * features : present;
  };
  for (int64_t n = 0; n < o.groups; ++n) {
    const float* q = query + n * size;
    const int64_t own = n / (o.groups / o.kv_heads) * size;
    for (int64_t d = 0; d <= length; ++d) {
      const float *k = at(keys, key, d) + own, *cosine = o.left + d * half, *sine = o.right + d * half;
      V sum{};
      by_value(half, [&](auto whole, int64_t j, int64_t count) {
        constexpr bool all = whole.value;
        const V q1 = get<V, all>(q + j, count), q2 = get<V, all>(q + half + j, count);
        const V k1 = get<V, all>(k + j, count), k2 = get<V, all>(k + half + j, count);
        sum +=
            get<V, all>(cosine + j, count) * (q1 * k1 + q2 * k2) + get<V, all>(sine + j, count) * (q1 * k2 - q2 * k1);
      });
      weights[d] = lane_sum(sum) * factor;
    }
    softmax(weights, weights, length + 1, false);
    by_value(size, [&](auto whole, int64_t j, int64_t count) {
      V sum{};
      for (int64_t d = 0; d <= length; ++d)
        sum += weights[d] * get<V, whole.value>(at(values, key + features, d) + own + j, count);
      put<V, whole.value>(to + n * size + j, sum, count);
    });
  }
  std::memcpy(keys + next * features, key, features * sizeof(float));
  std::memcpy(values + next * features, key + features, features * sizeof(float));
  place[0] = static_cast<float>((next + 1) % before);
  place[1] = static_cast<float>(length < before ? length + 1 : before);
}

// A step of an LSTM whose memory is a matrix from keys to values for each head, all divided by exp(stabiliser).
void matrix_memory(const StepOperation& o, const float* from, const float* gates, float* memory, float* normaliser,
                   float* stabiliser, float* to) {
  const int64_t K = o.size, N = o.groups;
  for (int64_t n = 0; n < N; ++n, memory += K * K, normaliser += K, to += K) {
    const float *q = from + n * K, *k = q + N * K, *v = k + N * K;
    const float admit = gates[n], forget = gates[N + n];
    const float kept = stabiliser[n] + (forget < 0.0f ? forget : 0.0f) - std::log1p(std::exp(-std::fabs(forget)));
    const float most = kept > admit ? kept : admit, stays = std::exp(kept - most), enters = std::exp(admit - most);
    stabiliser[n] = most;
    V along{};
    by_value(K, [&](auto whole, int64_t j, int64_t count) {
      constexpr bool all = whole.value;
      const V norm = get<V, all>(normaliser + j, count) * stays + get<V, all>(k + j, count) * enters;
      put<V, all>(normaliser + j, norm, count);
      put<V, all>(to + j, V{}, count);
      along += get<V, all>(q + j, count) * norm;
    });
    for (int64_t i = 0; i < K; ++i) {
      float* row = memory + i * K;
      const float entering = enters * k[i];
      by_value(K, [&](auto whole, int64_t j, int64_t count) {
        constexpr bool all = whole.value;
        const V after = get<V, all>(row + j, count) * stays + get<V, all>(v + j, count) * entering;
        put<V, all>(row + j, after, count);
        put<V, all>(to + j, get<V, all>(to + j, count) + after * q[i], count);
      });
    }
    const float norm = std::fabs(lane_sum(along)), least = std::exp(-most < 80.0f ? -most : 80.0f);
    const float inverse = 1.0f / (norm > least ? norm : least);
    map(to, to, K, [&](V x) { return x * inverse; });
  }
}

// The base of each space and the way from one row to the next.
struct Memory {
  float* base[spaces];
  int64_t stride[spaces];
  const int64_t* ids;
  int64_t rows;
  int8_t* scratch;

  float* at(Location location, int64_t row = 0) const {
    const int space = static_cast<int>(location.space);
    return base[space] + row * stride[space] + location.offset;
  }
  int64_t step(Location location) const { return stride[static_cast<int>(location.space)]; }
};

CellStep cell_step(const StepOperation& o, const Memory& m) {
  CellStep call{};
  call.rows = m.rows;
  call.hidden = o.size;
  call.x = o.first.offset < 0 ? nullptr : m.at(o.first);
  call.u = o.second.offset < 0 ? nullptr : m.at(o.second);
  call.stride = m.stride[static_cast<int>(Space::frame)];
  for (int64_t k = 0; k < o.part_count; ++k) {
    call.state[k] = k || o.reads_output ? m.at(o.parts[k]) : nullptr;
    call.zoneout[k] = o.zoneout[k];
  }
  call.state_stride = m.stride[static_cast<int>(Space::state)];
  call.output = m.at(o.target);
  call.output_stride = m.step(o.target);
  call.prepared = o.left;
  return call;
}

void run_row(const StepOperation& o, const Memory& m, int64_t row) {
  const float *a = m.at(o.first, row), *b = o.second.offset < 0 ? a : m.at(o.second, row);
  float* to = m.at(o.target, row);
  switch (o.kind) {
    case StepKind::diagonal:
      for (int64_t g = 0; g < o.groups; ++g)
        by_value(o.size, [&](auto whole, int64_t k, int64_t count) {
          constexpr bool all = whole.value;
          V value = get<V, all>(a + k, count) * get<V, all>(o.left + g * o.size + k, count);
          if (o.right) value += get<V, all>(o.right + g * o.size + k, count);
          if (o.accumulate) value += get<V, all>(to + g * o.size + k, count);
          put<V, all>(to + g * o.size + k, value, count);
        });
      break;
    case StepKind::normalise:
      normalise(o, a, to);
      break;
    case StepKind::rms_normalise:
      rms_normalise(a, o.left, o.number, to, o.size);
      break;
    case StepKind::embed:
      std::memcpy(to, o.left + m.ids[row] * o.size, o.size * sizeof(float));
      break;
    case StepKind::tanh:
      map(a, to, o.size, [](V x) { return vector_tanh(x); });
      break;
    case StepKind::sigmoid:
      map(a, to, o.size, [](V x) { return vector_sigmoid(x); });
      break;
    case StepKind::relu:
      map(a, to, o.size, [](V x) { return vector_relu(x); });
      break;
    case StepKind::silu:
      map(a, to, o.size, [](V x) { return x * vector_sigmoid(x); });
      break;
    case StepKind::gelu:
      map(a, to, o.size, [](V x) { return gelu(x); });
      break;
    case StepKind::exp:
      map(a, to, o.size, [](V x) { return vector_exp(x); });
      break;
    case StepKind::log:
      map(a, to, o.size, [](V x) { return vector_log(x); });
      break;
    case StepKind::scale:
      map(a, o.left, to, o.size, [](V x, V factor) { return x * factor; });
      if (o.right) map(to, o.right, to, o.size, [](V x, V shift) { return x + shift; });
      break;
    case StepKind::add:
      map(a, b, to, o.size, [](V x, V y) { return x + y; });
      break;
    case StepKind::multiply:
      map(a, b, to, o.size, [](V x, V y) { return x * y; });
      break;
    case StepKind::blend:  // a fraction of the second stays
      map(a, b, to, o.size, [&](V x, V y) { return x + o.number * (y - x); });
      break;
    case StepKind::softmax:
    case StepKind::log_softmax:
      softmax(a, to, o.size, o.kind == StepKind::log_softmax);
      break;
    case StepKind::copy:
      std::memcpy(to, a, o.size * sizeof(float));
      break;
    case StepKind::mean: {  // the second location counts
      float* count = m.at(o.second, row);
      const float fraction = 1.0f / (*count += 1.0f);
      map(a, to, to, o.size, [&](V x, V mean) { return mean + (x - mean) * fraction; });
      break;
    }
    case StepKind::largest:
      map(a, to, to, o.size, [](V x, V most) { return vector_maximum(x, most); });
      break;
    case StepKind::attend:
      attend(a, *b, m.at(o.parts[0], row), to, o.size);
      break;
    case StepKind::delay: {  // `groups` values of `size`, the oldest first; the newest replaces it
      const int64_t older = (o.groups - 1) * o.size;
      std::memmove(to, to + o.size, older * sizeof(float));
      std::memcpy(to + older, a, o.size * sizeof(float));
      break;
    }
    case StepKind::local_attention:
      local_attention(o, a, b, m.at(o.parts[0], row), m.at(o.parts[1], row), m.at(o.parts[2], row), to);
      break;
    case StepKind::matrix_memory:
      matrix_memory(o, a, b, m.at(o.parts[0], row), m.at(o.parts[1], row), m.at(o.parts[2], row), to);
      break;
    case StepKind::dense:
    case StepKind::modulate:
    case StepKind::update:
      break;  // of all rows at once
  }
}

void run_step(const StepProgram& program, const Memory& m) {
  for (int64_t k = 0; k < program.count; ++k) {
    const StepOperation& o = program.operations[k];
    if (o.kind == StepKind::dense) {
      static_cast<const StepWeight*>(o.weight)->multiply(m.rows, m.at(o.first), m.step(o.first), o.accumulate,
                                                         m.at(o.target), m.step(o.target), m.scratch);
    } else if (o.kind == StepKind::update || o.kind == StepKind::modulate) {
      const CellStep call = cell_step(o, m);
      o.entry(&call);
    } else {
      for (int64_t row = 0; row < m.rows; ++row) run_row(o, m, row);
    }
  }
}

void run(const StepProgram& program, const StepRun& run, float* frame) {
  const WithoutSubnormals within;
  const int64_t in = program.input_size, out = program.output_size;
  for (int64_t first = 0; first < run.rows; first += most_rows) {
    Memory m;
    m.rows = run.rows - first < most_rows ? run.rows - first : most_rows;
    m.stride[0] = in;
    m.stride[1] = program.frame_size;
    m.stride[2] = program.state_size;
    m.stride[3] = out;
    m.ids = &no_id;
    m.base[0] = m.base[1] = frame;
    m.base[2] = run.state + first * program.state_size;
    m.scratch = reinterpret_cast<int8_t*>(frame + most_rows * program.frame_size);
    for (int64_t t = 0; t < run.steps; ++t) {
      const int64_t at = t * run.rows + first;
      // Operations read the input and never write it.
      if (program.reads_ids)
        m.ids = static_cast<const int64_t*>(run.input) + at;
      else
        m.base[0] = static_cast<float*>(const_cast<void*>(run.input)) + at * in;
      m.base[3] = run.output + at * out;
      run_step(program, m);
    }
  }
}

void* pack(int64_t format, const float* weight, const float* bias, int64_t N, int64_t K, int64_t* bytes) {
  auto* packed = new StepWeight(static_cast<WeightFormat>(format), weight, bias, N, K);
  *bytes += packed->bytes();
  return packed;
}

void release(void* weight) { delete static_cast<StepWeight*>(weight); }

}  // namespace

StepTable step_table() { return {pack, release, run, most_rows}; }

}  // namespace RECURRA_ISA
}  // namespace recurra
