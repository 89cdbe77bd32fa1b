#include "search.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "processors.h"

namespace dp_sim {
namespace {

void invert(const double a[3][3], double out[3][3]) {
  double determinant = 0;
  for (int k = 0; k < 3; ++k) {
    const int l = (k + 1) % 3, m = (k + 2) % 3;
    for (int c = 0; c < 3; ++c) {
      const int d = (c + 1) % 3, e = (c + 2) % 3;
      out[c][k] = a[l][d] * a[m][e] - a[l][e] * a[m][d];
    }
  }
  for (int c = 0; c < 3; ++c) determinant += a[0][c] * out[c][0];
  for (int k = 0; k < 3; ++k)
    for (int c = 0; c < 3; ++c) out[c][k] /= determinant;
}

int64_t floor_divide(int64_t a, int64_t b) { return a >= 0 ? a / b : -((b - 1 - a) / b); }

constexpr int64_t CHUNK = 64;  // distances at a time

// Squared distances. The count and the list must agree to the last bit, so both call the same machine code: a function
// chosen when the library loads is never inlined.
EACH_PROCESSOR void squares(const double* x, const double* y, const double* z, int64_t count, const double* point,
                            double* __restrict out) {
  for (int64_t k = 0; k < count; ++k) {
    const double dx = x[k] - point[0], dy = y[k] - point[1], dz = z[k] - point[2];
    out[k] = dx * dx + dy * dy + dz * dz;
  }
}

}  // namespace

Cells::Cells(const System& system, double cutoff) : cutoff_(cutoff), start_(system.start) {
  for (int k = 0; k < 3; ++k) {
    periodic_[k] = system.periodic[k] != 0;
    for (int c = 0; c < 3; ++c) box_[k][c] = system.box[3 * k + c];
  }
  complete();
  invert(box_, inverse_);
  wrapped_.resize(3 * system.count), turns_.assign(3 * system.count, 0.0), cell_.resize(system.count);
  wrap(system.positions + 3 * system.start);
  divide();
  sort();
}

// Vectors along open axes become unit vectors normal to all others.
void Cells::complete() {
  double rest[3][3] = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}};  // the projector on what no vector spans yet
  const auto span = [&](const double v[3]) {
    double u[3], square = 0;
    for (int c = 0; c < 3; ++c) u[c] = rest[c][0] * v[0] + rest[c][1] * v[1] + rest[c][2] * v[2], square += u[c] * u[c];
    for (int c = 0; c < 3; ++c)
      for (int d = 0; d < 3; ++d) rest[c][d] -= u[c] * u[d] / square;
  };
  for (int k = 0; k < 3; ++k)
    if (periodic_[k]) span(box_[k]);
  for (int k = 0; k < 3; ++k) {
    if (periodic_[k]) continue;
    int widest = 0;  // which unit vector has most of itself outside of the span
    for (int c = 1; c < 3; ++c) widest = rest[c][c] > rest[widest][widest] ? c : widest;
    const double length = std::sqrt(rest[widest][widest]);
    for (int c = 0; c < 3; ++c) box_[k][c] = rest[widest][c] / length;
    span(box_[k]);
  }
}

// Fractional coordinates f = r @ inverse, wrapped into 0..1 along periodic axes; along open ones they are in Angstrom.
void Cells::wrap(const double* positions) {
  for (int k = 0; k < 3; ++k) low_[k] = INFINITY, high_[k] = -INFINITY;
  for (size_t p = 0; p < wrapped_.size(); p += 3) {
    const double* r = positions + p;
    for (int k = 0; k < 3; ++k) {
      double f = r[0] * inverse_[0][k] + r[1] * inverse_[1][k] + r[2] * inverse_[2][k];
      if (!(std::fabs(f) < 1e15)) throw std::runtime_error("dp_sim: a position is NaN, infinite or too far away");
      if (periodic_[k]) f -= turns_[p + k] = std::floor(f);
      wrapped_[p + k] = f, low_[k] = std::min(low_[k], f), high_[k] = std::max(high_[k], f);
    }
  }
  for (int k = 0; k < 3; ++k)
    if (!periodic_[k] && high_[k] - low_[k] > 8.0 * cutoff_) close_gaps(k);
}

// Empty stretches along open axis k cut down to twice the cutoff: atoms on their two sides have no pair in any image,
// and nearly all of the cells would be empty.
void Cells::close_gaps(int k) {
  std::vector<size_t> rising;
  for (size_t p = k; p < wrapped_.size(); p += 3) rising.push_back(p);
  std::sort(rising.begin(), rising.end(), [&](size_t p, size_t q) { return wrapped_[p] < wrapped_[q]; });
  double before = low_[k], excess = 0;
  for (size_t p : rising) {
    excess += std::max(0.0, wrapped_[p] - before - 2.0 * cutoff_);
    before = wrapped_[p], wrapped_[p] -= excess;
  }
  high_[k] -= excess;
}

