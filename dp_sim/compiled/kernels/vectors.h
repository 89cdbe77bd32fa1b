// Vectors of 64 bytes, which a compiler maps onto whatever registers the processor has, and shorter ones: sums over a loop
// stay in registers only where each fills one (GCC keeps them in memory if it is wider).
#pragma once

#include <cstdint>

#include "processors.h"

namespace dp_sim {

template <typename Real, int bytes = 64>
struct Vector {
  typedef Real type __attribute__((vector_size(bytes), aligned(sizeof(Real)), may_alias));
  static constexpr int lanes = bytes / sizeof(Real);
};

template <int bytes = 64, typename Real>
INLINE const typename Vector<Real, bytes>::type* vectors(const Real* values) {
  return reinterpret_cast<const typename Vector<Real, bytes>::type*>(values);
}

template <int bytes = 64, typename Real>
INLINE typename Vector<Real, bytes>::type* vectors(Real* values) {
  return reinterpret_cast<typename Vector<Real, bytes>::type*>(values);
}

// Sum of the lanes, by halves.
template <typename Real, int lanes>
INLINE Real total(const Real* values) {
  if constexpr (lanes == 1) {
    return values[0];
  } else {
    typedef Real Half __attribute__((vector_size(lanes / 2 * sizeof(Real)), aligned(sizeof(Real)), may_alias));
    const Half* halves = reinterpret_cast<const Half*>(values);
    const Half sum = halves[0] + halves[1];
    return total<Real, lanes / 2>(reinterpret_cast<const Real*>(&sum));
  }
}

template <int bytes, typename Real>
INLINE Real total(const typename Vector<Real, bytes>::type& v) {
  return total<Real, Vector<Real, bytes>::lanes>(reinterpret_cast<const Real*>(&v));
}

// Bytes of a register: there are 32 of 64, and 16 (32 on ARM) of fewer.
inline int register_bytes() {
#if defined(__x86_64__)
  static const int bytes = __builtin_cpu_supports("avx512f") ? 64 : __builtin_cpu_supports("avx2") ? 32 : 16;
  return bytes;
#else
  return 16;
#endif
}

// f<64>, f<32> or f<16> with these arguments, as registers are long
#define WITH_REGISTERS(f, ...)            \
  switch (register_bytes()) {             \
    case 64: f<64>(__VA_ARGS__); break;   \
    case 32: f<32>(__VA_ARGS__); break;   \
    default: f<16>(__VA_ARGS__);          \
  }

}  // namespace dp_sim
