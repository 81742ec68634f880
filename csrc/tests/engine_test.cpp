// The engine against a plain loop, for the sanitizers: every way through it, sizes around the vector's, ragged and not,
// both directions. RECURRA_SELECTED leaves one cell of each kind, at fewer sizes: still every way, in a fraction of the
// time.
#include <algorithm>
#include <cstdio>

#include "../cells.generated.hpp"
#include "../engine.hpp"
#include "../parallel.hpp"
#include "decodings.hpp"
#include "plain.hpp"
#include "plans.hpp"
#include "products.hpp"
#include "steps.hpp"
#include "transducers.hpp"

namespace {

using recurra::Call;
using recurra::Doubles;
using recurra::Normalised;
using recurra::Options;
using recurra::Plain;
using recurra::Problem;
using recurra::Zoneout;

// How often each way was taken, so that none is missed unseen.
struct Ways {
  int64_t unpacked = 0, by_units = 0, by_units_back = 0, by_rows = 0, alone = 0, elementwise = 0, fused = 0;
  int64_t apart = 0, norm = 0, norm_x = 0, norm_fused = 0, norm_unpacked = 0, second_stage = 0, heads = 0,
          projected = 0, masked = 0, zoneout = 0;
} ways;

template <class Cell, class T>
void count_ways(const Call& call) {
  ways.masked += call.mask != nullptr;
  ways.zoneout += call.zoneout[0] != nullptr;
  if constexpr (Cell::mixes_units) {
    const recurra::baseline::Plan plan = recurra::baseline::Forward<Cell, T>(call).plan;
    ways.unpacked += plan.unpacked && !call.u;
    ways.apart += call.u != nullptr;
    ways.by_units += plan.divides_units && plan.threads > 1;
    ways.by_rows += !plan.divides_units && plan.threads > 1;
    ways.alone += plan.threads == 1;
    recurra::baseline::Backward<Cell, T> backward(call);
    ways.by_units_back += backward.threads() > 1 && backward.divides_units;
    ways.fused += plan.fused;
    ways.norm += call.norm != nullptr;
    ways.norm_x += call.norm_x != nullptr;
    ways.norm_fused += call.norm_x && plan.fused && !plan.unpacked;
    ways.norm_unpacked += call.norm_x && plan.unpacked;
    ways.second_stage += Cell::second_stage > 0;
    ways.heads += call.heads > 1;
    ways.projected += call.projection != nullptr;
  } else {
    ways.elementwise += 1;
  }
}

template <class T>
bool close(const char* what, const std::vector<T>& actual, const Doubles& expected) {
  if (actual.empty()) return true;
  double worst = 0, largest = 1;
  for (double value : expected) largest = std::max(largest, std::abs(value));
  for (size_t k = 0; k < actual.size(); ++k) {
    const double error = std::abs(static_cast<double>(actual[k]) - expected[k]) / largest;
    if (!(error <= worst)) worst = error;
  }
  const double tolerance = sizeof(T) == 8 ? 1e-11 : 1e-4;
  if (actual.size() == expected.size() && worst <= tolerance) return true;
  std::printf("%s: error %g, %zu values for %zu\n", what, worst, actual.size(), expected.size());
  return false;
}

template <class Cell, class T>
bool check(const char* name, const Options& o) {
  typedef recurra::baseline::Engine<Cell, T> Engine;
  Problem<Cell, T> p(o);
  const Plain<Cell, T> expected(p);
  bool good = true;
  p.project_state();
  // First inference, which saves nothing.
  for (bool training : {false, true}) {
    const Call call = p.call(training);
    good &= Engine::forward(&call, recurra::run_parallel) == 0;
    good &= close("output", p.output, expected.output);
    for (int k = 0; k < Cell::parts; ++k) good &= close("final state", p.final_state[k], expected.final_state[k]);
    std::fill(p.output.begin(), p.output.end(), T(NAN));
  }
  const Call call = p.call(true);
  count_ways<Cell, T>(call);
  good &= Engine::forward(&call, recurra::run_parallel) == 0;
  good &= Engine::backward(&call, recurra::run_parallel) == 0;
  p.project_back();
  good &= close("gradient of x", p.d_x, expected.d_x) && close("gradient of u", p.d_u, expected.d_u);
  good &= close("gradient of b_ih", p.d_bias_x, expected.d_bias_x) && close("gradient of b", p.d_bias, expected.d_bias);
  good &= close("gradient of the scales", p.d_norm, expected.d_norm);
  good &= close("gradient of the scales of x", p.d_norm_x, expected.d_norm_x);
  good &= close("gradient of the parameters", p.d_per_unit, expected.d_per_unit);
  good &= close("gradient of the projection", p.d_projected, expected.d_projected);
  good &= close("gradient of the diagonal", p.d_weight, expected.d_weight);
  for (int k = 0; k < Cell::parts; ++k) good &= close("gradient of the state", p.d_initial[k], expected.d_initial[k]);
  if (!good) {
    if constexpr (Cell::mixes_units)
      std::printf("plan: %s\n", recurra::baseline::describe(recurra::baseline::Forward<Cell, T>(call).plan).c_str());
    std::printf(
        "  in %s, %zu bytes, T %ld, B %ld, H %ld, %ld threads, I %ld, %ld heads, R %ld, nonlinearity %ld, "
        "zoneout %d, norm %d%s%s%s%s%s\n",
        name, sizeof(T), long(o.steps), long(o.batch), long(o.hidden), long(o.threads), long(o.features), long(o.heads),
        long(o.size), long(o.nonlinearity), int(o.zoneout), int(o.norm), o.ragged ? ", ragged" : "",
        o.reverse ? ", reverse" : "", o.mask ? ", mask" : "", o.bias ? "" : ", no bias", o.apart ? ", apart" : "");
  }
  return good;
}

// Both directions at the same time, each on one thread.
template <class Cell, class T>
bool check_both(const char* name) {
  typedef recurra::baseline::Engine<Cell, T> Engine;
  Options o = recurra::plain_options(5, 3, 19, 2);
  o.ragged = true;
  Problem<Cell, T> forward(o);
  o.reverse = true;
  Problem<Cell, T> reverse(o);
  Call calls[2] = {forward.call(true), reverse.call(true)};
  calls[0].threads = calls[1].threads = 1;
  bool good = recurra::run_both(Engine::forward, &calls[0], &calls[1]) == 0;
  good &= recurra::run_both(Engine::backward, &calls[0], &calls[1]) == 0;
  for (Problem<Cell, T>* p : {&forward, &reverse}) {
    const Plain<Cell, T> expected(*p);
    good &= close("output", p->output, expected.output) && close("gradient of x", p->d_x, expected.d_x);
  }
  if (!good) std::printf("  in both directions of %s\n", name);
  return good;
}

// The options that a cell can have, at the sizes of `o`.
template <class Cell>
std::vector<Options> varied(const Options& o) {
  std::vector<Options> options = {o};
  auto with = [&](auto change) {
    Options other = o;
    change(other);
    options.push_back(other);
  };
  const bool reads = Cell::mixes_units || Cell::diagonal;
  with([](Options& v) { v.zoneout = Zoneout::each_step, v.bias = false; });
  with([](Options& v) { v.zoneout = Zoneout::constant; });
  if (reads) with([](Options& v) { v.mask = true; });
  if (reads) with([](Options& v) { v.mask = true, v.zoneout = Zoneout::each_step; });
  if (!Cell::mixes_units || Cell::second_stage) return options;
  with([](Options& v) { v.features = 5; });
  with([](Options& v) { v.features = 3, v.mask = true, v.bias = false; });
  with([](Options& v) { v.norm = Normalised::recurrent; });
  with([](Options& v) { v.norm = Normalised::both, v.features = 5; });
  with([](Options& v) { v.norm = Normalised::input, v.features = 5, v.bias = false; });
  with([](Options& v) { v.norm = Normalised::both, v.mask = true, v.zoneout = Zoneout::each_step, v.bias = false; });
  if (o.steps == 1 && !o.ragged) {
    with([](Options& v) { v.apart = true; });
    with([](Options& v) { v.apart = true, v.features = 5, v.mask = true, v.bias = false; });
    with([](Options& v) { v.apart = true, v.norm = Normalised::both, v.zoneout = Zoneout::each_step; });
  }
  for (int64_t heads : {2, 3}) {
    with([heads](Options& v) { v.heads = heads, v.hidden *= heads; });
    with([heads](Options& v) { v.heads = heads, v.hidden *= heads, v.mask = true, v.features = 2; });
    with([heads](Options& v) { v.heads = heads, v.hidden *= heads, v.norm = Normalised::both, v.features = 3; });
  }
  for (int kind = 0; kind < 4; ++kind) {
    with([kind](Options& v) {
      v.size = v.hidden + 1 + kind, v.nonlinearity = recurra::Nonlinearity(kind), v.norm = Normalised(kind);
    });
    with([kind](Options& v) {
      v.size = (v.hidden + 1) / 2, v.nonlinearity = recurra::Nonlinearity(kind), v.mask = kind > 1, v.features = kind;
    });
  }
  return options;
}

#ifdef RECURRA_SELECTED
constexpr bool everything = false;
#else
constexpr bool everything = true;
#endif

template <class Cell, class T>
bool check_all(const char* name) {
  bool good = true;
  for (bool ragged : {false, true})
    for (bool reverse : {false, true}) {
      if (!everything && ragged != reverse) continue;
      auto run = [&](Options o) {
        o.ragged = ragged, o.reverse = reverse;
        for (const Options& each : varied<Cell>(o)) good &= check<Cell, T>(name, each);
      };
      const std::vector<int64_t> sizes = everything ? std::vector<int64_t>{1, 3, 4, 9} : std::vector<int64_t>{1, 9};
      for (int64_t hidden : sizes) run(recurra::plain_options(4, 3, hidden, 2));
      // Few steps: nothing is packed.
      run(recurra::plain_options(1, 5, 19, 2));
      run(recurra::plain_options(2, 3, 5, 2));
      run(recurra::plain_options(3, 15, 17, 1));
    }
  return good;
}

// Enough work that it is divided among threads.
template <class Cell, class T>
bool check_threads(const char* name) {
  bool good = true;
  for (bool ragged : {false, true})
    for (bool reverse : {false, true}) {
      if (!everything && !(ragged && reverse)) continue;
      auto run = [&](Options o, bool all) {
        o.ragged = ragged, o.reverse = reverse;
        const std::vector<Options> each = varied<Cell>(o);
        for (size_t k = 0; k < (all ? each.size() : 1); ++k) good &= check<Cell, T>(name, each[k]);
      };
      run(recurra::plain_options(9, 40, 41, 3), ragged && reverse);
      if (!Cell::mixes_units) run(recurra::plain_options(9, 150, 150, 2), ragged && reverse);
      for (int64_t batch : {1, 2, 3}) {
        Options o = recurra::plain_options(9, batch, 260 / (Cell::gates > 1 ? 2 : 1) / (batch > 1 ? 2 : 1) + 71, 2);
        run(o, false);
        o.zoneout = Zoneout::each_step;
        run(o, false);
        if (!Cell::mixes_units || Cell::second_stage) continue;
        Options apart = recurra::plain_options(1, 70 + batch, 150, 2);
        apart.apart = true;
        good &= check<Cell, T>(name, apart);
        o.features = 7;
        run(o, false);
        o.zoneout = Zoneout::nothing, o.heads = 2, o.hidden *= 2;
        run(o, false);
      }
      // Both: nothing packed, and units divided.
      run(recurra::plain_options(8, 1, 260, 2), false);
    }
  return good;
}

bool all_taken() {
  const int64_t counts[] = {ways.unpacked,      ways.by_units,     ways.by_units_back, ways.by_rows,   ways.alone,
                            ways.elementwise,   ways.fused,        ways.norm,          ways.norm_x,    ways.norm_fused,
                            ways.norm_unpacked, ways.second_stage, ways.heads,         ways.projected, ways.masked,
                            ways.zoneout,       ways.apart};
  const char* names[] = {"unpacked",
                         "by units",
                         "by units, backward",
                         "by rows",
                         "on one thread",
                         "elementwise",
                         "fused",
                         "normalised",
                         "x normalised",
                         "both at once",
                         "normalised, unpacked",
                         "second-stage gates",
                         "heads",
                         "projected",
                         "masked",
                         "zoneout",
                         "products apart"};
  bool good = true;
  for (size_t k = 0; k < sizeof(counts) / sizeof(counts[0]); ++k) {
    std::printf("%s %ld%s", names[k], long(counts[k]), k + 1 < sizeof(counts) / sizeof(counts[0]) ? ", " : "\n");
    good &= counts[k] > 0;
  }
  if (!good) std::puts("a way through the engine was not taken");
  return good;
}

}  // namespace

