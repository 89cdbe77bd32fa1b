#include "fitting_net.h"

#include <utility>

#include "vectors.h"

namespace dp_sim {
namespace {

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

// x (rows, n_in) -> z (rows, n_out), and the slope of the part that is not handed on
template <typename Real>
INLINE void forth(const FittingLayer& layer, const Real* net, int64_t rows, Matrix<const Real> x, Matrix<Real> z,
                  Real* slope) {
  product(x, rows, layer.n_in, net + layer.weight, layer.n_out, z);
  activate(layer.activation, static_cast<Real>(layer.threshold),
           Rows<Real>{z.values, slope, rows, z.stride, z.stride, net + layer.bias, net + layer.step, false});
  for (int64_t part = 0; part < layer.repeats; ++part)
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t k = 0; k < layer.n_in; ++k) z.row(r)[part * layer.n_in + k] += x.row(r)[k];
}

// dE/dy (rows, n_out) and the slope, which is overwritten -> dE/dx (rows, n_in)
template <typename Real>
INLINE void back(const FittingLayer& layer, const Real* net, int64_t rows, Matrix<const Real> gradient, Real* slope,
                 Matrix<Real> before) {
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t k = 0; k < layer.n_out; ++k) slope[r * gradient.stride + k] *= gradient.row(r)[k];
  product({slope, gradient.stride}, rows, layer.n_out, net + layer.transposed, layer.n_in, before);
  for (int64_t part = 0; part < layer.repeats; ++part)
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t k = 0; k < layer.n_in; ++k) before.row(r)[k] += gradient.row(r)[part * layer.n_in + k];
}

template <typename Real>
INLINE const Real* through_net(const FittingNet<Real>& a, const Real* net, int64_t rows, FittingRoom<Real>& room,
                               double* energies) {
  Real *x = room.x.data(), *z = room.z.data(), *slope = room.slopes.data();
  int64_t stride = a.layers.front().n_in;  // of x
  for (const FittingLayer& layer : a.layers) {
    const int64_t width = whole_panels<Real>(layer.n_out);
    forth(layer, net, rows, {x, stride}, {z, width}, slope);
    slope += rows * width, stride = width;
    std::swap(x, z);
  }
  for (int64_t r = 0; r < rows; ++r) energies[r] = x[r * stride], x[r * stride] = 1;  // dE/dE
  for (auto layer = a.layers.rbegin(); layer != a.layers.rend(); ++layer) {
    const int64_t width = whole_panels<Real>(layer->n_in);
    slope -= rows * stride;
    back(*layer, net, rows, {x, stride}, slope, {z, width});
    stride = width;
    std::swap(x, z);
  }
  return x;
}

}  // namespace

EACH_PROCESSOR const double* fit(const FittingNet<double>& a, const double* net, int64_t rows, FittingRoom<double>& room,
                                 double* energies) {
  return through_net(a, net, rows, room, energies);
}
EACH_PROCESSOR const float* fit(const FittingNet<float>& a, const float* net, int64_t rows, FittingRoom<float>& room,
                                double* energies) {
  return through_net(a, net, rows, room, energies);
}

}  // namespace dp_sim
