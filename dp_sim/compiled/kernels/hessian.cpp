// The energy of atom i is a function of T (eq. 10), which is a sum over neighbours, T = sum_n x(r_n) (x) G(s_n). With
// z_l the arguments of the activations in layer l of the fitting net and y_l its outputs, its second derivative by two
// coordinates p, q of the neighbours is
//
//   sum_l sum_h dE/dy_lh y_lh'' dz_lh/dp dz_lh/dq                          the net
//   + sum_ab dE/dD_ab sum_k (dT_ka/dp dT_kb/dq + dT_kb/dp dT_ka/dq)        D = T T' (eq. 11)
//   + delta_nm sum_ka dE/dT_ka d2(x_k G_a)/dp dq                           one neighbour at a time
//
// The first two are one product of matrices, `left` (3 atoms, K) times the transpose of `right` (3 atoms, K); columns
// are dz_l/dp, and dT_kb/dp beside sum_a dE/dD_ab dT_ka/dp. dz_1/dp = sum_kc Q_kch dT_kc/dp with Q = dz_1/dT, and later
// layers follow forward. Coordinates are folded from neighbours to atoms first: r_n = r_j - r_i + a lattice vector.
#include "hessian.h"

#include <algorithm>

#include "second_order.h"
#include "threads.h"

namespace dp_sim {
namespace {

// The atoms on which the energy of one atom depends: those that are asked for first.
struct Dependence {
  std::vector<int64_t> atoms, of_pair;  // of_pair: which of them is the neighbour of each pair of the centre
  int64_t wanted, center;

  void find(const Pairs& pairs, int64_t i, const int64_t* row_of) {
    thread_local std::vector<int64_t> place;  // (atoms,) -1: not among them
    if (static_cast<int64_t>(place.size()) < pairs.atoms) place.resize(pairs.atoms, -1);
    const int64_t begin = pairs.first[i], end = pairs.first[i + 1];
    atoms.clear();
    const auto take = [&](int64_t j, bool asked) {
      if (place[j] >= 0 || (row_of[j] >= 0) != asked) return;
      place[j] = static_cast<int64_t>(atoms.size()), atoms.push_back(j);
    };
    for (const bool asked : {true, false}) {
      take(i, asked);
      for (int64_t p = begin; p < end; ++p) take(pairs.neighbor[p], asked);
      if (asked) wanted = static_cast<int64_t>(atoms.size());
    }
    center = place[i];
    grow(of_pair, end - begin);
    for (int64_t p = begin; p < end; ++p) of_pair[p - begin] = place[pairs.neighbor[p]];
    for (const int64_t j : atoms) place[j] = -1;
  }
};

// Q = dz_1/dT in panels (4 or 1, panels of z_1, M1, PANEL); w: the rows of W_1 of the part's features in its first panel.
INLINE void fill_q(const double* t, int64_t stride, const Contraction& c, const FittingLayer& layer, const double* w,
                   std::vector<double>& q) {
  using V = typename Vector<double>::type;
  constexpr int64_t P = PANEL<double>;
  const int64_t panels = whole_panels<double>(layer.n_out) / P, size = c.columns * P, kinds = c.axis ? 4 : 1;
  grow(q, kinds * panels * size);
  for (int64_t p = 0; p < panels; ++p, w += layer.n_in * P) {
    if (!c.axis) {
      std::copy(w, w + size, q.data() + p * size);
      continue;
    }
    double* out[4];
    for (int k = 0; k < 4; ++k) out[k] = q.data() + (k * panels + p) * size, std::fill_n(out[k], size, 0.0);
    const double* row = w;
    for (int64_t b = 0; b < c.axis; ++b) {
      V sum[4][3] = {};
      for (int64_t a = b; a < c.columns; ++a, row += P)
        for (int k = 0; k < 4; ++k)
          for (int v = 0; v < 3; ++v) {
            vectors(out[k] + a * P)[v] += t[k * stride + b] * vectors(row)[v];
            sum[k][v] += t[k * stride + a] * vectors(row)[v];
          }
      for (int k = 0; k < 4; ++k)
        for (int v = 0; v < 3; ++v) vectors(out[k] + b * P)[v] += sum[k][v];
    }
  }
}

// The second derivatives of one atom's energy by the coordinates of the atoms that it depends on.
struct AtomBlock {
  std::vector<int64_t> atoms;
  int64_t wanted, stride;
  std::vector<double> values;  // (3 wanted, stride)
};

// Memory of a thread.
struct Room {
  Dependence dependence;
  Jets jets;
  Expansion at;
  std::vector<double> slope, q, y, value, v, left, right, packed, in, next;
  std::vector<double> linear;  // dz/dp of a layer whose activation is linear, (3 atoms, its whole_panels)
  std::vector<double> own;  // (neighbours of all parts, 3, 3)
  std::vector<int64_t> own_of;
};

// The columns of `left` and `right`: where those of each layer begin (-1: a layer whose activation is linear has none),
// then those of the parts; K of them in all.
struct Columns {
  std::vector<int64_t> layer, part;
  int64_t count = 0;