// How many cells along each axis, and the cell of each atom; those of an open axis divide the extent of the atoms.
void Cells::divide() {
  const double most = std::cbrt(8.0 * cell_.size() + 64.0);  // along an axis: no more cells than there are atoms, nearly
  for (int k = 0; k < 3; ++k) {
    double height = 0;  // between the faces of the box: 1 / |column k of the inverse|
    for (int c = 0; c < 3; ++c) height += inverse_[c][k] * inverse_[c][k];
    height = 1.0 / std::sqrt(height);
    if (!periodic_[k]) height *= std::max(high_[k] - low_[k], 1e-3 * cutoff_ / height) * (1.0 + 1e-12);
    cells_[k] = static_cast<int64_t>(std::max(1.0, std::min(most, std::floor(2.0 * height / cutoff_))));
    reach_[k] = static_cast<int64_t>(std::ceil(cutoff_ * cells_[k] / height * (1.0 + 1e-12)));
  }
  for (size_t i = 0; i < cell_.size(); ++i) {
    int64_t at[3];
    for (int k = 0; k < 3; ++k) {
      const double f = wrapped_[3 * i + k], extent = high_[k] - low_[k];
      const double share = periodic_[k] ? f : extent > 0 ? (f - low_[k]) / extent : 0.0;
      at[k] = std::min(cells_[k] - 1, static_cast<int64_t>(share * cells_[k]));
    }
    cell_[i] = (at[0] * cells_[1] + at[1]) * cells_[2] + at[2];
  }
}

void Cells::sort() {
  const int64_t n = static_cast<int64_t>(cell_.size());
  first_.assign(cells_[0] * cells_[1] * cells_[2] + 1, 0);
  for (int64_t c : cell_) ++first_[c + 1];
  for (size_t c = 1; c < first_.size(); ++c) first_[c] += first_[c - 1];
  order_.resize(n), x_.resize(n), y_.resize(n), z_.resize(n);
  std::vector<int64_t> next(first_.begin(), first_.end() - 1);
  for (int64_t i = 0; i < n; ++i) {
    const int64_t to = next[cell_[i]]++;
    const double* f = wrapped_.data() + 3 * i;
    order_[to] = i;
    x_[to] = f[0] * box_[0][0] + f[1] * box_[1][0] + f[2] * box_[2][0];
    y_[to] = f[0] * box_[0][1] + f[1] * box_[1][1] + f[2] * box_[2][1];
    z_[to] = f[0] * box_[0][2] + f[1] * box_[1][2] + f[2] * box_[2][2];
  }
}

// visit(image, from, to, point): atoms from..to (in the order of cells) of an image of the box that may be near atom i,
// which then lies at `point` as they see it.
template <typename Visit>
void Cells::segments(int64_t i, const Visit& visit) const {
  const int64_t at[3] = {cell_[i] / (cells_[1] * cells_[2]), cell_[i] / cells_[2] % cells_[1], cell_[i] % cells_[2]};
  int64_t low[3], high[3], image[3];
  for (int k = 0; k < 3; ++k) {
    low[k] = at[k] - reach_[k], high[k] = at[k] + reach_[k];
    if (!periodic_[k]) low[k] = std::max<int64_t>(low[k], 0), high[k] = std::min(high[k], cells_[k] - 1);
  }
  for (int64_t a = low[0]; a <= high[0]; ++a) {
    image[0] = floor_divide(a, cells_[0]);
    for (int64_t b = low[1]; b <= high[1]; ++b) {
      image[1] = floor_divide(b, cells_[1]);
      const int64_t row = ((a - image[0] * cells_[0]) * cells_[1] + b - image[1] * cells_[1]) * cells_[2];
      for (int64_t c = low[2], length; c <= high[2]; c += length) {  // cells of one image lie side by side
        image[2] = floor_divide(c, cells_[2]);
        const int64_t start = c - image[2] * cells_[2];
        length = std::min(high[2] - c + 1, cells_[2] - start);
        double point[3];
        for (int k = 0; k < 3; ++k) {
          point[k] = 0;
          for (int l = 0; l < 3; ++l) point[k] += (wrapped_[3 * i + l] - image[l]) * box_[l][k];
        }
        visit(image, first_[row + start], first_[row + start + length], point);
      }
    }
  }
}

int64_t Cells::count(int64_t atom) const {
  int64_t found = -1;  // the atom itself is among them
  segments(atom - start_, [&](const int64_t*, int64_t from, int64_t end, const double* point) {
    double square[CHUNK];
    for (int64_t begin = from; begin < end; begin += CHUNK) {
      const int64_t count = std::min(CHUNK, end - begin);
      squares(x_.data() + begin, y_.data() + begin, z_.data() + begin, count, point, square);
      for (int64_t k = 0; k < count; ++k) found += square[k] < cutoff_ * cutoff_;
    }
  });
  return found;
}

double Cells::write(int64_t atom, const PairTarget& to) const {
  const int64_t i = atom - start_;
  int64_t found = 0;
  double closest = INFINITY;
  segments(i, [&](const int64_t* image, int64_t from, int64_t end, const double* point) {
    const bool home = !image[0] && !image[1] && !image[2];
    double square[CHUNK];
    for (int64_t begin = from; begin < end; begin += CHUNK) {
      const int64_t count = std::min(CHUNK, end - begin);
      squares(x_.data() + begin, y_.data() + begin, z_.data() + begin, count, point, square);
      for (int64_t k = 0; k < count; ++k) {
        const int64_t j = order_[begin + k];
        if (square[k] >= cutoff_ * cutoff_ || (home && j == i)) continue;
        to.center[found] = atom, to.neighbor[found] = start_ + j;
        for (int c = 0; c < 3; ++c) to.shift[3 * found + c] = image[c] + turns_[3 * i + c] - turns_[3 * j + c];
        closest = std::min(closest, square[k]);
        ++found;
      }
    }
  });
  return closest;
}

}  // namespace dp_sim
