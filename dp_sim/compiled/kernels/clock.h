// The processor's time in each part of an evaluation.
#pragma once

#include <time.h>

#include <atomic>
#include <cstdint>

namespace dp_sim {

// Sums over all threads. It reads the time only if it is switched on, because that costs a little.
class Clock {
 public:
  enum Part { descriptor, fitting, derivative, parts };

  explicit Clock(bool on) : on_(on) {}

  // Nanoseconds; differences are meaningful within one thread.
  int64_t now() const {
    if (!on_) return 0;
    timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return 1000000000 * static_cast<int64_t>(t.tv_sec) + t.tv_nsec;
  }
  // Adds the time since `start` to a part; returns the new start.
  int64_t lap(Part part, int64_t start) {
    const int64_t end = now();
    if (on_) nanoseconds_[part] += end - start;
    return end;
  }
  double seconds(int part) const { return 1e-9 * static_cast<double>(nanoseconds_[part]); }

 private:
  bool on_;
  std::atomic<int64_t> nanoseconds_[parts] = {};
};

}  // namespace dp_sim
