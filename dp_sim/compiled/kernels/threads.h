// Threads: those of torch. It brings an OpenMP runtime whose threads wait for work by spinning, so a second pool beside
// it would fight it for the processor. Its entry point is looked up when the library loads, hence nothing is linked.
#pragma once

#include <dlfcn.h>

#include <atomic>
#include <cstdint>
#include <exception>

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

// work(begin, end) for pieces of 0..count, handed to whichever thread is free. The first exception ends it and reaches the
// caller: none may leave a thread of OpenMP's.
template <typename Work>
void in_pieces(int64_t count, int64_t piece, const Work& work) {
  std::atomic<int64_t> next{0};
  std::exception_ptr failure;
  std::atomic_flag failed = ATOMIC_FLAG_INIT;
  auto share = [&] {
    try {
      for (int64_t begin; (begin = next.fetch_add(piece)) < count;)
        work(begin, begin + piece < count ? begin + piece : count);
    } catch (...) {
      if (!failed.test_and_set()) failure = std::current_exception();
      next = count;
    }
  };
  const int threads = count > piece ? OpenMP::instance().threads() : 1;
  const auto entry = [](void* data) { (*static_cast<decltype(share)*>(data))(); };
  if (threads > 1)
    OpenMP::instance().parallel(entry, &share, static_cast<unsigned>(threads), 0);
  else
    share();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace dp_sim
