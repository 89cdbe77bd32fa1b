#include "net_sum.h"

#include <algorithm>

namespace dp_sim {
namespace {

// G of the neighbours of an atom, and its derivatives: evaluated together for all that share a net. dG/ds comes with G
// where a gradient follows: together they cost less than G twice.
template <typename Real>
class NetRows {
  using V = typename Vector<Real>::type;

 public:
  void open(const Nets<Real>& nets, Kept<Real>* kept) {
    nets_ = &nets, slopes_ = kept ? 1 : 0, kept_ = kept ? kept : &own_;
    kept_->used = 0;
    grow(first_, nets.count + 1);
  }

  INLINE void for_sum(const Pairs& pairs, int64_t i, const Neighborhood& near) { prepare(pairs, i, near, slopes_); }
  INLINE void for_gradient(const Pairs&, int64_t, const Neighborhood& near) {
    stride_ = 2 * nets_->width, values_ = kept_->next(near.n * stride_);
  }
  INLINE void for_jets(const Pairs& pairs, int64_t i, const Neighborhood& near) { prepare(pairs, i, near, 2); }

  INLINE void prepare(const Pairs& pairs, int64_t i, const Neighborhood& near, int derivatives) {
    const Nets<Real>& t = *nets_;
    stride_ = (1 + derivatives) * t.width;
    values_ = kept_->next(near.n * stride_);
    sort(pairs, i, near);
    const double* input = t.inputs + 2 * pairs.species[i];
    for (int64_t net = 0, begin = 0; net < t.count; begin = first_[net++]) {
      const Inputs inputs{near.s.data(), order_.data() + begin, first_[net] - begin, input[0], input[1]};
      evaluate(t.architecture, t.numbers + net * t.architecture.size, inputs, derivatives, values_);
    }
  }

  template <int bytes>
  INLINE typename Vector<Real, bytes>::type value(int64_t n, int64_t c) const {
    return vectors<bytes>(values_ + n * stride_)[c];
  }

  template <int bytes>
  INLINE void value_and_slope(int64_t n, int64_t c, typename Vector<Real, bytes>::type& g,
                              typename Vector<Real, bytes>::type& slope) const {
    const auto* row = vectors<bytes>(values_ + n * stride_) + c;
    g = row[0], slope = row[nets_->width / Vector<Real, bytes>::lanes];
  }

  INLINE V curvature(int64_t n, int64_t c) const {
    return vectors(values_ + n * stride_)[c + 2 * nets_->width / Vector<Real>::lanes];
  }

 private:
  // Neighbours in the order of their nets; first_[k] is where those of net k end.
  INLINE void sort(const Pairs& pairs, int64_t i, const Neighborhood& near) {
    const int64_t* net_of = nets_->net_of + pairs.species[i] * nets_->n_species;
    grow(order_, near.n), grow(net_, near.n);
    std::fill(first_.begin(), first_.end(), 0);
    for (int64_t n = 0; n < near.n; ++n) {
      net_[n] = net_of[pairs.species[pairs.neighbor[near.pair[n]]]];
      ++first_[net_[n] + 1];
    }
    for (int64_t k = 0; k < nets_->count; ++k) first_[k + 1] += first_[k];
    for (int64_t n = 0; n < near.n; ++n) order_[first_[net_[n]]++] = n;
  }

  const Nets<Real>* nets_;
  int slopes_;      // 1 where a gradient follows
  Kept<Real>* kept_;
  Kept<Real> own_;  // where none does
  Real* values_;    // (n, 1 + derivatives, M), in what is kept
  int64_t stride_;
  std::vector<int64_t> first_, order_, net_;
};

template <typename Real>
INLINE NetRows<Real>& rows_of(const Nets<Real>& nets, Kept<Real>* kept) {
  thread_local NetRows<Real> rows;
  rows.open(nets, kept);
  return rows;
}

}  // namespace

DEFINE_PART(Nets, double)
DEFINE_PART(Nets, float)
DEFINE_JETS(Nets)

}  // namespace dp_sim
