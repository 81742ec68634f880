#include "instruction_sets.hpp"

namespace recurra {

std::vector<std::string> instruction_sets() {
  std::vector<std::string> sets;
#if defined(__x86_64__) || defined(_M_X64)
  __builtin_cpu_init();
  // AVX2 kernels also use fused multiply-add, so neither counts without the other.
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) sets.emplace_back("avx2");
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"))
    sets.emplace_back("avx512");
#elif defined(__aarch64__)
  sets.emplace_back("neon");
#endif
  return sets;
}

std::string processor_vendor() {
#if defined(__x86_64__) || defined(_M_X64)
  __builtin_cpu_init();
  if (__builtin_cpu_is("intel")) return "intel";
  if (__builtin_cpu_is("amd")) return "amd";
#endif
  return "other";
}

LargeProductEntries large_products(const std::string& instruction_set) {
#if defined(__x86_64__)
  if (instruction_set == "avx2") return avx2::large_products();
  if (instruction_set == "avx512") return avx512::large_products();
#endif
  return baseline::large_products();
}

}  // namespace recurra
