#include "embedding_net.h"

#include <utility>

#include "vectors.h"

namespace dp_sim {
namespace {

// z (rows, `width` vectors of `bytes`) = x (rows, n_in) times as many columns of W, from vector c on.
template <int bytes, int rows, int width, typename Real>
INLINE void tile(const Real* x, const Layer& layer, const Real* net, int64_t widest, int64_t c, Real* z) {
  typename Vector<Real, bytes>::type sum[rows][width] = {};
  const Real* w = net + layer.weight;
  for (int64_t k = 0; k < layer.n_in; ++k, w += layer.stride)
    for (int r = 0; r < rows; ++r)
      for (int v = 0; v < width; ++v) sum[r][v] += x[r * widest + k] * vectors<bytes>(w)[c + v];
  for (int r = 0; r < rows; ++r)
    for (int v = 0; v < width; ++v) vectors<bytes>(z + r * widest)[c + v] = sum[r][v];
}

// z (rows, columns) = x (rows, n_in) W. Tiles of three vectors were slower than those of two.
template <int bytes, int rows, int width, typename Real>
INLINE void product(const Real* x, const Layer& layer, const Real* net, int64_t widest, Real* z) {
  int64_t c = 0, columns = layer.stride / Vector<Real, bytes>::lanes;
  for (; c + width <= columns; c += width) tile<bytes, rows, width>(x, layer, net, widest, c, z);
  for (; c < columns; ++c) tile<bytes, rows, 1>(x, layer, net, widest, c, z);
}

template <int rows, typename Real>
INLINE void skip(const Layer& layer, const Real* x, int64_t widest, Real* z) {
  for (int r = 0; r < rows; ++r, x += widest, z += widest)
    for (int64_t part = 0; part < layer.repeats; ++part)
      for (int64_t k = 0; k < layer.n_in; ++k) z[part * layer.n_in + k] += x[k];
}

// x (rows, 1) -> G and, in the rows behind the values, its derivatives, in x; z is room to work in.
template <int bytes, int values, int derivatives, int width, typename Real>
INLINE void through_layers(const Architecture<Real>& a, const Real* net, Real*& x, Real*& z) {
  constexpr int rows = (1 + derivatives) * values;
  for (const Layer& layer : a.layers) {
    product<bytes, rows, width>(x, layer, net, a.widest, z);
    const Real *step = layer.has_step ? net + layer.step : nullptr, *bias = net + layer.bias;
    Real *first = z + values * a.widest, *second = first + values * a.widest;
    if (derivatives == 2)
      activate_curved(a.activation, a.threshold,
                      CurvedRows<Real>{z, first, second, values, layer.stride, a.widest, bias, step});
    else
      activate(a.activation, a.threshold,
               Rows<Real>{z, derivatives ? first : nullptr, values, layer.stride, a.widest, bias, step, true});
    if (layer.repeats) skip<rows>(layer, x, a.widest, z);
    std::swap(x, z);
  }
}

template <int bytes, int values, int derivatives, int width, typename Real>
INLINE void in_tiles(const Architecture<Real>& a, const Real* net, const Inputs& inputs, Real* out) {
  using V = typename Vector<Real>::type;
  constexpr int rows = (1 + derivatives) * values;
  thread_local std::vector<Real> room;
  if (static_cast<int64_t>(room.size()) < 2 * rows * a.widest) room.resize(2 * rows * a.widest);
  const int64_t stride = a.layers.back().stride, columns = stride / Vector<Real>::lanes;
  for (int64_t begin = 0; begin < inputs.count; begin += values) {
    const int64_t* order = inputs.order + begin;
    const int64_t last = inputs.count - begin - 1;  // fills the rows that are left in the last tile
    Real *x = room.data(), *z = x + rows * a.widest;
    for (int64_t r = 0; r < values; ++r) {
      const double s = inputs.s[order[r < last ? r : last]];
      x[r * a.widest] = static_cast<Real>((s - inputs.mean) / inputs.deviation);
      if (derivatives) x[(values + r) * a.widest] = static_cast<Real>(1.0 / inputs.deviation);
      if (derivatives == 2) x[(2 * values + r) * a.widest] = 0;
    }
    through_layers<bytes, values, derivatives, width>(a, net, x, z);
    for (int64_t r = 0; r < values && r <= last; ++r) {
      V* row = vectors(out + order[r] * (1 + derivatives) * stride);
      for (int64_t k = 0; k <= derivatives; ++k)
        for (int64_t c = 0; c < columns; ++c) row[k * columns + c] = vectors(x + (k * values + r) * a.widest)[c];
    }
  }
}

// As many rows of a product as there are registers for their sums.
template <int bytes, typename Real>
INLINE void choose_tiles(const Architecture<Real>& a, const Real* net, const Inputs& inputs, int derivatives, Real* out) {
  if (derivatives == 2)
    in_tiles<bytes, 2, 2, bytes == 64 ? 1 : 2>(a, net, inputs, out);
  else if (derivatives)
    in_tiles<bytes, bytes == 64 ? 4 : 2, 1, 2>(a, net, inputs, out);
  else
    in_tiles<bytes, bytes == 64 ? 8 : 4, 0, 2>(a, net, inputs, out);
}

}  // namespace

EACH_PROCESSOR void evaluate(const Architecture<double>& a, const double* net, const Inputs& inputs, int derivatives,
                             double* out) {
  WITH_REGISTERS(choose_tiles, a, net, inputs, derivatives, out)
}
EACH_PROCESSOR void evaluate(const Architecture<float>& a, const float* net, const Inputs& inputs, int derivatives,
                             float* out) {
  WITH_REGISTERS(choose_tiles, a, net, inputs, derivatives, out)
}

}  // namespace dp_sim
