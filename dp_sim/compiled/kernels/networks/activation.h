// Activations on rows of numbers: value and slope. The same functions as torch's (dp_sim/networks/dense.py).
#pragma once

#include <cstdint>

namespace dp_sim {

// In the order of dp_sim/compiled/embedding_layout.py.
enum class Activation : int64_t { tanh, gelu, gelu_tanh, silu, softplus, sigmoid, relu, relu6, linear, silut };

// Columns are whole vectors: rows end in padding (vectors.h).
//
// z (rows, columns) -> f(z + bias), times `step` (columns) where it is not null; the derivative of that by z goes into
// `slope` (rows, columns), which it multiplies if `times` says so. A null slope is left out.
template <typename Real>
struct Rows {
  Real *z, *slope;
  int64_t rows, columns, stride;
  const Real *bias, *step;
  bool times;
};

// Numbers z (rows, columns) that depend on one variable, with their first and second derivatives, `stride` apart like z.
template <typename Real>
struct CurvedRows {
  Real *z, *first, *second;
  int64_t rows, columns, stride;
  const Real *bias, *step;
};

// threshold: of silut
void activate(Activation, double threshold, const Rows<double>&);
void activate(Activation, float threshold, const Rows<float>&);

// The same with derivatives: z -> f(z + bias), z' -> f' z', z'' -> f'' z'^2 + f' z'', all times `step` where there is one.
void activate_curved(Activation, double threshold, const CurvedRows<double>&);
void activate_curved(Activation, float threshold, const CurvedRows<float>&);

}  // namespace dp_sim
