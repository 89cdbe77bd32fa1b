// Memory that a thread keeps from call to call.
#pragma once

#include <cstdint>
#include <new>
#include <vector>

namespace dp_sim {

// Allocates from the beginning of a cache line on: to load or store a vector that lies in two of them takes twice as long.
template <typename T>
struct LineAllocator {
  using value_type = T;
  static constexpr std::align_val_t line{64};

  LineAllocator() = default;
  template <typename Other>
  LineAllocator(const LineAllocator<Other>&) {}

  T* allocate(std::size_t count) { return static_cast<T*>(::operator new(count * sizeof(T), line)); }
  void deallocate(T* values, std::size_t) { ::operator delete(values, line); }
  friend bool operator==(const LineAllocator&, const LineAllocator&) { return true; }
  friend bool operator!=(const LineAllocator&, const LineAllocator&) { return false; }
};

template <typename T>
using Lines = std::vector<T, LineAllocator<T>>;

// Makes room for `most` values; it never shrinks.
template <typename Values>
void grow(Values& values, int64_t most) {
  if (most > static_cast<int64_t>(values.size())) values.resize(most);
}

}  // namespace dp_sim
