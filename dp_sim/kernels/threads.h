// Threads: those of torch. It brings an OpenMP runtime whose threads wait for work by spinning, so a second pool beside
// it would fight it for the processor. Its entry point is looked up when the library loads, hence nothing is linked.
#pragma once

#include <dlfcn.h>

#include <atomic>
#include <cstdint>

namespace dp_sim {

struct OpenMP {
  void (*parallel)(void (*)(void*), void*, unsigned, unsigned);
  int (*max_threads)();
  int (*in_parallel)();

  template <typename F>
  static void find(F& function, const char* name) {
    function = reinterpret_cast<F>(dlsym(RTLD_DEFAULT, name));
  }
  OpenMP() {
    find(parallel, "GOMP_parallel"), find(max_threads, "omp_get_max_threads");
    find(in_parallel, "omp_in_parallel");
    if (!parallel || !max_threads || !in_parallel) parallel = nullptr;  // then everything runs in one thread
  }
  static const OpenMP& instance() {
    static const OpenMP openmp;
    return openmp;
  }
  int threads() const { return parallel && !in_parallel() ? max_threads() : 1; }
};

// work(begin, end) for pieces of 0..count, handed to whichever thread is free.
template <typename Work>
void in_pieces(int64_t count, int64_t piece, const Work& work) {
  std::atomic<int64_t> next{0};
  auto share = [&] {
    for (int64_t begin; (begin = next.fetch_add(piece)) < count;)
      work(begin, begin + piece < count ? begin + piece : count);
  };
  const int threads = count > piece ? OpenMP::instance().threads() : 1;
  if (threads <= 1) return share();
  const auto entry = [](void* data) { (*static_cast<decltype(share)*>(data))(); };
  OpenMP::instance().parallel(entry, &share, static_cast<unsigned>(threads), 0);
}

}  // namespace dp_sim