int main() {
  bool good = true;
#define RECURRA_CHECK(Name, text)                            \
  good &= check_all<recurra::baseline::Name, double>(#Name); \
  good &= check_threads<recurra::baseline::Name, double>(#Name);
#ifndef RECURRA_SELECTED
  RECURRA_CELLS(RECURRA_CHECK)
#else
  RECURRA_CHECK(ElmanTanh, "")
#endif
#undef RECURRA_CHECK
  // One of each kind: dense, with second-stage gates, with parameters, elementwise.
  good &= check_all<recurra::baseline::GRU, float>("GRU");
  good &= check_all<recurra::baseline::MGU, float>("MGU");
  good &= check_threads<recurra::baseline::PeepholeLSTM, float>("PeepholeLSTM");
  good &= check_threads<recurra::baseline::IndRNNRelu, float>("IndRNNRelu");
  good &= check_both<recurra::baseline::GRU, float>("GRU");
  good &= check_both<recurra::baseline::IndRNNRelu, double>("IndRNNRelu");
  good &= recurra::check_plans();
  good &= recurra::check_products();
  good &= recurra::check_steps();
  good &= recurra::check_transducers();
  good &= recurra::check_decodings();
  good &= all_taken();
  std::puts(good ? "the engine agrees with the plain loop" : "the engine FAILED");
  return good ? 0 : 1;
}
