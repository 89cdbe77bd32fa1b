#include "fitting_net.h"

#include <utility>


namespace dp_sim {
namespace {

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
                               double* energies, double* hidden) {
  Real *x = room.x.data(), *z = room.z.data(), *slope = room.slopes.data();
  int64_t stride = a.layers.front().n_in;  // of x
  for (const FittingLayer& layer : a.layers) {
    const int64_t width = whole_panels<Real>(layer.n_out);
    if (hidden && &layer == &a.layers.back())
      for (int64_t r = 0; r < rows; ++r) std::copy_n(x + r * stride, layer.n_in, hidden + r * layer.n_in);
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
                                 double* energies, double* hidden) {
  return through_net(a, net, rows, room, energies, hidden);
}
EACH_PROCESSOR const float* fit(const FittingNet<float>& a, const float* net, int64_t rows, FittingRoom<float>& room,
                                double* energies, double* hidden) {
  return through_net(a, net, rows, room, energies, hidden);
}

}  // namespace dp_sim
