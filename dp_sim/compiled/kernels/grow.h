// Memory that a thread keeps from call to call.
#pragma once

#include <cstdint>
#include <vector>

namespace dp_sim {

// Makes room for `most` values; it never shrinks.
template <typename T>
void grow(std::vector<T>& values, int64_t most) {
  if (most > static_cast<int64_t>(values.size())) values.resize(most);
}

}  // namespace dp_sim
