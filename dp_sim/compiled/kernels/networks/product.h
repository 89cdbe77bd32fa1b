// Products with matrices whose columns lie in panels of three vectors: (panels, rows, columns of a panel).
#pragma once

#include <cstdint>

#include "vectors.h"

namespace dp_sim {

template <typename Real>
constexpr int64_t PANEL = 192 / sizeof(Real);

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

// z (rows, a panel's columns) = x (rows, n_in) times a panel: as many rows as there are registers for their sums.
template <int rows, typename Real>
INLINE void tile(const Real* x, int64_t x_stride, int64_t n_in, const Real* panel, Real* z, int64_t z_stride) {
  using V = typename Vector<Real>::type;
  V sum[rows][3] = {};
  for (int64_t k = 0; k < n_in; ++k, panel += PANEL<Real>) {
    const V w0 = vectors(panel)[0], w1 = vectors(panel)[1], w2 = vectors(panel)[2];
    for (int r = 0; r < rows; ++r) {
      const Real value = x[r * x_stride + k];
      sum[r][0] += value * w0, sum[r][1] += value * w1, sum[r][2] += value * w2;
    }
  }
  for (int r = 0; r < rows; ++r)
    for (int v = 0; v < 3; ++v) vectors(z + r * z_stride)[v] = sum[r][v];
}

// z (rows, n_out) = x (rows, n_in) W, `panels` of W one after another. A sum over k always runs in the same order, so
// that an atom's energy does not depend on which others it is evaluated with.
template <typename Real>
INLINE void product(Matrix<const Real> x, int64_t rows, int64_t n_in, const Real* panels, int64_t n_out, Matrix<Real> z) {
  const int64_t most = many_registers() ? 8 : 2, tiles = (rows + most - 1) / most;
  for (int64_t c = 0; c < n_out; c += PANEL<Real>, panels += n_in * PANEL<Real>) {
    for (int64_t k = 0, r = 0; k < tiles; ++k) {
      const int64_t height = (rows - r + tiles - k - 1) / (tiles - k);  // tiles of nearly equal height
      const Real* from = x.row(r);
      Real* to = z.row(r) + c;
      switch (height) {
        case 1: tile<1>(from, x.stride, n_in, panels, to, z.stride); break;
        case 2: tile<2>(from, x.stride, n_in, panels, to, z.stride); break;
        case 3: tile<3>(from, x.stride, n_in, panels, to, z.stride); break;
        case 4: tile<4>(from, x.stride, n_in, panels, to, z.stride); break;
        case 5: tile<5>(from, x.stride, n_in, panels, to, z.stride); break;
        case 6: tile<6>(from, x.stride, n_in, panels, to, z.stride); break;
        case 7: tile<7>(from, x.stride, n_in, panels, to, z.stride); break;
        default: tile<8>(from, x.stride, n_in, panels, to, z.stride);
      }
      r += height;
    }
  }
}

}  // namespace dp_sim
