#include "parallel.hpp"

#include <condition_variable>
#include <exception>
#include <mutex>
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

// The runtime may start fewer threads than asked for; the work is then divided among those.
void openmp_body(void* data) {
  const Work& work = *static_cast<const Work*>(data);
  const int64_t threads = openmp_thread_count(), mine = openmp_thread_number();
  const int64_t n = threads < work.count ? threads : work.count;
  if (mine < n) work.task(work.context, mine, n);
}

// Plain threads wait until it is known how many there are.
struct Gate {
  std::mutex mutex;
  std::condition_variable opened;
  int64_t n = 0;
};

void plain_body(Gate* gate, Task task, void* context, int64_t k) {
  int64_t n;
  {
    std::unique_lock<std::mutex> lock(gate->mutex);
    gate->opened.wait(lock, [gate] { return gate->n > 0; });
    n = gate->n;
  }
  task(context, k, n);
}

struct Both {
  Entry entry;
  const Call* calls[2];
  int results[2];
};

void alone(Task task, void* context, int64_t) { task(context, 0, 1); }

void both_body(void* context, int64_t k, int64_t n) noexcept {
  Both& both = *static_cast<Both*>(context);
  for (; k < 2; k += n) both.results[k] = both.entry(both.calls[k], alone);
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
  Gate gate;
  std::vector<std::thread> threads;
  int64_t n = 1;
  try {
    threads.reserve(static_cast<size_t>(count));
    for (; n < count; ++n) threads.emplace_back(plain_body, &gate, task, context, n);
  } catch (const std::exception&) {
    // The system has no more threads, or no memory for one: the work is divided among fewer.
  }
  {
    const std::lock_guard<std::mutex> lock(gate.mutex);
    gate.n = n;
  }
  gate.opened.notify_all();
  task(context, 0, n);
  for (std::thread& thread : threads) thread.join();
}

int run_both(Entry entry, const Call* first, const Call* second) {
  Both both{entry, {first, second}, {0, 0}};
  run_parallel(both_body, &both, 2);
  return both.results[0] ? both.results[0] : both.results[1];
}

}  // namespace recurra