  explicit Columns(const Model<double>& model) {
    const auto& layers = model.fitting.net.layers;
    for (size_t k = 0; k + 1 < layers.size(); ++k) {
      const bool curved = layers[k].activation != Activation::linear;
      layer.push_back(curved ? count : -1);
      if (curved) count += whole_panels<double>(layers[k].n_out);
    }
    for (const Part<double>& p : model.parts) {
      part.push_back(count);
      count += 8 * std::visit([](const auto& sum) { return sum.contraction.axis; }, p);
    }
  }
};

INLINE void add_rows(double* to, double* from_center, const double* values, int64_t count) {
  for (int64_t k = 0; k < count; ++k) to[k] += values[k], from_center[k] -= values[k];
}

// G Q and dG/ds Q of the neighbours: two times (n, rows of room.y).
INLINE void multiply_by_q(const double* t, const Sum<double>& sum, const FittingLayer& layer, const double* w, Room& room) {
  const Contraction& c = sum.contraction;
  const int64_t n = room.jets.near.n, row = (c.axis ? 4 : 1) * whole_panels<double>(layer.n_out);
  fill_q(t, sum.width, c, layer, w, room.q);
  grow(room.y, 2 * n * row), grow(room.value, 2 * row);
  for (int64_t k = 0; k < 2; ++k)
    product<double>({room.jets.g.data() + k * sum.width, 3 * sum.width}, n, c.columns, room.q.data(), row,
                    {room.y.data() + k * n * row, row});
}

// A neighbour, and which atoms of the dependence it and the centre are.
struct Neighbor {
  int64_t n, place, center;
  const double *x, *g;  // R~ and G, dG/ds, d2G/ds2
  Tangent tangent;
};

// dz_1/dp = sum_k dx_k/dp (G Q)_k + ds/dp sum_k x_k (dG/ds Q)_k into the rows of `first`
INLINE void add_first_layer(const Neighbor& j, int64_t hidden, int64_t kinds, int64_t n_near, Matrix<double> first,
                            Room& room) {
  const int64_t row = kinds * hidden;
  const double *y = room.y.data() + j.n * row, *y1 = y + n_near * row;
  double *through_g = room.value.data(), *value = through_g + hidden;
  for (int64_t h = 0; h < hidden; ++h) {
    double sum = j.x[0] * y1[h];
    for (int64_t k = 1; k < kinds; ++k) sum += j.x[k] * y1[k * hidden + h];
    through_g[h] = sum;
  }
  for (int a = 0; a < 3; ++a) {
    for (int64_t h = 0; h < hidden; ++h) value[h] = j.tangent.s[a] * through_g[h] + j.tangent.x[0][a] * y[h];
    for (int64_t k = 1; k < kinds; ++k)
      for (int64_t h = 0; h < hidden; ++h) value[h] += j.tangent.x[k][a] * y[k * hidden + h];
    add_rows(first.row(3 * j.place + a), first.row(3 * j.center + a), value, hidden);
  }
}

// sum_a dE/dD_ab dT_ka/dp and dT_kb/dp into the rows of the part's columns; slope: dE/dD
INLINE void add_axis(const Neighbor& j, const Contraction& c, int64_t width, const double* slope, Matrix<double> columns,
                     Room& room) {
  const int64_t axis = c.axis;
  double *v = room.v.data(), *values = v + 2 * axis;
  for (int64_t b = 0; b < axis; slope += c.columns - b, ++b) {
    v[b] = dot(slope, j.g + b, c.columns - b);
    v[axis + b] = dot(slope, j.g + width + b, c.columns - b);
  }
  for (int a = 0; a < 3; ++a) {
    for (int k = 0; k < 4; ++k) {
      const double dx = j.tangent.x[k][a], xs = j.x[k] * j.tangent.s[a];
      for (int64_t b = 0; b < axis; ++b) {
        values[k * axis + b] = dx * v[b] + xs * v[axis + b];
        values[(4 + k) * axis + b] = dx * j.g[b] + xs * j.g[width + b];
      }
    }
    add_rows(columns.row(3 * j.place + a), columns.row(3 * j.center + a), values, 8 * axis);
  }
}

// Adds the terms of one part: dz_1/dp into `first` (3 atoms, stride), its own columns of `right`, and the curvatures of
// single neighbours. `slope`: dE/dD of the part; `w`: see fill_q, null where the net has one layer.
INLINE void add_part(const Pairs& pairs, const Sum<double>& sum, int64_t i, const double* t, const double* slope,
                     const FittingLayer& layer, const double* w, Matrix<double> first, Matrix<double> own_columns,
                     Room& room) {
  const Contraction& c = sum.contraction;
  const Neighborhood& near = room.jets.near;
  const double* scale = sum.scale + 4 * pairs.species[i];
  if (w) multiply_by_q(t, sum, layer, w, room);
  grow(room.slope, 4 * sum.width), grow(room.v, 26 * c.axis);
  contract_gradient(t, sum.width, c, slope, room.slope.data());
  for (int64_t n = 0; n < near.n; ++n) {
    const Neighbor j{n, room.dependence.of_pair[near.pair[n] - pairs.first[i]], room.dependence.center,
                     room.jets.x.data() + 4 * n, room.jets.g.data() + 3 * sum.width * n, tangent(near, scale, n)};
    if (w) add_first_layer(j, whole_panels<double>(layer.n_out), c.axis ? 4 : 1, near.n, first, room);
    if (c.axis) add_axis(j, c, sum.width, slope, own_columns, room);
    double own[3][3];
    own_curvature(room.jets, scale, room.slope.data(), sum.width, n, own);
    room.own_of.push_back(j.place);
    room.own.insert(room.own.end(), &own[0][0], &own[0][0] + 9);
  }
}

// dz_l/dp of the layers after the first, from that of the first, which is in `right` or, where its activation is linear, in room.linear.
INLINE void through_layers(const Model<double>& model, const double* numbers, const Columns& columns, int64_t rows,
                           Matrix<double> right, Room& room) {
  const auto& layers = model.fitting.net.layers;
  std::vector<double>&in = room.in, &next = room.next;
  const int64_t widest = model.fitting.net.widest;
  grow(next, rows * widest), grow(in, rows * widest);
  for (size_t k = 0; k + 2 < layers.size(); ++k) {  // y_k -> z_(k + 1)
    const int64_t width = whole_panels<double>(layers[k].n_out);
    const bool held = columns.layer[k] >= 0;
    const Matrix<double> z = held ? Matrix<double>{right.values + columns.layer[k], right.stride}
                                  : Matrix<double>{room.linear.data(), width};
    const double* slope = room.at.net.layers[k].slope.data();
    for (int64_t r = 0; r < rows; ++r) {
      double* y = next.data() + r * widest;
      for (int64_t h = 0; h < width; ++h) y[h] = slope[h] * z.row(r)[h];
      for (int64_t part = 0; part < layers[k].repeats; ++part)
        for (int64_t h = 0; h < layers[k].n_in; ++h) y[part * layers[k].n_in + h] += in[r * widest + h];
    }
    in.swap(next);
    const FittingLayer& after = layers[k + 1];
    if (columns.layer[k + 1] < 0) grow(room.linear, rows * whole_panels<double>(after.n_out));
    const Matrix<double> to = columns.layer[k + 1] >= 0
                                  ? Matrix<double>{right.values + columns.layer[k + 1], right.stride}
                                  : Matrix<double>{room.linear.data(), whole_panels<double>(after.n_out)};
    product<double>({in.data(), widest}, rows, after.n_in, numbers + after.weight, after.n_out, to);
  }
}

// values = left times the transpose of right: the upper half, which is then mirrored.
INLINE void multiply(Matrix<double> right, int64_t rows, const Columns& columns, Room& room, AtomBlock& out) {
  constexpr int64_t P = PANEL<double>;
  const int64_t wanted = 3 * out.wanted, panels = out.stride / P, count = columns.count;
  grow(room.left, wanted * count), grow(room.packed, P * count);
  for (int64_t r = 0; r < wanted; ++r) {
    double *left = room.left.data() + r * count, *from = right.row(r);
    for (size_t k = 0; k < columns.layer.size(); ++k) {
      if (columns.layer[k] < 0) continue;
      const std::vector<double>& times = room.at.net.layers[k].curvature;
      for (size_t h = 0; h < times.size(); ++h) left[columns.layer[k] + h] = times[h] * from[columns.layer[k] + h];
    }
    for (size_t k = 0; k < columns.part.size(); ++k) {  // the two halves change places
      const int64_t begin = columns.part[k], end = k + 1 < columns.part.size() ? columns.part[k + 1] : columns.count;
      const int64_t half = (end - begin) / 2;
      std::copy(from + begin, from + begin + half, left + begin + half);
      std::copy(from + begin + half, from + end, left + begin);
    }
  }
  for (int64_t p = 0; p < panels; ++p) {
    for (int64_t v = 0; v < P; ++v) {
      const double* from = p * P + v < rows ? right.row(p * P + v) : nullptr;
      for (int64_t k = 0; k < count; ++k) room.packed[k * P + v] = from ? from[k] : 0.0;
    }
    product<double>({room.left.data(), count}, std::min(wanted, (p + 1) * P), count, room.packed.data(), P,
                    {out.values.data() + p * P, out.stride});
  }
  for (int64_t r = 0; r < wanted; ++r)
    for (int64_t s = 0; s < r; ++s) out.values[r * out.stride + s] = out.values[s * out.stride + r];
}

// Adds the curvatures of single neighbours n of centre i: + at (j, j) and (i, i), - at (i, j) and (j, i).
INLINE void add_own(const Room& room, AtomBlock& out) {
  const int64_t i = room.dependence.center;
  for (size_t n = 0; n < room.own_of.size(); ++n) {
    const int64_t j = room.own_of[n], rows[4] = {j, i, i, j}, columns[4] = {j, i, j, i};
    for (int k = 0; k < 4; ++k) {
      if (rows[k] >= out.wanted) continue;
      const double sign = k < 2 ? 1.0 : -1.0;
      for (int a = 0; a < 3; ++a)
        for (int b = 0; b < 3; ++b)
          out.values[(3 * rows[k] + a) * out.stride + 3 * columns[k] + b] += sign * room.own[9 * n + 3 * a + b];
    }
  }
}

// The columns of `right` that belong to the first layer and to the parts; first: dz_1/dp (rows, stride)
INLINE void add_parts(const Pairs& pairs, const Model<double>& model, const Columns& columns, int64_t i,
                      Matrix<double> first, Matrix<double> right, Room& room) {
  const FittingNet<double>& net = model.fitting.net;
  const FittingLayer& layer = net.layers.front();
  const double* weight = model.fitting.numbers + pairs.species[i] * net.size + layer.weight;
  const double *total = room.at.total.data(), *slope = room.at.net.of_features.data();
  room.own.clear(), room.own_of.clear();
  for (size_t k = 0; k < model.parts.size(); ++k) {
    std::visit([&](const auto& p) { find_jets(pairs, p, i, room.jets); }, model.parts[k]);
    const Sum<double>& sum = sum_of(model.parts[k]);
    add_part(pairs, sum, i, total, slope, layer, net.layers.size() > 1 ? weight : nullptr, first,
             Matrix<double>{right.values + columns.part[k], right.stride}, room);
    total += 4 * sum.width, slope += sum.contraction.features(), weight += sum.contraction.features() * PANEL<double>;
  }
}

EACH_PROCESSOR void differentiate(const Pairs& pairs, const Model<double>& model, const Columns& columns, int64_t i,
                                  const int64_t* row_of, AtomBlock& out) {
  thread_local Room room;
  room.dependence.find(pairs, i, row_of);
  out.atoms = room.dependence.atoms, out.wanted = room.dependence.wanted;
  if (!out.wanted) return;
  const int64_t rows = 3 * static_cast<int64_t>(out.atoms.size());
  out.stride = whole_panels<double>(rows);
  out.values.assign(3 * out.wanted * out.stride, 0.0);
  expand_atom(pairs, model, i, room.at);
  room.right.assign(rows * columns.count, 0.0);
  const Matrix<double> right{room.right.data(), columns.count};
  const int64_t width = whole_panels<double>(model.fitting.net.layers.front().n_out);
  const bool held = !columns.layer.empty() && columns.layer.front() >= 0;
  if (!held) room.linear.assign(rows * width, 0.0);
  const Matrix<double> first = held ? Matrix<double>{right.values + columns.layer.front(), right.stride}
                                    : Matrix<double>{room.linear.data(), width};
  add_parts(pairs, model, columns, i, first, right, room);
  through_layers(model, model.fitting.numbers + pairs.species[i] * model.fitting.net.size, columns, rows, right, room);
  multiply(right, rows, columns, room, out);
  add_own(room, out);
}

// Blocks of the atoms of one piece, added up row by row: equal numbers at every call, however many threads there are.
struct Share {
  int64_t row, block, place;  // row of the result; block of an atom, and the place of the row in it
};

void add_row(const Share* begin, const Share* end, const std::vector<AtomBlock>& atoms, const BlockPattern& pattern,
             int64_t n_atoms, double* blocks) {
  thread_local std::vector<int64_t> where;  // (atoms,) the block of this row in each column
  grow(where, n_atoms);
  const int64_t first = pattern.first[begin->row], last = pattern.first[begin->row + 1];
  for (int64_t b = first; b < last; ++b) where[pattern.column[b]] = b;
  for (const Share* share = begin; share < end; ++share) {
    const AtomBlock& atom = atoms[share->block];
    const double* row = atom.values.data() + 3 * share->place * atom.stride;
    for (size_t m = 0; m < atom.atoms.size(); ++m, row += 3) {
      const int64_t b = where[atom.atoms[m]];
      if (b < first || b >= last || pattern.column[b] != atom.atoms[m])
        throw std::runtime_error("dp_sim: the pattern of the Hessian lacks a block");
      double* to = blocks + 9 * b;
      for (int a = 0; a < 3; ++a)
        for (int c = 0; c < 3; ++c) to[3 * a + c] += row[a * atom.stride + c];
    }
  }
}

void add_rows_of(const std::vector<AtomBlock>& atoms, int64_t count, const BlockPattern& pattern, int64_t n_atoms,
                 double* blocks) {
  std::vector<Share> shares;
  for (int64_t k = 0; k < count; ++k)
    for (int64_t m = 0; m < atoms[k].wanted; ++m) shares.push_back({pattern.row_of[atoms[k].atoms[m]], k, m});
  std::stable_sort(shares.begin(), shares.end(), [](const Share& a, const Share& b) { return a.row < b.row; });
  std::vector<int64_t> begins;
  for (size_t k = 0; k < shares.size(); ++k)
    if (!k || shares[k].row != shares[k - 1].row) begins.push_back(static_cast<int64_t>(k));
  begins.push_back(static_cast<int64_t>(shares.size()));
  in_pieces(static_cast<int64_t>(begins.size()) - 1, 1, [&](int64_t k, int64_t) {
    add_row(shares.data() + begins[k], shares.data() + begins[k + 1], atoms, pattern, n_atoms, blocks);
  });
}

// How many atoms from `begin` on are taken together: as many as fit into 64 MiB, but at least four a thread.
int64_t together(const Pairs& pairs, int64_t begin) {
  const int64_t least = 4 * OpenMP::instance().threads();
  double bytes = 0.0;
  int64_t count = 0;
  for (; begin + count < pairs.centers; ++count) {
    const double side = 3.0 * static_cast<double>(pairs.first[begin + count + 1] - pairs.first[begin + count] + 1);
    bytes += 8.0 * side * side;
    if (bytes > 64.0 * 1048576.0 && count >= least) break;
  }
  return count;
}

}  // namespace

void hessian(const Pairs& pairs, const Model<double>& model, const BlockPattern& pattern, double* blocks) {
  const Columns columns(model);
  const auto& layers = model.fitting.net.layers;
  if (layers.size() > 1 && layers.front().repeats)
    throw std::runtime_error("dp_sim: the first layer of the fitting nets has a skip connection");
  std::fill_n(blocks, 9 * pattern.first[pattern.rows], 0.0);
  std::vector<AtomBlock> atoms;
  for (int64_t begin = 0, count; begin < pairs.centers; begin += count) {
    count = together(pairs, begin);
    if (static_cast<int64_t>(atoms.size()) < count) atoms.resize(count);
    in_pieces(count, 1, [&](int64_t k, int64_t) {
      differentiate(pairs, model, columns, begin + k, pattern.row_of, atoms[k]);
    });
    add_rows_of(atoms, count, pattern, pairs.atoms, blocks);
  }
}

}  // namespace dp_sim
