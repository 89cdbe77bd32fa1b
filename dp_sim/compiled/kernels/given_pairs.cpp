#include "given_pairs.h"

#include <cmath>
#include <limits>

#include "threads.h"

namespace dp_sim {
namespace {

constexpr int64_t PIECE = 32;  // centres whose lists a thread takes at a time
constexpr double NO_CELL[9] = {};

// visit(our index of the neighbour, squared distance) for what the list of a centre has within the cutoff
template <typename Visit>
INLINE void each_near(const GivenAtoms& given, int64_t i, const int* place, double cutoff, const Visit& visit) {
  const double* a = given.positions + 3 * i;
  const int* list = given.lists[i];
  for (int k = 0, count = given.counts[i]; k < count; ++k) {
    const int j = list[k] & given.mask;
    const double *b = given.positions + 3 * j, x = b[0] - a[0], y = b[1] - a[1], z = b[2] - a[2];
    const double square = x * x + y * y + z * z;
    if (square < cutoff * cutoff && place[j] >= 0) visit(place[j], square);
  }
}

}  // namespace

// Numbers the atoms that are seen, and takes over their species and positions.
bool GivenPairs::number(const GivenAtoms& given, int64_t& culprit) {
  place_.assign(given.atoms, -1);
  atom_.clear(), entry_.clear(), species_.clear();
  const auto add = [&](int64_t i) {
    place_[i] = static_cast<int>(atom_.size());
    atom_.push_back(i), species_.push_back(given.species[i]);
  };
  for (int64_t k = 0; k < given.centers; ++k)
    if (given.species[given.center[k]] >= 0) add(given.center[k]), entry_.push_back(k);
  centers_ = atoms();
  for (int64_t i = 0; i < given.atoms; ++i)
    if (given.species[i] >= 0 && place_[i] < 0) add(i);
  positions_.resize(3 * atom_.size()), system_.resize(centers_, 0);
  for (int64_t k = 0; k < atoms(); ++k) {
    const double* r = given.positions + 3 * atom_[k];
    if (!std::isfinite(r[0] + r[1] + r[2])) return culprit = atom_[k], false;
    for (int axis = 0; axis < 3; ++axis) positions_[3 * k + axis] = r[axis];
  }
  return true;
}

bool GivenPairs::find(const GivenAtoms& given, double cutoff, int64_t& culprit) {
  closest_ = {-1, -1, std::numeric_limits<double>::infinity()};
  first_.assign(1, 0), neighbor_.clear(), centers_ = 0;
  if (!number(given, culprit)) return false;
  first_.assign(centers_ + 1, 0);
  in_pieces(centers_, PIECE, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      each_near(given, atom_[i], place_.data(), cutoff, [&](int64_t, double) { ++first_[i + 1]; });
  });
  for (int64_t i = 0; i < centers_; ++i) first_[i + 1] += first_[i];
  neighbor_.resize(first_[centers_]);
  const int64_t pieces = (centers_ + PIECE - 1) / PIECE;
  std::vector<Closest> nearest(pieces, closest_);
  in_pieces(centers_, PIECE, [&](int64_t begin, int64_t end) {
    Closest& least = nearest[begin / PIECE];
    for (int64_t i = begin; i < end; ++i) {
      int64_t* next = neighbor_.data() + first_[i];
      each_near(given, atom_[i], place_.data(), cutoff, [&](int64_t j, double square) {
        *next++ = j;
        if (square < least.distance) least = {atom_[i], atom_[j], square};
      });
    }
  });
  for (const Closest& one : nearest)
    if (one.distance < closest_.distance) closest_ = one;
  closest_.distance = std::sqrt(closest_.distance);
  return true;
}

Pairs GivenPairs::pairs() const {
  return {centers_, atoms(), 1, positions_.data(), NO_CELL, system_.data(), species_.data(), first_.data(),
          neighbor_.data(), nullptr};
}

}  // namespace dp_sim
