// What the engine is asked to do: plain memory, no objects, so that it can be called from anywhere.
#pragma once

#include <cstdint>

namespace recurra {

// T time, B batch, H hidden, G gates, S parts of the state (the first is the output), P per-unit parameters,
// K values kept for the backward pass. All arrays are dense, the last index fastest. Null where not wanted.
struct Call {
  int64_t steps, batch, hidden;
  int64_t reverse;           // from each row's last step to its first
  int64_t threads;           // at most
  const int64_t* lengths;    // (B), 0 to T; null where all are T
  const void* x;             // (T, B, G * H): the input projection, bias included
  const void* weight;        // (G * H, H)
  const void* bias;          // (G * H) of the recurrent projection
  const void* per_unit;      // (P, H)
  const void* initial;       // (S, B, H)
  void* output;              // (T, B, H)
  void* history;             // (S - 1, T, B, H), the other parts; null in inference
  void* final_state;         // (S, B, H)
  void* kept;                // (T, B, K, H); null in inference
  // Backward pass only.
  const void* d_output;      // (T, B, H)
  const void* d_final;       // (S, B, H)
  void* d_x;                 // (T, B, G * H); zero on entry where lengths are given
  void* d_u;                 // likewise; null where it is d_x
  void* d_initial;           // (S, B, H)
  void* d_per_unit;          // (P, H)
};

// Runs task(context, k) for k in 0..count-1, at once where it can.
typedef void (*Task)(void* context, int64_t k);
typedef void (*Parallel)(Task task, void* context, int64_t count);

typedef int (*Entry)(const Call* call, Parallel parallel);

}  // namespace recurra
