// One OpenMP runtime in the process: the one that torch has loaded.
//
// A second runtime's idle threads spin on cores that the first needs. So this library links none: it takes the
// entry points of torch's, and uses plain threads if torch has none.
#pragma once

#include "call.hpp"

namespace recurra {

// GOMP_parallel, omp_get_thread_num and omp_get_num_threads of the runtime to use; null for plain threads.
void use_openmp(void* parallel, void* thread_number, void* thread_count);

void run_parallel(Task task, void* context, int64_t count);

// Two calls of a function at the same time, each on one thread; what the function returns, 0 if both returned 0.
int run_both(Entry entry, const Call* first, const Call* second);

}  // namespace recurra
