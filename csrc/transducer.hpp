// The recurrent transducer (Graves 2012): rows of logits to the log-probabilities that its lattice reads, the lattice's
// forward and backward pass, and rows of gradients from it.
//
// A lattice has a cell (t, u) for each of T frames and 0 to U labels. Its cells are packed: utterance after utterance,
// t slower than u, N = sum of T (U + 1) in all.
#pragma once

#include "call.hpp"

namespace recurra {

// R rows of a chunk of the cells, V symbols each.
struct TransducerRows {
  int64_t rows, vocabulary, blank, threads;
  const int64_t* index;   // (R), which row of the logits a cell reads; null: in order
  const int64_t* labels;  // (R), the label that a cell may emit next, -1 for none
  const void* logits;     // (., V)
  double* pairs;          // (R, 2), log-probabilities of the blank and of the label, which is minus infinity if none
  void* normalizers;      // (R), the logarithm of the sum of exponentials
  // Backward pass only.
  const double* d_pairs;  // (R, 2)
  void* d_logits;         // as logits; rows that no cell reads stay as they are
};

struct TransducerLattices {
  int64_t batch, threads;
  const int64_t* frames;  // (B), T
  const int64_t* labels;  // (B), U
  const double* pairs;    // (N, 2)
  double* losses;         // (B), infinite if no alignment is possible
  double* d_pairs;  // (N, 2), the gradient of each loss: the negative posterior probabilities, zero if the loss is
                    // infinite; null if it is not wanted
};

// The functions of one instruction set; the lattices' return 1 if there is no memory, else 0.
struct TransducerTable {
  void (*forward32)(const TransducerRows* call, Parallel parallel);
  void (*forward64)(const TransducerRows* call, Parallel parallel);
  void (*backward32)(const TransducerRows* call, Parallel parallel);
  void (*backward64)(const TransducerRows* call, Parallel parallel);
  int (*lattices)(const TransducerLattices* call, Parallel parallel);
};

namespace baseline {
TransducerTable transducer_table();
}
namespace avx2 {
TransducerTable transducer_table();
}
namespace avx512 {
TransducerTable transducer_table();
}

}  // namespace recurra
