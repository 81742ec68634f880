#include "parallel.hpp"

#include <system_error>
#include <thread>
#include <vector>

namespace recurra {
namespace {

typedef void (*OpenmpParallel)(void (*)(void*), void*, unsigned, unsigned);
typedef int (*OpenmpQuery)();

OpenmpParallel openmp_parallel = nullptr;
OpenmpQuery openmp_thread_number = nullptr;
OpenmpQuery openmp_thread_count = nullptr;

struct Work {
  Task task;
  void* context;
  int64_t count;
};

// The runtime may give fewer threads than asked for; the shares are dealt to those there are.
void openmp_body(void* data) {
  const Work& work = *static_cast<const Work*>(data);
  const int threads = openmp_thread_count();
  for (int64_t k = openmp_thread_number(); k < work.count; k += threads) work.task(work.context, k);
}

}  // namespace

void use_openmp(void* parallel, void* thread_number, void* thread_count) {
  openmp_parallel = reinterpret_cast<OpenmpParallel>(parallel);
  openmp_thread_number = reinterpret_cast<OpenmpQuery>(thread_number);
  openmp_thread_count = reinterpret_cast<OpenmpQuery>(thread_count);
}

void run_parallel(Task task, void* context, int64_t count) {
  if (openmp_parallel) {
    Work work{task, context, count};
    openmp_parallel(openmp_body, &work, static_cast<unsigned>(count), 0);
    return;
  }
  std::vector<std::thread> threads;
  threads.reserve(static_cast<size_t>(count));
  int64_t mine = 1;
  try {
    while (mine < count) {
      threads.emplace_back(task, context, mine);
      ++mine;
    }
  } catch (const std::system_error&) {
    // No more threads to be had: the other shares are done here.
  }
  task(context, 0);
  for (; mine < count; ++mine) task(context, mine);
  for (std::thread& thread : threads) thread.join();
}

}  // namespace recurra
