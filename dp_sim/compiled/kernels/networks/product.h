// Products with matrices whose columns lie in panels of three vectors: (panels, rows, columns of a panel).
#pragma once

#include <cstdint>

#include "vectors.h"

namespace dp_sim {

template <typename Real>
constexpr int64_t PANEL = 192 / sizeof(Real);

// Rows of a panel that are fetched before they are used: together the weights are larger than the nearer caches.
constexpr int64_t AHEAD = 32;

template <typename Real>
constexpr int64_t whole_panels(int64_t columns) {
  return (columns + PANEL<Real> - 1) / PANEL<Real> * PANEL<Real>;
}

// Numbers in rows, `stride` apart.
template <typename Real>
struct Matrix {
  Real* values;
  int64_t stride;

  Real* row(int64_t r) const { return values + r * stride; }
};

// z (rows, three vectors of `bytes`) = x (rows, n_in) times as many columns of a panel: as many rows as there are registers
// for their sums.
template <int bytes, int rows, typename Real>
INLINE void tile(const Real* x, int64_t x_stride, int64_t n_in, const Real* panel, Real* z, int64_t z_stride) {
  using V = typename Vector<Real, bytes>::type;
  V sum[rows][3] = {};
  for (int64_t k = 0; k < n_in; ++k, panel += PANEL<Real>) {
    for (int byte = 0; byte < 3 * bytes; byte += 64)
      __builtin_prefetch(panel + AHEAD * PANEL<Real> + byte / sizeof(Real));
    const V w0 = vectors<bytes>(panel)[0], w1 = vectors<bytes>(panel)[1], w2 = vectors<bytes>(panel)[2];
    for (int r = 0; r < rows; ++r) {
      const Real value = x[r * x_stride + k];
      sum[r][0] += value * w0, sum[r][1] += value * w1, sum[r][2] += value * w2;
    }
  }
  for (int r = 0; r < rows; ++r)
    for (int v = 0; v < 3; ++v) vectors<bytes>(z + r * z_stride)[v] = sum[r][v];
}

// The same for all columns of the panel and `height` rows, at most `most`.
template <int bytes, int most, typename Real>
INLINE void tiles(int64_t height, const Real* x, int64_t x_stride, int64_t n_in, const Real* panel, Real* z,
                  int64_t z_stride) {
  if constexpr (most > 1)
    if (height < most) return tiles<bytes, most - 1>(height, x, x_stride, n_in, panel, z, z_stride);
  for (int64_t c = 0; c < PANEL<Real>; c += 3 * Vector<Real, bytes>::lanes)
    tile<bytes, most>(x, x_stride, n_in, panel + c, z + c, z_stride);
}

template <int bytes, typename Real>
INLINE void product_in_tiles(Matrix<const Real> x, int64_t rows, int64_t n_in, const Real* panels, int64_t n_out,
                             Matrix<Real> z) {
  constexpr int most = bytes == 64 ? 8 : 4;
  const int64_t count = (rows + most - 1) / most;
  for (int64_t c = 0; c < n_out; c += PANEL<Real>, panels += n_in * PANEL<Real>) {
    for (int64_t k = 0, r = 0; k < count; ++k) {
      const int64_t height = (rows - r + count - k - 1) / (count - k);  // tiles of nearly equal height
      tiles<bytes, most>(height, x.row(r), x.stride, n_in, panels, z.row(r) + c, z.stride);
      r += height;
    }
  }
}

// z (rows, n_out) = x (rows, n_in) W, `panels` of W one after another. A sum over k always runs in the same order, so
// that an atom's energy does not depend on which others it is evaluated with.
template <typename Real>
INLINE void product(Matrix<const Real> x, int64_t rows, int64_t n_in, const Real* panels, int64_t n_out, Matrix<Real> z) {
  WITH_REGISTERS(product_in_tiles, x, rows, n_in, panels, n_out, z)
}

}  // namespace dp_sim
