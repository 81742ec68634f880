// The plan of the forward pass for a call, made from its sizes and from the arrays wanted before memory is allocated.
#pragma once

#include "call.hpp"
#include "product.hpp"
#include "rows.hpp"

namespace recurra {
namespace RECURRA_ISA {

// The sizes on which a plan depends beside the call.
struct CellSizes {
  int64_t gates;         // G
  int64_t second_stage;  // L
  int64_t block;         // units of a block
};

// Vectors of units in a block: a cell of one gate has two, which keep more sums under way.
constexpr int vectors_of_block(int gates) { return gates == 1 ? 2 : 1; }

// The update of a unit takes about as long as the products of so many values with the weights of its gates.
constexpr int64_t reads_of_an_update = 24;

struct Plan {
  bool fused;          // the engine computes the input projection itself
  bool unpacked;       // the weights are read as they are, if at all: with so few steps packing would take longer
  bool whole_rows;     // the update waits for the products of all units, which then lie in rows of their own
  bool divides_units;  // the threads divide the units, with a barrier at each step, and not the rows
  int64_t threads;     // at most
};

static inline Plan plan_forward(const CellSizes& cell, const Call& c) {
  // Waking threads pays if each partition of the work takes far longer. A barrier costs about as much as 5 * 10^4
  // operations.
  constexpr double operations_of_a_thread = 1e6, operations_of_a_barrier = 5e4;
  Plan plan{};
  plan.fused = c.inputs != nullptr;
  plan.unpacked = c.u || (c.steps * c.batch <= 8 && c.heads == 1 && cell.second_stage == 0 && !c.projection && !c.mask);
  plan.whole_rows = c.norm || c.norm_x || cell.second_stage > 0;
  const int64_t recurrent = c.u ? reads_of_an_update : c.heads > 1 ? c.hidden / c.heads : c.size;
  const int64_t reads = recurrent + (plan.fused ? c.features : 0);
  const double step = 2.0 * static_cast<double>(cell.gates * c.hidden * reads) * static_cast<double>(c.batch);
  const int64_t worthwhile = static_cast<int64_t>(step * static_cast<double>(c.steps) / operations_of_a_thread) + 1;
  const int64_t n = c.threads < worthwhile ? c.threads : worthwhile;
  plan.divides_units = c.batch < 2 * n && !plan.whole_rows && !c.projection && !c.mask &&
                       Blocks(c.hidden, c.heads, cell.block).count >= n && step > operations_of_a_barrier;
  plan.threads = at_least_one(plan.divides_units || n < c.batch ? n : c.batch);
  return plan;
}

}  // namespace RECURRA_ISA
}  // namespace recurra
