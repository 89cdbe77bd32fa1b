#include "embedding_net.h"

#include <algorithm>
#include <utility>

#include "grow.h"
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

// out = z + x, or (x, x), in vectors, of which the last overlaps the one before.
template <typename Real>
INLINE void skip(const Layer& layer, const Real* x, const Real* z, Real* out) {
  constexpr int64_t lanes = Vector<Real>::lanes;
  *vectors(out + layer.stride - lanes) = *vectors(z + layer.stride - lanes);  // what pads the row, too
  for (int64_t part = 0; part < layer.repeats; ++part, z += layer.n_in, out += layer.n_in) {
    if (layer.n_in < lanes)
      for (int64_t k = 0; k < layer.n_in; ++k) out[k] = z[k] + x[k];
    else
      for (int64_t k = 0; k < layer.n_in; k += lanes) {
        const int64_t c = std::min(k, layer.n_in - lanes);
        *vectors(out + c) = *vectors(z + c) + *vectors(x + c);
      }
  }
}

// Rows of numbers to work in: the input of a layer, and what comes of it.
template <typename Real>
struct Room {
  Lines<Real> numbers;
  Real *x, *z, *sum;

  void open(int64_t rows) {
    grow(numbers, 3 * rows);
    x = numbers.data(), z = x + rows, sum = z + rows;
  }
};

// room.x (rows, 1) -> G and, in the rows behind the values, its derivatives, in room.x.
template <int bytes, int values, int derivatives, int width, typename Real>
INLINE void through_layers(const Architecture<Real>& a, const Real* net, Room<Real>& room) {
  constexpr int rows = (1 + derivatives) * values;
  for (const Layer& layer : a.layers) {
    Real* z = room.z;
    product<bytes, rows, width>(room.x, layer, net, a.widest, z);
    const Real *step = layer.has_step ? net + layer.step : nullptr, *bias = net + layer.bias;
    Real *first = z + values * a.widest, *second = first + values * a.widest;
    if (derivatives == 2)
      activate_curved(a.activation, a.threshold,
                      CurvedRows<Real>{z, first, second, values, layer.stride, a.widest, bias, step});
    else
      activate(a.activation, a.threshold,
               Rows<Real>{z, derivatives ? first : nullptr, values, layer.stride, a.widest, bias, step, true});
    if (layer.repeats)
      for (int64_t at = 0; at < rows * a.widest; at += a.widest) skip(layer, room.x + at, z + at, room.sum + at);
    std::swap(room.x, layer.repeats ? room.sum : room.z);
  }
}

template <int bytes, int values, int derivatives, int width, typename Real>
INLINE void in_tiles(const Architecture<Real>& a, const Real* net, const Inputs& inputs, Real* out) {
  thread_local Room<Real> room;
  constexpr int rows = (1 + derivatives) * values;
  room.open(rows * a.widest);
  const int64_t stride = a.layers.back().stride;
  for (int64_t begin = 0; begin < inputs.count; begin += values) {
    const int64_t* order = inputs.order + begin;
    const int64_t last = inputs.count - begin - 1;  // fills the rows that are left in the last tile
    for (int64_t r = 0; r < values; ++r) {
      const double s = inputs.s[order[r < last ? r : last]];
      Real* x = room.x + r * a.widest;
      x[0] = static_cast<Real>((s - inputs.mean) / inputs.deviation);
      if (derivatives) x[values * a.widest] = static_cast<Real>(1.0 / inputs.deviation);
      if (derivatives == 2) x[2 * values * a.widest] = 0;
    }
    const auto result = [&](int64_t r) { return out + order[r] * (1 + derivatives) * stride; };
    for (int64_t r = 0; r < values && r <= last; ++r)  // it lies in far memory, and comes while the layers are at work
      for (int64_t c = 0; c < (1 + derivatives) * stride; c += Vector<Real>::lanes) __builtin_prefetch(result(r) + c, 1);
    through_layers<bytes, values, derivatives, width>(a, net, room);
    for (int64_t r = 0; r < values && r <= last; ++r) {
      Real* row = result(r);
      for (int64_t k = r; k < rows; k += values, row += stride)
        for (int64_t c = 0; c < stride; c += Vector<Real>::lanes) *vectors(row + c) = *vectors(room.x + k * a.widest + c);
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
