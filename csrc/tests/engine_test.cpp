// The engine against a plain loop in double, for the sanitizers: sizes around the vector's, ragged, both directions.
#include <cmath>
#include <cstdio>
#include <random>
#include <vector>

#include "../cells.generated.hpp"
#include "../engine.hpp"
#include "../parallel.hpp"

namespace {

using recurra::Call;
using recurra::baseline::Engine;
typedef std::vector<double> Doubles;

std::mt19937 generator(7);

template <class T>
std::vector<T> draw(int64_t count, double scale = 1) {
  std::normal_distribution<double> normal;
  std::vector<T> values(count);
  for (T& value : values) value = static_cast<T>(scale * normal(generator));
  return values;
}

// The generated equations compute on vectors; here only the first lane counts.
typedef recurra::baseline::Vectors<double>::type One;

template <class T>
struct Problem {
  int64_t steps, batch, hidden, gates, parts, kept, named;
  bool reverse;
  std::vector<int64_t> lengths;
  std::vector<T> x, weight, bias, per_unit, initial, d_output, d_final;
};

struct Results {
  Doubles output, final_state, d_x, d_u, d_initial, d_per_unit;
};

int64_t at(int64_t j, int64_t length, bool reverse) { return reverse ? length - 1 - j : j; }

// One unit at a time, one row at a time, nothing packed.
template <class Cell, class T>
Results plain(const Problem<T>& p) {
  const int64_t B = p.batch, H = p.hidden, G = p.gates, S = p.parts, K = p.kept, P = p.named;
  Results r;
  r.output.assign(p.steps * B * H, 0);
  r.d_x.assign(p.steps * B * G * H, 0);
  r.d_u = r.d_x;
  r.d_per_unit.assign(P * H, 0);
  r.final_state.assign(p.initial.begin(), p.initial.end());
  r.d_initial.assign(p.d_final.begin(), p.d_final.end());
  for (int64_t b = 0; b < B; ++b) {
    const int64_t length = p.lengths[b];
    std::vector<Doubles> states(1, Doubles(S * H));
    std::vector<Doubles> saved;
    for (int64_t k = 0; k < S * H; ++k) states[0][k] = p.initial[(k / H * B + b) * H + k % H];
    for (int64_t j = 0; j < length; ++j) {
      const int64_t t = at(j, length, p.reverse);
      const Doubles before = states.back();
      Doubles after(S * H), keep(K * H);
      for (int64_t n = 0; n < H; ++n) {
        One in[8] = {}, u[8] = {}, s[8] = {}, next[8] = {}, kept[16] = {}, named[8] = {};
        for (int64_t g = 0; g < G; ++g) {
          in[g][0] = p.x[(t * B + b) * G * H + g * H + n];
          u[g][0] = p.bias[g * H + n];
          for (int64_t k = 0; k < H; ++k) u[g][0] += double(p.weight[(g * H + n) * H + k]) * before[k];
        }
        for (int64_t k = 0; k < S; ++k) s[k][0] = before[k * H + n];
        for (int64_t k = 0; k < P; ++k) named[k][0] = p.per_unit[k * H + n];
        Cell::forward(in, u, s, named, next, kept);
        for (int64_t k = 0; k < S; ++k) after[k * H + n] = next[k][0];
        for (int64_t k = 0; k < K; ++k) keep[k * H + n] = kept[k][0];
        r.output[(t * B + b) * H + n] = next[0][0];
      }
      states.push_back(after);
      saved.push_back(keep);
    }
    for (int64_t k = 0; k < S * H; ++k) r.final_state[(k / H * B + b) * H + k % H] = states.back()[k];
    for (int64_t j = length - 1; j >= 0; --j) {
      const int64_t t = at(j, length, p.reverse);
      Doubles carry(S * H);
      for (int64_t n = 0; n < H; ++n) {
        One in[8] = {}, kept[16] = {}, s[8] = {}, d[8] = {}, named[8] = {};
        One dx[8] = {}, du[8] = {}, ds[8] = {}, d_named[8] = {};
        for (int64_t g = 0; g < G; ++g) in[g][0] = p.x[(t * B + b) * G * H + g * H + n];
        for (int64_t k = 0; k < K; ++k) kept[k][0] = saved[j][k * H + n];
        for (int64_t k = 0; k < S; ++k) {
          s[k][0] = states[j][k * H + n];
          d[k][0] = r.d_initial[(k * B + b) * H + n];
        }
        d[0][0] += p.d_output[(t * B + b) * H + n];
        for (int64_t k = 0; k < P; ++k) named[k][0] = p.per_unit[k * H + n];
        Cell::backward(in, kept, s, named, d, dx, du, ds, d_named);
        for (int64_t k = 0; k < P; ++k) r.d_per_unit[k * H + n] += d_named[k][0];
        for (int64_t g = 0; g < G; ++g) {
          r.d_x[(t * B + b) * G * H + g * H + n] = dx[g][0];
          r.d_u[(t * B + b) * G * H + g * H + n] = Cell::shares_gradient ? dx[g][0] : du[g][0];
        }
        for (int64_t k = 0; k < S; ++k) carry[k * H + n] += ds[k][0];
      }
      for (int64_t n = 0; n < H; ++n)
        for (int64_t k = 0; k < G * H; ++k) carry[n] += r.d_u[(t * B + b) * G * H + k] * double(p.weight[k * H + n]);
      for (int64_t k = 0; k < S * H; ++k) r.d_initial[(k / H * B + b) * H + k % H] = carry[k];
    }
  }
  return r;
}

template <class T>
bool close(const char* what, const std::vector<T>& found, const Doubles& expected) {
  double worst = 0;
  for (size_t k = 0; k < found.size(); ++k) {
    const double error = std::abs(double(found[k]) - expected[k]) / (1 + std::abs(expected[k]));
    if (!(error <= worst)) worst = error;
  }
  const double tolerance = sizeof(T) == 8 ? 1e-11 : 1e-4;
  if (worst <= tolerance) return true;
  std::printf("%s: error %g\n", what, worst);
  return false;
}

template <class Cell, class T>
bool check(int64_t steps, int64_t batch, int64_t hidden, bool ragged, bool reverse, int64_t threads) {
  const int64_t G = Cell::gates, S = Cell::parts, K = Cell::saved, P = Cell::per_unit;
  Problem<T> p{steps, batch, hidden, G, S, K, P, reverse, {}, {}, {}, {}, {}, {}, {}, {}};
  for (int64_t b = 0; b < batch; ++b) p.lengths.push_back(ragged ? (b * 5 + 2) % (steps + 1) : steps);
  p.x = draw<T>(steps * batch * G * hidden);
  p.weight = draw<T>(G * hidden * hidden, 0.7 / std::sqrt(double(hidden)));
  p.bias = draw<T>(G * hidden);
  p.per_unit = draw<T>(P * hidden);
  p.initial = draw<T>(S * batch * hidden);
  p.d_output = draw<T>(steps * batch * hidden);
  p.d_final = draw<T>(S * batch * hidden);
  std::vector<T> output(steps * batch * hidden), history((S - 1) * steps * batch * hidden), kept(steps * batch * K * hidden);
  std::vector<T> final_state(S * batch * hidden), d_x(steps * batch * G * hidden), d_u(d_x.size());
  std::vector<T> d_initial(S * batch * hidden), d_per_unit(P * hidden);
  Call call{};
  call.steps = steps, call.batch = batch, call.hidden = hidden, call.reverse = reverse, call.threads = threads;
  call.lengths = ragged ? p.lengths.data() : nullptr;
  call.x = p.x.data(), call.weight = p.weight.data(), call.bias = p.bias.data(), call.initial = p.initial.data();
  call.per_unit = p.per_unit.data();
  call.output = output.data(), call.history = history.data(), call.final_state = final_state.data();
  call.kept = kept.data(), call.d_output = p.d_output.data(), call.d_final = p.d_final.data();
  call.d_x = d_x.data(), call.d_u = Cell::shares_gradient ? nullptr : d_u.data();
  call.d_initial = d_initial.data(), call.d_per_unit = d_per_unit.data();
  bool good = Engine<Cell, T>::forward(&call, recurra::run_parallel) == 0;
  good &= Engine<Cell, T>::backward(&call, recurra::run_parallel) == 0;
  const Results expected = plain<Cell>(p);
  good &= close("output", output, expected.output) && close("final state", final_state, expected.final_state) &&
          close("gradient of x", d_x, expected.d_x) && close("gradient of the state", d_initial, expected.d_initial);
  good &= close("gradient of the parameters", d_per_unit, expected.d_per_unit);
  if (!Cell::shares_gradient) good &= close("gradient of u", d_u, expected.d_u);
  if (!good)
    std::printf("  in T %ld, B %ld, H %ld%s%s, %ld threads\n", long(steps), long(batch), long(hidden),
                ragged ? ", ragged" : "", reverse ? ", reverse" : "", long(threads));
  return good;
}

template <class Cell>
bool check_all() {
  bool good = true;
  for (bool ragged : {false, true})
    for (bool reverse : {false, true}) {
      for (int64_t hidden : {1, 3, 4, 5, 8, 17})
        for (int64_t batch : {1, 2, 7}) {
          good &= check<Cell, float>(4, batch, hidden, ragged, reverse, 2);
          good &= check<Cell, double>(4, batch, hidden, ragged, reverse, 2);
        }
      // Enough work for several threads.
      good &= check<Cell, float>(9, 40, 70, ragged, reverse, 4);
      good &= check<Cell, double>(1, 300, 70, ragged, reverse, 3);
    }
  return good;
}

}  // namespace

int main() {
  bool good = true;
#define RECURRA_CHECK(Name, text) good &= check_all<recurra::baseline::Name>();
  RECURRA_CELLS(RECURRA_CHECK)
  std::puts(good ? "the engine agrees with the plain loop" : "the engine FAILED");
  return good ? 0 : 1;
}
