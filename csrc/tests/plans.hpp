// The plans of the forward pass, printed, and compared with those that certain calls should have.
#pragma once

#include <cstdio>
#include <string>

#include "../describe.hpp"

namespace recurra {

inline bool check_plans() {
  const baseline::CellSizes gru{3, 0, 4}, second_stage{3, 1, 4};
  const float there = 0;
  bool good = true;
  auto expect = [&](const char* expected, const baseline::CellSizes& cell, int64_t steps, int64_t batch, int64_t hidden,
                    auto change) {
    Call call{};
    call.steps = steps, call.batch = batch, call.hidden = call.size = hidden, call.heads = 1, call.threads = 4;
    change(call);
    const std::string actual = baseline::describe(baseline::plan_forward(cell, call));
    if (actual == expected) return;
    std::printf("T %ld, B %ld, H %ld: expected the plan \"%s\", got \"%s\"\n", long(steps), long(batch), long(hidden),
                expected, actual.c_str());
    good = false;
  };
  auto as_it_is = [](Call&) {};
  auto fused = [&](Call& c) { c.inputs = &there, c.features = 64; };
  auto normalised = [&](Call& c) { c.norm = &there; };
  auto masked = [&](Call& c) { c.mask = &there; };
  // Nothing is packed for eight steps or fewer, except if the recurrent weights read what is not the output as it lies.
  expect("projected before, unpacked, block by block, 1 threads by rows", gru, 8, 1, 16, as_it_is);
  expect("projected before, packed, block by block, 1 threads by rows", gru, 9, 1, 16, as_it_is);
  expect("projected before, packed, block by block, 1 threads by rows", gru, 8, 1, 16, masked);
  expect("projected before, packed, whole rows, 1 threads by rows", second_stage, 8, 1, 16, as_it_is);
  expect("fused, unpacked, whole rows, 1 threads by rows", gru, 8, 1, 16, [&](Call& c) { fused(c), normalised(c); });
  // A million operations for each thread: 2 * 3 * 64 * 64 for each step of a row, and as many again with inputs of 64.
  expect("projected before, packed, block by block, 2 threads by rows", gru, 10, 6, 64, as_it_is);
  expect("fused, packed, block by block, 3 threads by rows", gru, 10, 6, 64, fused);
  expect("projected before, packed, block by block, 4 threads by rows", gru, 100, 32, 64, as_it_is);
  // The update alone: threads pay where there are many rows.
  auto projected = [&](Call& c) { c.u = &there; };
  expect("projected before, unpacked, block by block, 1 threads by rows", gru, 1, 32, 128, projected);
  expect("projected before, unpacked, block by block, 4 threads by rows", gru, 1, 64, 512, projected);
  // Few rows: the units are divided, if a step is worth a barrier, and if the update waits for nothing.
  expect("projected before, packed, block by block, 4 threads by units", gru, 100, 2, 256, as_it_is);
  expect("projected before, unpacked, block by block, 4 threads by units", gru, 8, 1, 512, as_it_is);
  expect("projected before, packed, block by block, 1 threads by rows", gru, 100, 1, 64, as_it_is);
  expect("projected before, packed, whole rows, 2 threads by rows", gru, 100, 2, 256, normalised);
  expect("projected before, packed, block by block, 2 threads by rows", gru, 100, 2, 256, masked);
  expect("projected before, packed, whole rows, 2 threads by rows", second_stage, 100, 2, 256, as_it_is);
  // As many heads as threads have blocks of their own.
  expect("projected before, packed, block by block, 4 threads by units", gru, 100, 2, 512,
         [](Call& c) { c.heads = 4; });
  return good;
}

}  // namespace recurra
