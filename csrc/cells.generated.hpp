// Written by python -m recurra.codegen.built_in from the equations in recurra/cells; do not edit.
#pragma once

#include "vector.hpp"

namespace recurra {
namespace RECURRA_ISA {

struct ElmanTanh {
  static constexpr int gates = 1, parts = 1;
  static constexpr int per_unit = 0, saved = 1;
  static constexpr bool shares_gradient = true, needs_x = false;

  template <class V>
  static inline void forward(const V* x, const V* u, const V* s, const V* p, V* after, V* kept) {
    (void)x, (void)u, (void)s, (void)p, (void)kept;
    const V n0 = x[0];
    const V n1 = u[0];
    const V n3 = n0 + n1;
    const V n4 = vector_tanh(n3);
    after[0] = n4;
    kept[0] = n4;
  }

  template <class V>
  static inline void backward(const V* x, const V* saved, const V* s, const V* p, const V* d, V* dx, V* du,
                              V* ds, V* dp) {
    (void)x, (void)saved, (void)s, (void)p, (void)d, (void)dx, (void)du, (void)ds, (void)dp;
    const V n4 = saved[0];
    const V n5 = splat<V>(0.0);
    const V n6 = d[0];
    const V n7 = n4 * n4;
    const V n8 = splat<V>(1.0);
    const V n9 = n8 - n7;
    const V n10 = n6 * n9;
    dx[0] = n10;
    ds[0] = n5;
  }
};

struct ElmanRelu {
  static constexpr int gates = 1, parts = 1;
  static constexpr int per_unit = 0, saved = 1;
  static constexpr bool shares_gradient = true, needs_x = true;

  template <class V>
  static inline void forward(const V* x, const V* u, const V* s, const V* p, V* after, V* kept) {
    (void)x, (void)u, (void)s, (void)p, (void)kept;
    const V n0 = x[0];
    const V n1 = u[0];
    const V n3 = n0 + n1;
    const V n4 = vector_relu(n3);
    after[0] = n4;
    kept[0] = n1;
  }

  template <class V>
  static inline void backward(const V* x, const V* saved, const V* s, const V* p, const V* d, V* dx, V* du,
                              V* ds, V* dp) {
    (void)x, (void)saved, (void)s, (void)p, (void)d, (void)dx, (void)du, (void)ds, (void)dp;
    const V n0 = x[0];
    const V n1 = saved[0];
    const V n3 = n0 + n1;
    const V n5 = splat<V>(0.0);
    const V n6 = d[0];
    const auto n7 = n3 > n5;
    const V n8 = n7 ? n6 : n5;
    dx[0] = n8;
    ds[0] = n5;
  }
};

struct GatedRecurrentUnit {
  static constexpr int gates = 3, parts = 1;
  static constexpr int per_unit = 0, saved = 4;
  static constexpr bool shares_gradient = false, needs_x = false;

  template <class V>
  static inline void forward(const V* x, const V* u, const V* s, const V* p, V* after, V* kept) {
    (void)x, (void)u, (void)s, (void)p, (void)kept;
    const V n0 = x[0];
    const V n1 = x[1];
    const V n2 = x[2];
    const V n3 = u[0];
    const V n4 = u[1];
    const V n5 = u[2];
    const V n6 = s[0];
    const V n7 = n0 + n3;
    const V n8 = vector_sigmoid(n7);
    const V n9 = n1 + n4;
    const V n10 = vector_sigmoid(n9);
    const V n11 = n5 * n8;
    const V n12 = n2 + n11;
    const V n13 = vector_tanh(n12);
    const V n14 = n6 - n13;
    const V n15 = n10 * n14;
    const V n16 = n13 + n15;
    after[0] = n16;
    kept[0] = n5;
    kept[1] = n8;
    kept[2] = n10;
    kept[3] = n13;
  }

