// The record of a call of the engine: plain memory without objects, which any language can fill.
#pragma once

#include <cstdint>

namespace recurra {

constexpr int most_parts = 8;

// The nonlinearity of a projected output; Python's enumeration of the same name has these values.
enum class Nonlinearity : int64_t { identity, tanh, sigmoid, relu };

// T time, B batch, I input, H hidden, R output, G gates, S parts of the state (the first is the output), P per-unit
// parameters, K values saved for the backward pass, L second-stage gates.
//
// N is the number of valid steps of all rows: T * B, step t of row b at t * B + b; or, if there are lengths, their sum,
// row after row without padding. All arrays are dense, the last index fastest. An array that is not wanted is null.
struct Call {
  int64_t steps, batch, hidden;
  int64_t size;                     // R
  int64_t features;                 // I
  int64_t heads;                    // groups of units that the recurrent weights mix within
  int64_t reverse;                  // from each row's last step to its first
  int64_t threads;                  // at most
  Nonlinearity nonlinearity;        // of the projected output
  int64_t zoneout_step;             // from one step of the zoneout masks to the next, in values; 0 if all share one
  int64_t zoneout_row;              // from one row likewise
  double epsilon;                   // of layer normalisation
  const int64_t* lengths;           // (B), 0 to T; null if all are T
  const void* inputs;               // (N, I), with weight_ih; null if x is not
  const void* weight_ih;            // (G * H, I)
  const void* bias_ih;              // (G * H), with inputs or norm_x
  const void* x;                    // (N, G * H): the input projection, bias included but for norm_x
  const void* u;                    // (N, G * H) of one step: the recurrent projection, bias included but for norm
  const void* weight;               // (G * H, R), by heads (G * H, H / heads), diagonal (G * H); null with u, and if
                                    // d_initial[0] is to lack what comes through it (one step, dense)
  const void* bias;                 // (G * H) of the recurrent projection
  const void* norm;                 // (G * H), the scale of the normalised recurrent projection
  const void* norm_x;               // likewise of the input projection
  const void* per_unit;             // (P, H)
  const void* projection;           // (R, H)
  const void* projection_bias;      // (R)
  const void* mask;                 // (B, R): what multiplies the output before the recurrent weights
  const void* zoneout[most_parts];  // by part: the fraction of the old value that is kept
  const void* initial[most_parts];  // (B, R), then (B, H)
  void* output;                     // (T, B, R), zero at padding
  void* final_state[most_parts];    // as initial
  // Saved for the backward pass; null in inference.
  void* history;    // (S - 1, N, H), the other parts of the state after each step
  void* saved;      // (N, K, H)
  void* before;     // (N, R), what the recurrent weights read
  void* modulated;  // (N, H), what those of the second-stage gates read
  void* normed;     // (N, G * H), the normalised recurrent projection
  void* deviation;  // (N, G), one over its standard deviation
  void* normed_x;   // likewise of the input projection
  void* deviation_x;
  void* unprojected;  // (N, H), the output before its projection
  // Backward pass only.
  const void* d_output;             // (T, B, R); null for zero
  const void* d_final[most_parts];  // as initial; null for zero
  void* d_x;                        // (N, G * H), before normalisation
  void* d_u;                        // likewise; null if it is d_x
  void* d_initial[most_parts];      // as initial
  void* d_bias_x;                   // (G * H), the sum of d_x after normalisation
  void* d_bias;                     // (G * H), likewise of d_u; null if it is d_bias_x
  void* d_norm;                     // (G * H)
  void* d_norm_x;                   // (G * H)
  void* d_per_unit;                 // (P, H)
  void* d_projected;                // (N, R), the gradient of the projection's result before its nonlinearity
  void* d_weight;                   // (G * H) of a diagonal recurrence
};

// clang-format off
// Its fields in order, for the comparison with Python's declaration.
#define RECURRA_CALL_FIELDS(F)                                                                                    \
  F(steps) F(batch) F(hidden) F(size) F(features) F(heads) F(reverse) F(threads) F(nonlinearity)                  \
  F(zoneout_step) F(zoneout_row) F(epsilon) F(lengths) F(inputs) F(weight_ih) F(bias_ih) F(x) F(u) F(weight)      \
  F(bias) F(norm) F(norm_x) F(per_unit) F(projection) F(projection_bias) F(mask) F(zoneout) F(initial)            \
  F(output) F(final_state) F(history) F(saved) F(before) F(modulated) F(normed) F(deviation) F(normed_x)          \
  F(deviation_x) F(unprojected) F(d_output) F(d_final) F(d_x) F(d_u) F(d_initial) F(d_bias_x) F(d_bias)           \
  F(d_norm) F(d_norm_x) F(d_per_unit) F(d_projected) F(d_weight)
// clang-format on

// One partition of the work: k of n that run at the same time. Its memory is allocated before the launch, because an
// exception that leaves a thread ends the process.
typedef void (*Task)(void* context, int64_t k, int64_t n) noexcept;
// Runs task(context, k, n) at the same time for all k below n, where n is `count` or the number of threads available.
typedef void (*Parallel)(Task task, void* context, int64_t count);

typedef int (*Entry)(const Call* call, Parallel parallel);

// One step of a cell for some rows, in float32; the rows of an array lie its stride apart.
struct CellStep {
  int64_t rows, hidden;
  const float* x;            // (rows, G * H), the input projection; null if it is zero or part of u
  const float* u;            // (rows, G * H), the recurrent projection; null if there is none
  int64_t stride;            // of x and u
  float* state[most_parts];  // (rows, H) by part, overwritten but for the first; null if the equations do not read it
  int64_t state_stride;
  float* output;  // (rows, H), the first part after the step
  int64_t output_stride;
  const float* prepared;      // (Q, H), what follows from the per-unit parameters
  float zoneout[most_parts];  // by part: the fraction of the old value that stays
};

typedef void (*StepEntry)(const CellStep* call);
typedef void (*PrepareEntry)(const float* per_unit, int64_t hidden, float* prepared);

}  // namespace recurra
