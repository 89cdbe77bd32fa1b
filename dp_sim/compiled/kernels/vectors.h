// Vectors of 64 bytes, which a compiler maps onto whatever registers the processor has.
#pragma once

#include <cstdint>

#include "processors.h"

namespace dp_sim {

template <typename Real>
struct Vector {
  typedef Real type __attribute__((vector_size(64), aligned(sizeof(Real)), may_alias));
  static constexpr int lanes = 64 / sizeof(Real);
};

template <typename Real>
INLINE const typename Vector<Real>::type* vectors(const Real* values) {
  return reinterpret_cast<const typename Vector<Real>::type*>(values);
}

template <typename Real>
INLINE typename Vector<Real>::type* vectors(Real* values) {
  return reinterpret_cast<typename Vector<Real>::type*>(values);
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

template <typename Real>
INLINE Real total(const typename Vector<Real>::type& v) {
  return total<Real, Vector<Real>::lanes>(reinterpret_cast<const Real*>(&v));
}

// Whether there are 32 registers of 64 bytes, so that many sums can be kept in them.
inline bool many_registers() {
#if defined(__x86_64__)
  static const bool many = __builtin_cpu_supports("avx512f");
  return many;
#else
  return false;
#endif
}

}  // namespace dp_sim