  template <class V>
  static inline void backward(const V* x, const V* saved, const V* s, const V* p, const V* d, V* dx, V* du,
                              V* ds, V* dp) {
    (void)x, (void)saved, (void)s, (void)p, (void)d, (void)dx, (void)du, (void)ds, (void)dp;
    const V n5 = saved[0];
    const V n6 = s[0];
    const V n8 = saved[1];
    const V n10 = saved[2];
    const V n13 = saved[3];
    const V n14 = n6 - n13;
    const V n18 = d[0];
    const V n19 = n14 * n18;
    const V n20 = n10 * n18;
    const V n21 = -n20;
    const V n22 = n18 + n21;
    const V n23 = n13 * n13;
    const V n24 = splat<V>(1.0);
    const V n25 = n24 - n23;
    const V n26 = n22 * n25;
    const V n27 = n8 * n26;
    const V n28 = n5 * n26;
    const V n29 = n24 - n10;
    const V n30 = n10 * n29;
    const V n31 = n19 * n30;
    const V n32 = n24 - n8;
    const V n33 = n8 * n32;
    const V n34 = n28 * n33;
    dx[0] = n34;
    dx[1] = n31;
    dx[2] = n26;
    du[0] = n34;
    du[1] = n31;
    du[2] = n27;
    ds[0] = n20;
  }
};

struct LongShortTermMemory {
  static constexpr int gates = 4, parts = 2;
  static constexpr int per_unit = 0, saved = 5;
  static constexpr bool shares_gradient = true, needs_x = false;

  template <class V>
  static inline void forward(const V* x, const V* u, const V* s, const V* p, V* after, V* kept) {
    (void)x, (void)u, (void)s, (void)p, (void)kept;
    const V n0 = x[0];
    const V n1 = x[1];
    const V n2 = x[2];
    const V n3 = x[3];
    const V n4 = u[0];
    const V n5 = u[1];
    const V n6 = u[2];
    const V n7 = u[3];
    const V n9 = s[1];
    const V n10 = n0 + n4;
    const V n11 = vector_sigmoid(n10);
    const V n12 = n1 + n5;
    const V n13 = vector_sigmoid(n12);
    const V n14 = n2 + n6;
    const V n15 = vector_tanh(n14);
    const V n16 = n3 + n7;
    const V n17 = vector_sigmoid(n16);
    const V n18 = n9 * n13;
    const V n19 = n11 * n15;
    const V n20 = n18 + n19;
    const V n21 = vector_tanh(n20);
    const V n22 = n17 * n21;
    after[0] = n22;
    after[1] = n20;
    kept[0] = n11;
    kept[1] = n13;
    kept[2] = n15;
    kept[3] = n17;
    kept[4] = n21;
  }

  template <class V>
  static inline void backward(const V* x, const V* saved, const V* s, const V* p, const V* d, V* dx, V* du,
                              V* ds, V* dp) {
    (void)x, (void)saved, (void)s, (void)p, (void)d, (void)dx, (void)du, (void)ds, (void)dp;
    const V n9 = s[1];
    const V n11 = saved[0];
    const V n13 = saved[1];
    const V n15 = saved[2];
    const V n17 = saved[3];
    const V n21 = saved[4];
    const V n23 = splat<V>(0.0);
    const V n24 = d[0];
    const V n25 = d[1];
    const V n26 = n21 * n24;
    const V n27 = n17 * n24;
    const V n28 = n21 * n21;
    const V n29 = splat<V>(1.0);
    const V n30 = n29 - n28;
    const V n31 = n27 * n30;
    const V n32 = n25 + n31;
    const V n33 = n15 * n32;
    const V n34 = n11 * n32;
    const V n35 = n13 * n32;
    const V n36 = n9 * n32;
    const V n37 = n29 - n17;
    const V n38 = n17 * n37;
    const V n39 = n26 * n38;
    const V n40 = n15 * n15;
    const V n41 = n29 - n40;
    const V n42 = n34 * n41;
    const V n43 = n29 - n13;
    const V n44 = n13 * n43;
    const V n45 = n36 * n44;
    const V n46 = n29 - n11;
    const V n47 = n11 * n46;
    const V n48 = n33 * n47;
    dx[0] = n48;
    dx[1] = n45;
    dx[2] = n42;
    dx[3] = n39;
    ds[0] = n23;
    ds[1] = n35;
  }
};

}  // namespace RECURRA_ISA
}  // namespace recurra

#define RECURRA_CELLS(X) \
  X(ElmanTanh, "Elman(nonlinearity='tanh')") \
  X(ElmanRelu, "Elman(nonlinearity='relu')") \
  X(GatedRecurrentUnit, "GRU()") \
  X(LongShortTermMemory, "LSTM()")
