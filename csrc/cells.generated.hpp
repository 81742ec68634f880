// Written by python -m recurra.codegen.built_in from the equations in recurra/cells; do not edit.
#pragma once

#include "vector.hpp"

namespace recurra {
namespace RECURRA_ISA {

struct CfC {
  static constexpr int gates = 4, parts = 1;
  static constexpr int second_stage = 0;
  static constexpr int per_unit = 0, prepared = 0, saved = 3;
  static constexpr bool shares_gradient = true, mixes_units = true;
  static constexpr bool diagonal = false;

  template <class V>
  static inline void prepare(const V* p, V* ready) {
    (void)p, (void)ready;
  }

  template <class V>
  static inline void prepare_backward(const V* p, const V* d, V* dp) {
    (void)p, (void)d, (void)dp;
  }

  template <class V>
  static inline void forward(const V* x, const V* u, const V* s, const V* p, V* after, V* saved) {
    (void)x, (void)u, (void)s, (void)p, (void)after, (void)saved;
    const V n0 = x[0];
    const V n1 = x[1];
    const V n2 = x[2];
    const V n3 = x[3];
    const V n4 = u[0];
    const V n5 = u[1];
    const V n6 = u[2];
    const V n7 = u[3];
    const V n9 = n0 + n4;
    const V n10 = vector_tanh(n9);
    const V n11 = n1 + n5;
    const V n12 = vector_tanh(n11);
    const V n13 = n2 + n6;
    const V n15 = n3 + n7;
    const V n16 = n13 + n15;
    const V n17 = vector_sigmoid(n16);
    const V n18 = n12 - n10;
    const V n19 = n17 * n18;
    const V n20 = n10 + n19;
    after[0] = n20;
    saved[0] = n10;
    saved[1] = n12;
    saved[2] = n17;
  }

  template <class V>
  static inline void backward(const V* x, const V* u, const V* saved, const V* s, const V* p, const V* d, V* dx, V* du, V* ds, V* dp) {
    (void)x, (void)u, (void)saved, (void)s, (void)p, (void)d, (void)dx, (void)du, (void)ds, (void)dp;
    const V n10 = saved[0];
    const V n12 = saved[1];
    const V n14 = splat<V>(1.0);
    const V n17 = saved[2];
    const V n18 = n12 - n10;
    const V n21 = splat<V>(0.0);
    const V n22 = d[0];
    const V n23 = n18 * n22;
    const V n24 = n17 * n22;
    const V n25 = -n24;
    const V n26 = n22 + n25;
    const V n27 = n14 - n17;
    const V n28 = n17 * n27;
    const V n29 = n23 * n28;
    const V n30 = n12 * n12;
    const V n31 = n14 - n30;
    const V n32 = n24 * n31;
    const V n33 = n10 * n10;
    const V n34 = n14 - n33;
    const V n35 = n26 * n34;
    dx[0] = n35;
    dx[1] = n32;
    dx[2] = n29;
    dx[3] = n29;
    ds[0] = n21;
  }
};

struct CoupledLSTM {
  static constexpr int gates = 3, parts = 2;
  static constexpr int second_stage = 0;
  static constexpr int per_unit = 0, prepared = 0, saved = 4;
  static constexpr bool shares_gradient = true, mixes_units = true;
  static constexpr bool diagonal = false;

  template <class V>
  static inline void prepare(const V* p, V* ready) {
    (void)p, (void)ready;
  }

  template <class V>
  static inline void prepare_backward(const V* p, const V* d, V* dp) {
    (void)p, (void)d, (void)dp;
  }

  template <class V>
  static inline void forward(const V* x, const V* u, const V* s, const V* p, V* after, V* saved) {
    (void)x, (void)u, (void)s, (void)p, (void)after, (void)saved;
    const V n0 = x[0];
    const V n1 = x[1];
    const V n2 = x[2];
    const V n3 = u[0];
    const V n4 = u[1];
    const V n5 = u[2];
    const V n7 = s[1];
    const V n8 = n0 + n3;
    const V n9 = vector_sigmoid(n8);
    const V n10 = n1 + n4;
    const V n11 = vector_tanh(n10);
    const V n12 = n2 + n5;
    const V n13 = vector_sigmoid(n12);
    const V n14 = n7 - n11;
    const V n15 = n9 * n14;
    const V n16 = n11 + n15;
    const V n17 = vector_tanh(n16);
    const V n18 = n13 * n17;
    after[0] = n18;
    after[1] = n16;
    saved[0] = n9;
    saved[1] = n11;
    saved[2] = n13;
    saved[3] = n17;
  }

  template <class V>
  static inline void backward(const V* x, const V* u, const V* saved, const V* s, const V* p, const V* d, V* dx, V* du, V* ds, V* dp) {
    (void)x, (void)u, (void)saved, (void)s, (void)p, (void)d, (void)dx, (void)du, (void)ds, (void)dp;
    const V n7 = s[1];
    const V n9 = saved[0];
    const V n11 = saved[1];
    const V n13 = saved[2];
    const V n14 = n7 - n11;
    const V n17 = saved[3];
    const V n19 = splat<V>(0.0);
    const V n20 = d[0];
    const V n21 = d[1];
    const V n22 = n17 * n20;
    const V n23 = n13 * n20;
    const V n24 = n17 * n17;
    const V n25 = splat<V>(1.0);
    const V n26 = n25 - n24;
    const V n27 = n23 * n26;
    const V n28 = n21 + n27;
    const V n29 = n14 * n28;
    const V n30 = n9 * n28;
    const V n31 = -n30;
    const V n32 = n28 + n31;
    const V n33 = n25 - n13;
    const V n34 = n13 * n33;
    const V n35 = n22 * n34;
    const V n36 = n11 * n11;
    const V n37 = n25 - n36;
    const V n38 = n32 * n37;
    const V n39 = n25 - n9;
    const V n40 = n9 * n39;
    const V n41 = n29 * n40;
    dx[0] = n41;
    dx[1] = n38;
    dx[2] = n35;
    ds[0] = n19;
    ds[1] = n30;
  }
};

struct ElmanRelu {
  static constexpr int gates = 1, parts = 1;
  static constexpr int second_stage = 0;
  static constexpr int per_unit = 0, prepared = 0, saved = 1;
  static constexpr bool shares_gradient = true, mixes_units = true;
  static constexpr bool diagonal = false;

  template <class V>
  static inline void prepare(const V* p, V* ready) {
    (void)p, (void)ready;
  }

  template <class V>
  static inline void prepare_backward(const V* p, const V* d, V* dp) {
    (void)p, (void)d, (void)dp;
  }

  template <class V>
  static inline void forward(const V* x, const V* u, const V* s, const V* p, V* after, V* saved) {
    (void)x, (void)u, (void)s, (void)p, (void)after, (void)saved;
    const V n0 = x[0];
    const V n1 = u[0];
    const V n3 = n0 + n1;
    const V n4 = vector_relu(n3);
    after[0] = n4;
    saved[0] = n3;
  }

  template <class V>
  static inline void backward(const V* x, const V* u, const V* saved, const V* s, const V* p, const V* d, V* dx, V* du, V* ds, V* dp) {
    (void)x, (void)u, (void)saved, (void)s, (void)p, (void)d, (void)dx, (void)du, (void)ds, (void)dp;
    const V n3 = saved[0];
    const V n5 = splat<V>(0.0);
    const V n6 = d[0];
    const auto n7 = n3 > n5;
    const V n8 = n7 ? n6 : n5;
    dx[0] = n8;
    ds[0] = n5;
  }
};

struct ElmanSigmoid {
  static constexpr int gates = 1, parts = 1;
  static constexpr int second_stage = 0;
  static constexpr int per_unit = 0, prepared = 0, saved = 1;
  static constexpr bool shares_gradient = true, mixes_units = true;
  static constexpr bool diagonal = false;

  template <class V>
  static inline void prepare(const V* p, V* ready) {
    (void)p, (void)ready;
  }

  template <class V>
  static inline void prepare_backward(const V* p, const V* d, V* dp) {
    (void)p, (void)d, (void)dp;
  }

  template <class V>
  static inline void forward(const V* x, const V* u, const V* s, const V* p, V* after, V* saved) {
    (void)x, (void)u, (void)s, (void)p, (void)after, (void)saved;
    const V n0 = x[0];
    const V n1 = u[0];
    const V n3 = n0 + n1;
    const V n4 = vector_sigmoid(n3);
    after[0] = n4;
    saved[0] = n4;
  }

  template <class V>
  static inline void backward(const V* x, const V* u, const V* saved, const V* s, const V* p, const V* d, V* dx, V* du, V* ds, V* dp) {
    (void)x, (void)u, (void)saved, (void)s, (void)p, (void)d, (void)dx, (void)du, (void)ds, (void)dp;
    const V n4 = saved[0];
    const V n5 = splat<V>(0.0);
    const V n6 = d[0];
    const V n7 = splat<V>(1.0);
    const V n8 = n7 - n4;
    const V n9 = n4 * n8;
    const V n10 = n6 * n9;
    dx[0] = n10;
    ds[0] = n5;
  }
};

struct ElmanTanh {
  static constexpr int gates = 1, parts = 1;
  static constexpr int second_stage = 0;
  static constexpr int per_unit = 0, prepared = 0, saved = 1;
  static constexpr bool shares_gradient = true, mixes_units = true;
  static constexpr bool diagonal = false;

  template <class V>
  static inline void prepare(const V* p, V* ready) {
    (void)p, (void)ready;
  }

  template <class V>
  static inline void prepare_backward(const V* p, const V* d, V* dp) {
    (void)p, (void)d, (void)dp;
  }

  template <class V>
  static inline void forward(const V* x, const V* u, const V* s, const V* p, V* after, V* saved) {
    (void)x, (void)u, (void)s, (void)p, (void)after, (void)saved;
    const V n0 = x[0];
    const V n1 = u[0];
    const V n3 = n0 + n1;
    const V n4 = vector_tanh(n3);
    after[0] = n4;
    saved[0] = n4;
  }

  template <class V>
  static inline void backward(const V* x, const V* u, const V* saved, const V* s, const V* p, const V* d, V* dx, V* du, V* ds, V* dp) {
    (void)x, (void)u, (void)saved, (void)s, (void)p, (void)d, (void)dx, (void)du, (void)ds, (void)dp;
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

struct FastGRNN {
  static constexpr int gates = 1, parts = 1;
  static constexpr int second_stage = 0;
  static constexpr int per_unit = 4, prepared = 4, saved = 2;
  static constexpr bool shares_gradient = true, mixes_units = true;
  static constexpr bool diagonal = false;

  template <class V>
  static inline void prepare(const V* p, V* ready) {
    (void)p, (void)ready;
    const V n3 = p[0];
    const V n4 = p[1];
    const V n5 = p[2];
    const V n6 = p[3];
    const V n12 = vector_sigmoid(n5);
    const V n16 = vector_sigmoid(n6);
    ready[0] = n3;
    ready[1] = n4;
    ready[2] = n12;
    ready[3] = n16;
  }

  template <class V>
  static inline void prepare_backward(const V* p, const V* d, V* dp) {
    (void)p, (void)d, (void)dp;
    const V n5 = p[2];
    const V n6 = p[3];
    const V n12 = vector_sigmoid(n5);
    const V n13 = splat<V>(1.0);
    const V n16 = vector_sigmoid(n6);
    const V n37 = d[0];
    const V n38 = d[1];
    const V n39 = d[2];
    const V n40 = d[3];
    const V n41 = n13 - n16;
    const V n42 = n16 * n41;
    const V n43 = n40 * n42;
    const V n44 = n13 - n12;
    const V n45 = n12 * n44;
    const V n46 = n39 * n45;
    dp[0] = n37;
    dp[1] = n38;
    dp[2] = n46;
    dp[3] = n43;
  }

  template <class V>
  static inline void forward(const V* x, const V* u, const V* s, const V* p, V* after, V* saved) {
    (void)x, (void)u, (void)s, (void)p, (void)after, (void)saved;
    const V n0 = x[0];
    const V n1 = u[0];
    const V n2 = s[0];
    const V n3 = p[0];
    const V n4 = p[1];
    const V n7 = n0 + n1;
    const V n8 = n3 + n7;
    const V n9 = vector_sigmoid(n8);
    const V n10 = n4 + n7;
    const V n11 = vector_tanh(n10);
    const V n12 = p[2];
    const V n13 = splat<V>(1.0);
    const V n14 = n13 - n9;
    const V n15 = n12 * n14;
    const V n16 = p[3];
    const V n17 = n15 + n16;
    const V n18 = n11 * n17;
    const V n19 = n2 * n9;
    const V n20 = n18 + n19;
    after[0] = n20;
    saved[0] = n9;
    saved[1] = n11;
  }

  template <class V>
  static inline void backward(const V* x, const V* u, const V* saved, const V* s, const V* p, const V* d, V* dx, V* du, V* ds, V* dp) {
    (void)x, (void)u, (void)saved, (void)s, (void)p, (void)d, (void)dx, (void)du, (void)ds, (void)dp;
    const V n2 = s[0];
    const V n9 = saved[0];
    const V n11 = saved[1];
    const V n12 = p[2];
    const V n13 = splat<V>(1.0);
    const V n14 = n13 - n9;
    const V n15 = n12 * n14;
    const V n16 = p[3];
    const V n17 = n15 + n16;
    const V n22 = d[0];
    const V n23 = n9 * n22;
    const V n24 = n2 * n22;
    const V n25 = n17 * n22;
    const V n26 = n11 * n22;
    const V n27 = n14 * n26;
    const V n28 = n12 * n26;
    const V n29 = -n28;
    const V n30 = n24 + n29;
    const V n31 = n11 * n11;
    const V n32 = n13 - n31;
    const V n33 = n25 * n32;
    const V n34 = n9 * n14;
    const V n35 = n30 * n34;
    const V n36 = n33 + n35;
    dx[0] = n36;
    ds[0] = n23;
    dp[0] = n35;
    dp[1] = n33;
    dp[2] = n27;
    dp[3] = n26;
  }
};

struct GRU {
  static constexpr int gates = 3, parts = 1;
  static constexpr int second_stage = 0;
  static constexpr int per_unit = 0, prepared = 0, saved = 4;
  static constexpr bool shares_gradient = false, mixes_units = true;
  static constexpr bool diagonal = false;

  template <class V>
  static inline void prepare(const V* p, V* ready) {
    (void)p, (void)ready;
  }

  template <class V>
  static inline void prepare_backward(const V* p, const V* d, V* dp) {
    (void)p, (void)d, (void)dp;
  }

  template <class V>
  static inline void forward(const V* x, const V* u, const V* s, const V* p, V* after, V* saved) {
    (void)x, (void)u, (void)s, (void)p, (void)after, (void)saved;
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
    saved[0] = n5;
    saved[1] = n8;
    saved[2] = n10;
    saved[3] = n13;
  }

  template <class V>
  static inline void backward(const V* x, const V* u, const V* saved, const V* s, const V* p, const V* d, V* dx, V* du, V* ds, V* dp) {
    (void)x, (void)u, (void)saved, (void)s, (void)p, (void)d, (void)dx, (void)du, (void)ds, (void)dp;
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

struct GRUD {
  static constexpr int gates = 4, parts = 1;
  static constexpr int second_stage = 3;
  static constexpr int per_unit = 0, prepared = 0, saved = 6;
  static constexpr bool shares_gradient = false, mixes_units = true;
  static constexpr bool diagonal = false;

  template <class V>
  static inline void prepare(const V* p, V* ready) {
    (void)p, (void)ready;
  }

  template <class V>
  static inline void prepare_backward(const V* p, const V* d, V* dp) {
    (void)p, (void)d, (void)dp;
  }

  template <class V>
  static inline void forward(const V* x, const V* u, const V* s, const V* p, V* after, V* saved) {
    (void)x, (void)u, (void)s, (void)p, (void)after, (void)saved;
    const V n0 = x[0];
    const V n1 = x[1];
    const V n2 = x[2];
    const V n3 = x[3];
    const V n5 = u[1];
    const V n6 = u[2];
    const V n7 = u[3];
    const V n8 = s[0];
    const V n9 = vector_relu(n0);
    const V n10 = -n9;
    const V n11 = vector_exp(n10);
    const V n12 = n8 * n11;
    const V n14 = n1 + n5;
    const V n15 = vector_sigmoid(n14);
    const V n16 = n2 + n6;
    const V n17 = vector_sigmoid(n16);
    const V n18 = n7 * n15;
    const V n19 = n3 + n18;
    const V n20 = vector_tanh(n19);
    const V n21 = n12 - n20;
    const V n22 = n17 * n21;
    const V n23 = n20 + n22;
    after[0] = n23;
    saved[0] = n0;
    saved[1] = n7;
    saved[2] = n11;
    saved[3] = n15;
    saved[4] = n17;
    saved[5] = n20;
  }

  template <class V>
  static inline void backward(const V* x, const V* u, const V* saved, const V* s, const V* p, const V* d, V* dx, V* du, V* ds, V* dp) {
    (void)x, (void)u, (void)saved, (void)s, (void)p, (void)d, (void)dx, (void)du, (void)ds, (void)dp;
    const V n0 = saved[0];
    const V n7 = saved[1];
    const V n8 = s[0];
    const V n11 = saved[2];
    const V n12 = n8 * n11;
    const V n13 = splat<V>(0.0);
    const V n15 = saved[3];
    const V n17 = saved[4];
    const V n20 = saved[5];
    const V n21 = n12 - n20;
    const V n24 = d[0];
    const V n25 = n21 * n24;
    const V n26 = n17 * n24;
    const V n27 = -n26;
    const V n28 = n24 + n27;
    const V n29 = n20 * n20;
    const V n30 = splat<V>(1.0);
    const V n31 = n30 - n29;
    const V n32 = n28 * n31;
    const V n33 = n15 * n32;
    const V n34 = n7 * n32;
    const V n35 = n30 - n17;
    const V n36 = n17 * n35;
    const V n37 = n25 * n36;
    const V n38 = n30 - n15;
    const V n39 = n15 * n38;
    const V n40 = n34 * n39;
    const V n41 = n11 * n26;
    const V n42 = n8 * n26;
    const V n43 = n11 * n42;
    const V n44 = -n43;
    const auto n45 = n0 > n13;
    const V n46 = n45 ? n44 : n13;
    dx[0] = n46;
    dx[1] = n40;
    dx[2] = n37;
    dx[3] = n32;
    du[0] = n13;
    du[1] = n40;
    du[2] = n37;
    du[3] = n33;
    ds[0] = n41;
  }

  template <class V>
  static inline V modulated(const V* x, const V* u, const V* s, const V* p) {
    (void)x, (void)u, (void)s, (void)p;
    const V n0 = x[0];
    const V n8 = s[0];
    const V n9 = vector_relu(n0);
    const V n10 = -n9;
    const V n11 = vector_exp(n10);
    const V n12 = n8 * n11;
    return n12;
  }

  template <class V>
  static inline void modulated_backward(const V* x, const V* u, const V* saved, const V* s, const V* p, V d, V* dx, V* du, V* ds, V* dp) {
    (void)x, (void)u, (void)saved, (void)s, (void)p, (void)d, (void)dx, (void)du, (void)ds, (void)dp;
    const V n0 = saved[0];
    const V n8 = s[0];
    const V n11 = saved[2];
    const V n13 = splat<V>(0.0);
    const auto n45 = n0 > n13;
    const V n47 = d;
    const V n48 = n11 * n47;
    const V n49 = n8 * n47;
    const V n50 = n11 * n49;
    const V n51 = -n50;
    const V n52 = n45 ? n51 : n13;
    dx[0] = n52;
    dx[1] = n13;
    dx[2] = n13;
    dx[3] = n13;
    du[0] = n13;
    du[1] = n13;
    du[2] = n13;
    du[3] = n13;
    ds[0] = n48;
  }
};

struct GRUResetBefore {
  static constexpr int gates = 3, parts = 1;
  static constexpr int second_stage = 1;
  static constexpr int per_unit = 0, prepared = 0, saved = 3;
  static constexpr bool shares_gradient = true, mixes_units = true;
  static constexpr bool diagonal = false;

  template <class V>
  static inline void prepare(const V* p, V* ready) {
    (void)p, (void)ready;
  }

  template <class V>
  static inline void prepare_backward(const V* p, const V* d, V* dp) {
    (void)p, (void)d, (void)dp;
  }

  template <class V>
  static inline void forward(const V* x, const V* u, const V* s, const V* p, V* after, V* saved) {
    (void)x, (void)u, (void)s, (void)p, (void)after, (void)saved;
    const V n0 = x[0];
    const V n1 = x[1];
    const V n2 = x[2];
    const V n3 = u[0];
    const V n4 = u[1];
    const V n5 = u[2];
    const V n6 = s[0];
    const V n7 = n0 + n3;
    const V n8 = vector_sigmoid(n7);
    const V n11 = n1 + n4;
    const V n12 = vector_sigmoid(n11);
    const V n13 = n2 + n5;
    const V n14 = vector_tanh(n13);
    const V n15 = n6 - n14;
    const V n16 = n12 * n15;
    const V n17 = n14 + n16;
    after[0] = n17;
    saved[0] = n8;
    saved[1] = n12;
    saved[2] = n14;
  }

  template <class V>
  static inline void backward(const V* x, const V* u, const V* saved, const V* s, const V* p, const V* d, V* dx, V* du, V* ds, V* dp) {
    (void)x, (void)u, (void)saved, (void)s, (void)p, (void)d, (void)dx, (void)du, (void)ds, (void)dp;
    const V n6 = s[0];
    const V n10 = splat<V>(0.0);
    const V n12 = saved[1];
    const V n14 = saved[2];
    const V n15 = n6 - n14;
    const V n18 = d[0];
    const V n19 = n15 * n18;
    const V n20 = n12 * n18;
    const V n21 = -n20;
    const V n22 = n18 + n21;
    const V n23 = n14 * n14;
    const V n24 = splat<V>(1.0);
    const V n25 = n24 - n23;
    const V n26 = n22 * n25;
    const V n27 = n24 - n12;
    const V n28 = n12 * n27;
    const V n29 = n19 * n28;
    dx[0] = n10;
    dx[1] = n29;
    dx[2] = n26;
    ds[0] = n20;
  }

  template <class V>
  static inline V modulated(const V* x, const V* u, const V* s, const V* p) {
    (void)x, (void)u, (void)s, (void)p;
    const V n0 = x[0];
    const V n3 = u[0];
    const V n6 = s[0];
    const V n7 = n0 + n3;
    const V n8 = vector_sigmoid(n7);
    const V n9 = n6 * n8;
    return n9;
  }

  template <class V>
  static inline void modulated_backward(const V* x, const V* u, const V* saved, const V* s, const V* p, V d, V* dx, V* du, V* ds, V* dp) {
    (void)x, (void)u, (void)saved, (void)s, (void)p, (void)d, (void)dx, (void)du, (void)ds, (void)dp;
    const V n6 = s[0];
    const V n8 = saved[0];
    const V n10 = splat<V>(0.0);
    const V n24 = splat<V>(1.0);
    const V n30 = d;
    const V n31 = n8 * n30;
    const V n32 = n6 * n30;
    const V n33 = n24 - n8;
    const V n34 = n8 * n33;
    const V n35 = n32 * n34;
    dx[0] = n35;
    dx[1] = n10;
    dx[2] = n10;
    ds[0] = n31;
  }
};

struct IndRNNRelu {
  static constexpr int gates = 1, parts = 1;
  static constexpr int second_stage = 0;
  static constexpr int per_unit = 0, prepared = 0, saved = 0;
  static constexpr bool shares_gradient = true, mixes_units = false;
  static constexpr bool diagonal = true;

  template <class V>
  static inline void prepare(const V* p, V* ready) {
    (void)p, (void)ready;
  }

  template <class V>
  static inline void prepare_backward(const V* p, const V* d, V* dp) {
    (void)p, (void)d, (void)dp;
  }

  template <class V>
  static inline void forward(const V* x, const V* u, const V* s, const V* p, V* after, V* saved) {
    (void)x, (void)u, (void)s, (void)p, (void)after, (void)saved;
    const V n0 = x[0];
    const V n1 = u[0];
    const V n3 = n0 + n1;
    const V n4 = vector_relu(n3);
    after[0] = n4;
  }

  template <class V>
  static inline void backward(const V* x, const V* u, const V* saved, const V* s, const V* p, const V* d, V* dx, V* du, V* ds, V* dp) {
    (void)x, (void)u, (void)saved, (void)s, (void)p, (void)d, (void)dx, (void)du, (void)ds, (void)dp;
    const V n0 = x[0];
    const V n1 = u[0];
    const V n3 = n0 + n1;
    const V n5 = splat<V>(0.0);
    const V n6 = d[0];
    const auto n7 = n3 > n5;
    const V n8 = n7 ? n6 : n5;
    dx[0] = n8;
    ds[0] = n5;
  }
};

struct IndRNNTanh {
  static constexpr int gates = 1, parts = 1;
  static constexpr int second_stage = 0;
  static constexpr int per_unit = 0, prepared = 0, saved = 0;
  static constexpr bool shares_gradient = true, mixes_units = false;
  static constexpr bool diagonal = true;

  template <class V>
  static inline void prepare(const V* p, V* ready) {
    (void)p, (void)ready;
  }

  template <class V>
  static inline void prepare_backward(const V* p, const V* d, V* dp) {
    (void)p, (void)d, (void)dp;
  }

  template <class V>
  static inline void forward(const V* x, const V* u, const V* s, const V* p, V* after, V* saved) {
    (void)x, (void)u, (void)s, (void)p, (void)after, (void)saved;
    const V n0 = x[0];
    const V n1 = u[0];
    const V n3 = n0 + n1;
    const V n4 = vector_tanh(n3);
    after[0] = n4;
  }

  template <class V>
  static inline void backward(const V* x, const V* u, const V* saved, const V* s, const V* p, const V* d, V* dx, V* du, V* ds, V* dp) {
    (void)x, (void)u, (void)saved, (void)s, (void)p, (void)d, (void)dx, (void)du, (void)ds, (void)dp;
    const V n0 = x[0];
    const V n1 = u[0];
    const V n3 = n0 + n1;
    const V n4 = vector_tanh(n3);
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

struct LSTM {
  static constexpr int gates = 4, parts = 2;
  static constexpr int second_stage = 0;
  static constexpr int per_unit = 0, prepared = 0, saved = 5;
  static constexpr bool shares_gradient = true, mixes_units = true;
  static constexpr bool diagonal = false;

  template <class V>
  static inline void prepare(const V* p, V* ready) {
    (void)p, (void)ready;
  }

  template <class V>
  static inline void prepare_backward(const V* p, const V* d, V* dp) {
    (void)p, (void)d, (void)dp;
  }

  template <class V>
  static inline void forward(const V* x, const V* u, const V* s, const V* p, V* after, V* saved) {
    (void)x, (void)u, (void)s, (void)p, (void)after, (void)saved;
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
    saved[0] = n11;
    saved[1] = n13;
    saved[2] = n15;
    saved[3] = n17;
    saved[4] = n21;
  }

  template <class V>
  static inline void backward(const V* x, const V* u, const V* saved, const V* s, const V* p, const V* d, V* dx, V* du, V* ds, V* dp) {
    (void)x, (void)u, (void)saved, (void)s, (void)p, (void)d, (void)dx, (void)du, (void)ds, (void)dp;
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

struct MGU {
  static constexpr int gates = 2, parts = 1;
  static constexpr int second_stage = 1;
  static constexpr int per_unit = 0, prepared = 0, saved = 2;
  static constexpr bool shares_gradient = true, mixes_units = true;
  static constexpr bool diagonal = false;

  template <class V>
  static inline void prepare(const V* p, V* ready) {
    (void)p, (void)ready;
  }

  template <class V>
  static inline void prepare_backward(const V* p, const V* d, V* dp) {
    (void)p, (void)d, (void)dp;
  }

  template <class V>
  static inline void forward(const V* x, const V* u, const V* s, const V* p, V* after, V* saved) {
    (void)x, (void)u, (void)s, (void)p, (void)after, (void)saved;
    const V n0 = x[0];
    const V n1 = x[1];
    const V n2 = u[0];
    const V n3 = u[1];
    const V n4 = s[0];
    const V n5 = n0 + n2;
    const V n6 = vector_sigmoid(n5);
    const V n9 = n1 + n3;
    const V n10 = vector_tanh(n9);
    const V n11 = n10 - n4;
    const V n12 = n6 * n11;
    const V n13 = n4 + n12;
    after[0] = n13;
    saved[0] = n6;
    saved[1] = n10;
  }

  template <class V>
  static inline void backward(const V* x, const V* u, const V* saved, const V* s, const V* p, const V* d, V* dx, V* du, V* ds, V* dp) {
    (void)x, (void)u, (void)saved, (void)s, (void)p, (void)d, (void)dx, (void)du, (void)ds, (void)dp;
    const V n4 = s[0];
    const V n6 = saved[0];
    const V n10 = saved[1];
    const V n11 = n10 - n4;
    const V n14 = d[0];
    const V n15 = n11 * n14;
    const V n16 = n6 * n14;
    const V n17 = -n16;
    const V n18 = n14 + n17;
    const V n19 = n10 * n10;
    const V n20 = splat<V>(1.0);
    const V n21 = n20 - n19;
    const V n22 = n16 * n21;
    const V n23 = n20 - n6;
    const V n24 = n6 * n23;
    const V n25 = n15 * n24;
    dx[0] = n25;
    dx[1] = n22;
    ds[0] = n18;
  }

  template <class V>
  static inline V modulated(const V* x, const V* u, const V* s, const V* p) {
    (void)x, (void)u, (void)s, (void)p;
    const V n0 = x[0];
    const V n2 = u[0];
    const V n4 = s[0];
    const V n5 = n0 + n2;
    const V n6 = vector_sigmoid(n5);
    const V n7 = n4 * n6;
    return n7;
  }

  template <class V>
  static inline void modulated_backward(const V* x, const V* u, const V* saved, const V* s, const V* p, V d, V* dx, V* du, V* ds, V* dp) {
    (void)x, (void)u, (void)saved, (void)s, (void)p, (void)d, (void)dx, (void)du, (void)ds, (void)dp;
    const V n4 = s[0];
    const V n6 = saved[0];
    const V n8 = splat<V>(0.0);
    const V n20 = splat<V>(1.0);
    const V n23 = n20 - n6;
    const V n24 = n6 * n23;
    const V n26 = d;
    const V n27 = n6 * n26;
    const V n28 = n4 * n26;
    const V n29 = n24 * n28;
    dx[0] = n29;
    dx[1] = n8;
    ds[0] = n27;
  }
};

struct MinGRU {
  static constexpr int gates = 2, parts = 1;
  static constexpr int second_stage = 0;
  static constexpr int per_unit = 0, prepared = 0, saved = 0;
  static constexpr bool shares_gradient = false, mixes_units = false;
  static constexpr bool diagonal = false;

  template <class V>
  static inline void prepare(const V* p, V* ready) {
    (void)p, (void)ready;
  }

  template <class V>
  static inline void prepare_backward(const V* p, const V* d, V* dp) {
    (void)p, (void)d, (void)dp;
  }

  template <class V>
  static inline void forward(const V* x, const V* u, const V* s, const V* p, V* after, V* saved) {
    (void)x, (void)u, (void)s, (void)p, (void)after, (void)saved;
    const V n0 = x[0];
    const V n1 = x[1];
    const V n2 = s[0];
    const V n3 = vector_sigmoid(n0);
    const V n4 = n1 - n2;
    const V n5 = n3 * n4;
    const V n6 = n2 + n5;
    after[0] = n6;
  }

  template <class V>
  static inline void backward(const V* x, const V* u, const V* saved, const V* s, const V* p, const V* d, V* dx, V* du, V* ds, V* dp) {
    (void)x, (void)u, (void)saved, (void)s, (void)p, (void)d, (void)dx, (void)du, (void)ds, (void)dp;
    const V n0 = x[0];
    const V n1 = x[1];
    const V n2 = s[0];
    const V n3 = vector_sigmoid(n0);
    const V n4 = n1 - n2;
    const V n7 = splat<V>(0.0);
    const V n10 = d[0];
    const V n11 = n4 * n10;
    const V n12 = n3 * n10;
    const V n13 = -n12;
    const V n14 = n10 + n13;
    const V n15 = splat<V>(1.0);
    const V n16 = n15 - n3;
    const V n17 = n3 * n16;
    const V n18 = n11 * n17;
    dx[0] = n18;
    dx[1] = n12;
    du[0] = n7;
    du[1] = n7;
    ds[0] = n14;
  }
};

struct MinLSTM {
  static constexpr int gates = 3, parts = 1;
  static constexpr int second_stage = 0;
  static constexpr int per_unit = 0, prepared = 0, saved = 0;
  static constexpr bool shares_gradient = false, mixes_units = false;
  static constexpr bool diagonal = false;

  template <class V>
  static inline void prepare(const V* p, V* ready) {
    (void)p, (void)ready;
  }

  template <class V>
  static inline void prepare_backward(const V* p, const V* d, V* dp) {
    (void)p, (void)d, (void)dp;
  }

  template <class V>
  static inline void forward(const V* x, const V* u, const V* s, const V* p, V* after, V* saved) {
    (void)x, (void)u, (void)s, (void)p, (void)after, (void)saved;
    const V n0 = x[0];
    const V n1 = x[1];
    const V n2 = x[2];
    const V n3 = s[0];
    const V n4 = -n1;
    const V n5 = vector_softplus(n4);
    const V n6 = -n0;
    const V n7 = vector_softplus(n6);
    const V n8 = n5 - n7;
    const V n9 = vector_sigmoid(n8);
    const V n10 = n3 - n2;
    const V n11 = n9 * n10;
    const V n12 = n2 + n11;
    after[0] = n12;
  }

  template <class V>
  static inline void backward(const V* x, const V* u, const V* saved, const V* s, const V* p, const V* d, V* dx, V* du, V* ds, V* dp) {
    (void)x, (void)u, (void)saved, (void)s, (void)p, (void)d, (void)dx, (void)du, (void)ds, (void)dp;
    const V n0 = x[0];
    const V n1 = x[1];
    const V n2 = x[2];
    const V n3 = s[0];
    const V n4 = -n1;
    const V n5 = vector_softplus(n4);
    const V n6 = -n0;
    const V n7 = vector_softplus(n6);
    const V n8 = n5 - n7;
    const V n9 = vector_sigmoid(n8);
    const V n10 = n3 - n2;
    const V n13 = splat<V>(0.0);
    const V n17 = d[0];
    const V n18 = n10 * n17;
    const V n19 = n9 * n17;
    const V n20 = -n19;
    const V n21 = n17 + n20;
    const V n22 = splat<V>(1.0);
    const V n23 = n22 - n9;
    const V n24 = n9 * n23;
    const V n25 = n18 * n24;
    const V n26 = -n25;
    const V n27 = splat<V>(20.0);
    const auto n28 = n6 > n27;
    const V n29 = vector_sigmoid(n6);
    const V n30 = n26 * n29;
    const V n31 = n28 ? n26 : n30;
    const V n32 = -n31;
    const auto n33 = n4 > n27;
    const V n34 = vector_sigmoid(n4);
    const V n35 = n25 * n34;
    const V n36 = n33 ? n25 : n35;
    const V n37 = -n36;
    dx[0] = n32;
    dx[1] = n37;
    dx[2] = n21;
    du[0] = n13;
    du[1] = n13;
    du[2] = n13;
    ds[0] = n19;
  }
};

struct PeepholeLSTM {
  static constexpr int gates = 4, parts = 2;
  static constexpr int second_stage = 0;
  static constexpr int per_unit = 3, prepared = 3, saved = 5;
  static constexpr bool shares_gradient = true, mixes_units = true;
  static constexpr bool diagonal = false;

  template <class V>
  static inline void prepare(const V* p, V* ready) {
    (void)p, (void)ready;
    const V n10 = p[0];
    const V n11 = p[1];
    const V n12 = p[2];
    ready[0] = n10;
    ready[1] = n11;
    ready[2] = n12;
  }

  template <class V>
  static inline void prepare_backward(const V* p, const V* d, V* dp) {
    (void)p, (void)d, (void)dp;
    const V n67 = d[0];
    const V n68 = d[1];
    const V n69 = d[2];
    dp[0] = n67;
    dp[1] = n68;
    dp[2] = n69;
  }

  template <class V>
  static inline void forward(const V* x, const V* u, const V* s, const V* p, V* after, V* saved) {
    (void)x, (void)u, (void)s, (void)p, (void)after, (void)saved;
    const V n0 = x[0];
    const V n1 = x[1];
    const V n2 = x[2];
    const V n3 = x[3];
    const V n4 = u[0];
    const V n5 = u[1];
    const V n6 = u[2];
    const V n7 = u[3];
    const V n9 = s[1];
    const V n10 = p[0];
    const V n11 = p[1];
    const V n12 = p[2];
    const V n13 = n0 + n4;
    const V n14 = n9 * n10;
    const V n15 = n13 + n14;
    const V n16 = vector_sigmoid(n15);
    const V n17 = n1 + n5;
    const V n18 = n9 * n11;
    const V n19 = n17 + n18;
    const V n20 = vector_sigmoid(n19);
    const V n21 = n2 + n6;
    const V n22 = vector_tanh(n21);
    const V n23 = n9 * n20;
    const V n24 = n16 * n22;
    const V n25 = n23 + n24;
    const V n26 = n3 + n7;
    const V n27 = n12 * n25;
    const V n28 = n26 + n27;
    const V n29 = vector_sigmoid(n28);
    const V n30 = vector_tanh(n25);
    const V n31 = n29 * n30;
    after[0] = n31;
    after[1] = n25;
    saved[0] = n16;
    saved[1] = n20;
    saved[2] = n22;
    saved[3] = n29;
    saved[4] = n30;
  }

  template <class V>
  static inline void backward(const V* x, const V* u, const V* saved, const V* s, const V* p, const V* d, V* dx, V* du, V* ds, V* dp) {
    (void)x, (void)u, (void)saved, (void)s, (void)p, (void)d, (void)dx, (void)du, (void)ds, (void)dp;
    const V n9 = s[1];
    const V n10 = p[0];
    const V n11 = p[1];
    const V n12 = p[2];
    const V n16 = saved[0];
    const V n20 = saved[1];
    const V n22 = saved[2];
    const V n23 = n9 * n20;
    const V n24 = n16 * n22;
    const V n25 = n23 + n24;
    const V n29 = saved[3];
    const V n30 = saved[4];
    const V n32 = splat<V>(0.0);
    const V n33 = d[0];
    const V n34 = d[1];
    const V n35 = n30 * n33;
    const V n36 = n29 * n33;
    const V n37 = n30 * n30;
    const V n38 = splat<V>(1.0);
    const V n39 = n38 - n37;
    const V n40 = n36 * n39;
    const V n41 = n34 + n40;
    const V n42 = n38 - n29;
    const V n43 = n29 * n42;
    const V n44 = n35 * n43;
    const V n45 = n25 * n44;
    const V n46 = n12 * n44;
    const V n47 = n41 + n46;
    const V n48 = n22 * n47;
    const V n49 = n16 * n47;
    const V n50 = n20 * n47;
    const V n51 = n9 * n47;
    const V n52 = n22 * n22;
    const V n53 = n38 - n52;
    const V n54 = n49 * n53;
    const V n55 = n38 - n20;
    const V n56 = n20 * n55;
    const V n57 = n51 * n56;
    const V n58 = n11 * n57;
    const V n59 = n9 * n57;
    const V n60 = n50 + n58;
    const V n61 = n38 - n16;
    const V n62 = n16 * n61;
    const V n63 = n48 * n62;
    const V n64 = n10 * n63;
    const V n65 = n9 * n63;
    const V n66 = n60 + n64;
    dx[0] = n63;
    dx[1] = n57;
    dx[2] = n54;
    dx[3] = n44;
    ds[0] = n32;
    ds[1] = n66;
    dp[0] = n65;
    dp[1] = n59;
    dp[2] = n45;
  }
};

struct RGLRU {
  static constexpr int gates = 3, parts = 1;
  static constexpr int second_stage = 0;
  static constexpr int per_unit = 1, prepared = 1, saved = 0;
  static constexpr bool shares_gradient = false, mixes_units = false;
  static constexpr bool diagonal = false;

  template <class V>
  static inline void prepare(const V* p, V* ready) {
    (void)p, (void)ready;
    const V n4 = p[0];
    const V n8 = -n4;
    const V n9 = vector_softplus(n8);
    ready[0] = n9;
  }

  template <class V>
  static inline void prepare_backward(const V* p, const V* d, V* dp) {
    (void)p, (void)d, (void)dp;
    const V n4 = p[0];
    const V n8 = -n4;
    const V n27 = d[0];
    const V n28 = splat<V>(20.0);
    const auto n29 = n8 > n28;
    const V n30 = vector_sigmoid(n8);
    const V n31 = n27 * n30;
    const V n32 = n29 ? n27 : n31;
    const V n33 = -n32;
    dp[0] = n33;
  }

  template <class V>
  static inline void forward(const V* x, const V* u, const V* s, const V* p, V* after, V* saved) {
    (void)x, (void)u, (void)s, (void)p, (void)after, (void)saved;
    const V n0 = x[0];
    const V n1 = x[1];
    const V n2 = x[2];
    const V n3 = s[0];
    const V n5 = vector_sigmoid(n0);
    const V n6 = splat<V>(-8.0);
    const V n7 = n5 * n6;
    const V n9 = p[0];
    const V n10 = n7 * n9;
    const V n11 = vector_exp(n10);
    const V n12 = n11 * n11;
    const V n13 = splat<V>(1.0);
    const V n14 = n13 - n12;
    const V n15 = splat<V>(1e-12);
    const V n16 = vector_maximum(n14, n15);
    const V n17 = vector_sqrt(n16);
    const V n18 = n3 * n11;
    const V n19 = vector_sigmoid(n1);
    const V n20 = n2 * n19;
    const V n21 = n17 * n20;
    const V n22 = n18 + n21;
    after[0] = n22;
  }

  template <class V>
  static inline void backward(const V* x, const V* u, const V* saved, const V* s, const V* p, const V* d, V* dx, V* du, V* ds, V* dp) {
    (void)x, (void)u, (void)saved, (void)s, (void)p, (void)d, (void)dx, (void)du, (void)ds, (void)dp;
    const V n0 = x[0];
    const V n1 = x[1];
    const V n2 = x[2];
    const V n3 = s[0];
    const V n5 = vector_sigmoid(n0);
    const V n6 = splat<V>(-8.0);
    const V n7 = n5 * n6;
    const V n9 = p[0];
    const V n10 = n7 * n9;
    const V n11 = vector_exp(n10);
    const V n12 = n11 * n11;
    const V n13 = splat<V>(1.0);
    const V n14 = n13 - n12;
    const V n15 = splat<V>(1e-12);
    const V n16 = vector_maximum(n14, n15);
    const V n17 = vector_sqrt(n16);
    const V n19 = vector_sigmoid(n1);
    const V n20 = n2 * n19;
    const V n23 = splat<V>(0.0);
    const V n34 = d[0];
    const V n35 = n20 * n34;
    const V n36 = n17 * n34;
    const V n37 = n19 * n36;
    const V n38 = n2 * n36;
    const V n39 = n13 - n19;
    const V n40 = n19 * n39;
    const V n41 = n38 * n40;
    const V n42 = n11 * n34;
    const V n43 = n3 * n34;
    const V n44 = splat<V>(0.5);
    const V n45 = n35 * n44;
    const V n46 = n45 / n17;
    const V n47 = n44 * n46;
    const auto n48 = n14 > n15;
    const auto n49 = n14 < n15;
    const V n50 = n49 ? n23 : n47;
    const V n51 = n48 ? n46 : n50;
    const V n54 = -n51;
    const V n55 = n11 * n54;
    const V n56 = n43 + n55;
    const V n57 = n55 + n56;
    const V n58 = n11 * n57;
    const V n59 = n9 * n58;
    const V n60 = n7 * n58;
    const V n61 = n6 * n59;
    const V n63 = n13 - n5;
    const V n64 = n5 * n63;
    const V n65 = n61 * n64;
    dx[0] = n65;
    dx[1] = n41;
    dx[2] = n37;
    du[0] = n23;
    du[1] = n23;
    du[2] = n23;
    ds[0] = n42;
    dp[0] = n60;
  }
};

struct SLSTM {
  static constexpr int gates = 4, parts = 4;
  static constexpr int second_stage = 0;
  static constexpr int per_unit = 0, prepared = 0, saved = 8;
  static constexpr bool shares_gradient = true, mixes_units = true;
  static constexpr bool diagonal = false;

  template <class V>
  static inline void prepare(const V* p, V* ready) {
    (void)p, (void)ready;
  }

  template <class V>
  static inline void prepare_backward(const V* p, const V* d, V* dp) {
    (void)p, (void)d, (void)dp;
  }

  template <class V>
  static inline void forward(const V* x, const V* u, const V* s, const V* p, V* after, V* saved) {
    (void)x, (void)u, (void)s, (void)p, (void)after, (void)saved;
    const V n0 = x[0];
    const V n1 = x[1];
    const V n2 = x[2];
    const V n3 = x[3];
    const V n4 = u[0];
    const V n5 = u[1];
    const V n6 = u[2];
    const V n7 = u[3];
    const V n9 = s[1];
    const V n10 = s[2];
    const V n11 = s[3];
    const V n12 = n0 + n4;
    const V n13 = n2 + n6;
    const V n14 = vector_tanh(n13);
    const V n15 = n3 + n7;
    const V n16 = vector_sigmoid(n15);
    const V n17 = splat<V>(0.0);
    const auto n18 = n10 > n17;
    const V n19 = n1 + n5;
    const V n20 = -n19;
    const V n21 = vector_softplus(n20);
    const V n22 = n11 - n21;
    const V n23 = n18 ? n22 : n12;
    const V n24 = vector_maximum(n23, n12);
    const V n25 = n23 - n24;
    const V n26 = vector_exp(n25);
    const V n27 = n12 - n24;
    const V n28 = vector_exp(n27);
    const V n29 = n9 * n26;
    const V n30 = n14 * n28;
    const V n31 = n29 + n30;
    const V n32 = n10 * n26;
    const V n33 = n28 + n32;
    const V n34 = n16 * n31;
    const V n35 = splat<V>(0.5);
    const auto n36 = n33 > n35;
    const V n37 = splat<V>(1.0);
    const V n38 = n36 ? n33 : n37;
    const V n39 = n34 / n38;
    after[0] = n39;
    after[1] = n31;
    after[2] = n33;
    after[3] = n24;
    saved[0] = n12;
    saved[1] = n14;
    saved[2] = n16;
    saved[3] = n19;
    saved[4] = n21;
    saved[5] = n26;
    saved[6] = n28;
    saved[7] = n39;
  }

  template <class V>
  static inline void backward(const V* x, const V* u, const V* saved, const V* s, const V* p, const V* d, V* dx, V* du, V* ds, V* dp) {
    (void)x, (void)u, (void)saved, (void)s, (void)p, (void)d, (void)dx, (void)du, (void)ds, (void)dp;
    const V n9 = s[1];
    const V n10 = s[2];
    const V n11 = s[3];
    const V n12 = saved[0];
    const V n14 = saved[1];
    const V n16 = saved[2];
    const V n17 = splat<V>(0.0);
    const auto n18 = n10 > n17;
    const V n19 = saved[3];
    const V n20 = -n19;
    const V n21 = saved[4];
    const V n22 = n11 - n21;
    const V n23 = n18 ? n22 : n12;
    const V n26 = saved[5];
    const V n28 = saved[6];
    const V n29 = n9 * n26;
    const V n30 = n14 * n28;
    const V n31 = n29 + n30;
    const V n32 = n10 * n26;
    const V n33 = n28 + n32;
    const V n35 = splat<V>(0.5);
    const auto n36 = n33 > n35;
    const V n37 = splat<V>(1.0);
    const V n38 = n36 ? n33 : n37;
    const V n39 = saved[7];
    const V n40 = d[0];
    const V n41 = d[1];
    const V n42 = d[2];
    const V n43 = d[3];
    const V n44 = n40 / n38;
    const V n45 = n39 * n40;
    const V n46 = n45 / n38;
    const V n47 = -n46;
    const V n48 = n36 ? n47 : n17;
    const V n50 = n42 + n48;
    const V n51 = n31 * n44;
    const V n52 = n16 * n44;
    const V n53 = n41 + n52;
    const V n54 = n26 * n50;
    const V n55 = n10 * n50;
    const V n56 = n28 * n53;
    const V n57 = n14 * n53;
    const V n58 = n50 + n57;
    const V n59 = n26 * n53;
    const V n60 = n9 * n53;
    const V n61 = n55 + n60;
    const V n62 = n28 * n58;
    const V n63 = -n62;
    const V n64 = n43 + n63;
    const V n65 = n26 * n61;
    const V n66 = -n65;
    const V n67 = n64 + n66;
    const V n68 = n35 * n67;
    const auto n69 = n23 > n12;
    const auto n70 = n23 < n12;
    const V n71 = n70 ? n17 : n68;
    const V n72 = n69 ? n67 : n71;
    const V n73 = n70 ? n67 : n68;
    const V n74 = n69 ? n17 : n73;
    const V n75 = n65 + n72;
    const V n76 = n62 + n74;
    const V n77 = n18 ? n75 : n17;
    const V n78 = n18 ? n17 : n75;
    const V n79 = n76 + n78;
    const V n80 = -n77;
    const V n81 = splat<V>(20.0);
    const auto n82 = n20 > n81;
    const V n83 = vector_sigmoid(n20);
    const V n84 = n80 * n83;
    const V n85 = n82 ? n80 : n84;
    const V n86 = -n85;
    const V n87 = n37 - n16;
    const V n88 = n16 * n87;
    const V n89 = n51 * n88;
    const V n90 = n14 * n14;
    const V n91 = n37 - n90;
    const V n92 = n56 * n91;
    dx[0] = n79;
    dx[1] = n86;
    dx[2] = n92;
    dx[3] = n89;
    ds[0] = n17;
    ds[1] = n59;
    ds[2] = n54;
    ds[3] = n77;
  }
};

struct SRU {
  static constexpr int gates = 4, parts = 2;
  static constexpr int second_stage = 0;
  static constexpr int per_unit = 2, prepared = 2, saved = 0;
  static constexpr bool shares_gradient = false, mixes_units = false;
  static constexpr bool diagonal = false;

  template <class V>
  static inline void prepare(const V* p, V* ready) {
    (void)p, (void)ready;
    const V n6 = p[0];
    const V n7 = p[1];
    ready[0] = n6;
    ready[1] = n7;
  }

  template <class V>
  static inline void prepare_backward(const V* p, const V* d, V* dp) {
    (void)p, (void)d, (void)dp;
    const V n25 = d[0];
    const V n26 = d[1];
    dp[0] = n25;
    dp[1] = n26;
  }

  template <class V>
  static inline void forward(const V* x, const V* u, const V* s, const V* p, V* after, V* saved) {
    (void)x, (void)u, (void)s, (void)p, (void)after, (void)saved;
    const V n0 = x[0];
    const V n1 = x[1];
    const V n2 = x[2];
    const V n3 = x[3];
    const V n5 = s[1];
    const V n6 = p[0];
    const V n7 = p[1];
    const V n8 = n5 * n6;
    const V n9 = n0 + n8;
    const V n10 = vector_sigmoid(n9);
    const V n11 = n5 * n7;
    const V n12 = n1 + n11;
    const V n13 = vector_sigmoid(n12);
    const V n14 = n5 - n2;
    const V n15 = n10 * n14;
    const V n16 = n2 + n15;
    const V n17 = n16 - n3;
    const V n18 = n13 * n17;
    const V n19 = n3 + n18;
    after[0] = n19;
    after[1] = n16;
  }

  template <class V>
  static inline void backward(const V* x, const V* u, const V* saved, const V* s, const V* p, const V* d, V* dx, V* du, V* ds, V* dp) {
    (void)x, (void)u, (void)saved, (void)s, (void)p, (void)d, (void)dx, (void)du, (void)ds, (void)dp;
    const V n0 = x[0];
    const V n1 = x[1];
    const V n2 = x[2];
    const V n3 = x[3];
    const V n5 = s[1];
    const V n6 = p[0];
    const V n7 = p[1];
    const V n8 = n5 * n6;
    const V n9 = n0 + n8;
    const V n10 = vector_sigmoid(n9);
    const V n11 = n5 * n7;
    const V n12 = n1 + n11;
    const V n13 = vector_sigmoid(n12);
    const V n14 = n5 - n2;
    const V n15 = n10 * n14;
    const V n16 = n2 + n15;
    const V n17 = n16 - n3;
    const V n20 = splat<V>(0.0);
    const V n27 = d[0];
    const V n28 = d[1];
    const V n29 = n17 * n27;
    const V n30 = n13 * n27;
    const V n31 = -n30;
    const V n32 = n28 + n30;
    const V n33 = n27 + n31;
    const V n34 = n14 * n32;
    const V n35 = n10 * n32;
    const V n36 = -n35;
    const V n37 = n32 + n36;
    const V n38 = splat<V>(1.0);
    const V n39 = n38 - n13;
    const V n40 = n13 * n39;
    const V n41 = n29 * n40;
    const V n42 = n7 * n41;
    const V n43 = n5 * n41;
    const V n44 = n35 + n42;
    const V n45 = n38 - n10;
    const V n46 = n10 * n45;
    const V n47 = n34 * n46;
    const V n48 = n6 * n47;
    const V n49 = n5 * n47;
    const V n50 = n44 + n48;
    dx[0] = n47;
    dx[1] = n41;
    dx[2] = n37;
    dx[3] = n33;
    du[0] = n20;
    du[1] = n20;
    du[2] = n20;
    du[3] = n20;
    ds[0] = n20;
    ds[1] = n50;
    dp[0] = n49;
    dp[1] = n43;
  }
};

struct TimeLSTM {
  static constexpr int gates = 6, parts = 2;
  static constexpr int second_stage = 1;
  static constexpr int per_unit = 0, prepared = 0, saved = 9;
  static constexpr bool shares_gradient = false, mixes_units = true;
  static constexpr bool diagonal = false;

  template <class V>
  static inline void prepare(const V* p, V* ready) {
    (void)p, (void)ready;
  }

  template <class V>
  static inline void prepare_backward(const V* p, const V* d, V* dp) {
    (void)p, (void)d, (void)dp;
  }

  template <class V>
  static inline void forward(const V* x, const V* u, const V* s, const V* p, V* after, V* saved) {
    (void)x, (void)u, (void)s, (void)p, (void)after, (void)saved;
    const V n0 = x[0];
    const V n1 = x[1];
    const V n2 = x[2];
    const V n3 = x[3];
    const V n4 = x[4];
    const V n7 = u[1];
    const V n8 = u[2];
    const V n9 = u[3];
    const V n10 = u[4];
    const V n11 = u[5];
    const V n13 = s[1];
    const V n15 = vector_tanh(n11);
    const V n16 = n13 - n15;
    const V n17 = vector_relu(n0);
    const V n18 = splat<V>(2.718281828459045);
    const V n19 = n17 + n18;
    const V n20 = vector_log(n19);
    const V n21 = n15 / n20;
    const V n22 = n16 + n21;
    const V n23 = n1 + n7;
    const V n24 = vector_sigmoid(n23);
    const V n25 = n2 + n8;
    const V n26 = vector_sigmoid(n25);
    const V n27 = n3 + n9;
    const V n28 = vector_tanh(n27);
    const V n29 = n4 + n10;
    const V n30 = vector_sigmoid(n29);
    const V n31 = n22 * n26;
    const V n32 = n24 * n28;
    const V n33 = n31 + n32;
    const V n34 = vector_tanh(n33);
    const V n35 = n30 * n34;
    after[0] = n35;
    after[1] = n33;
    saved[0] = n0;
    saved[1] = n15;
    saved[2] = n20;
    saved[3] = n21;
    saved[4] = n24;
    saved[5] = n26;
    saved[6] = n28;
    saved[7] = n30;
    saved[8] = n34;
  }

  template <class V>
  static inline void backward(const V* x, const V* u, const V* saved, const V* s, const V* p, const V* d, V* dx, V* du, V* ds, V* dp) {
    (void)x, (void)u, (void)saved, (void)s, (void)p, (void)d, (void)dx, (void)du, (void)ds, (void)dp;
    const V n0 = saved[0];
    const V n13 = s[1];
    const V n14 = splat<V>(0.0);
    const V n15 = saved[1];
    const V n16 = n13 - n15;
    const V n17 = vector_relu(n0);
    const V n18 = splat<V>(2.718281828459045);
    const V n19 = n17 + n18;
    const V n20 = saved[2];
    const V n21 = saved[3];
    const V n22 = n16 + n21;
    const V n24 = saved[4];
    const V n26 = saved[5];
    const V n28 = saved[6];
    const V n30 = saved[7];
    const V n34 = saved[8];
    const V n36 = d[0];
    const V n37 = d[1];
    const V n38 = n34 * n36;
    const V n39 = n30 * n36;
    const V n40 = n34 * n34;
    const V n41 = splat<V>(1.0);
    const V n42 = n41 - n40;
    const V n43 = n39 * n42;
    const V n44 = n37 + n43;
    const V n45 = n28 * n44;
    const V n46 = n24 * n44;
    const V n47 = n26 * n44;
    const V n48 = n22 * n44;
    const V n49 = n41 - n30;
    const V n50 = n30 * n49;
    const V n51 = n38 * n50;
    const V n52 = n28 * n28;
    const V n53 = n41 - n52;
    const V n54 = n46 * n53;
    const V n55 = n41 - n26;
    const V n56 = n26 * n55;
    const V n57 = n48 * n56;
    const V n58 = n41 - n24;
    const V n59 = n24 * n58;
    const V n60 = n45 * n59;
    const V n61 = n47 / n20;
    const V n62 = n21 * n47;
    const V n63 = n62 / n20;
    const V n64 = -n63;
    const V n65 = n64 / n19;
    const auto n66 = n0 > n14;
    const V n67 = n66 ? n65 : n14;
    const V n68 = -n47;
    const V n69 = n61 + n68;
    const V n70 = n15 * n15;
    const V n71 = n41 - n70;
    const V n72 = n69 * n71;
    dx[0] = n67;
    dx[1] = n60;
    dx[2] = n57;
    dx[3] = n54;
    dx[4] = n51;
    dx[5] = n14;
    du[0] = n14;
    du[1] = n60;
    du[2] = n57;
    du[3] = n54;
    du[4] = n51;
    du[5] = n72;
    ds[0] = n14;
    ds[1] = n47;
  }

  template <class V>
  static inline V modulated(const V* x, const V* u, const V* s, const V* p) {
    (void)x, (void)u, (void)s, (void)p;
    const V n13 = s[1];
    return n13;
  }

  template <class V>
  static inline void modulated_backward(const V* x, const V* u, const V* saved, const V* s, const V* p, V d, V* dx, V* du, V* ds, V* dp) {
    (void)x, (void)u, (void)saved, (void)s, (void)p, (void)d, (void)dx, (void)du, (void)ds, (void)dp;
    const V n14 = splat<V>(0.0);
    const V n73 = d;
    dx[0] = n14;
    dx[1] = n14;
    dx[2] = n14;
    dx[3] = n14;
    dx[4] = n14;
    dx[5] = n14;
    du[0] = n14;
    du[1] = n14;
    du[2] = n14;
    du[3] = n14;
    du[4] = n14;
    du[5] = n14;
    ds[0] = n14;
    ds[1] = n73;
  }
};

struct TimedCfC {
  static constexpr int gates = 5, parts = 1;
  static constexpr int second_stage = 0;
  static constexpr int per_unit = 0, prepared = 0, saved = 5;
  static constexpr bool shares_gradient = false, mixes_units = true;
  static constexpr bool diagonal = false;

  template <class V>
  static inline void prepare(const V* p, V* ready) {
    (void)p, (void)ready;
  }

  template <class V>
  static inline void prepare_backward(const V* p, const V* d, V* dp) {
    (void)p, (void)d, (void)dp;
  }

  template <class V>
  static inline void forward(const V* x, const V* u, const V* s, const V* p, V* after, V* saved) {
    (void)x, (void)u, (void)s, (void)p, (void)after, (void)saved;
    const V n0 = x[0];
    const V n1 = x[1];
    const V n2 = x[2];
    const V n3 = x[3];
    const V n4 = x[4];
    const V n6 = u[1];
    const V n7 = u[2];
    const V n8 = u[3];
    const V n9 = u[4];
    const V n11 = n1 + n6;
    const V n12 = vector_tanh(n11);
    const V n13 = n2 + n7;
    const V n14 = vector_tanh(n13);
    const V n15 = n3 + n8;
    const V n16 = n0 * n15;
    const V n17 = n4 + n9;
    const V n18 = n16 + n17;
    const V n19 = vector_sigmoid(n18);
    const V n20 = n14 - n12;
    const V n21 = n19 * n20;
    const V n22 = n12 + n21;
    after[0] = n22;
    saved[0] = n0;
    saved[1] = n12;
    saved[2] = n14;
    saved[3] = n15;
    saved[4] = n19;
  }

  template <class V>
  static inline void backward(const V* x, const V* u, const V* saved, const V* s, const V* p, const V* d, V* dx, V* du, V* ds, V* dp) {
    (void)x, (void)u, (void)saved, (void)s, (void)p, (void)d, (void)dx, (void)du, (void)ds, (void)dp;
    const V n0 = saved[0];
    const V n12 = saved[1];
    const V n14 = saved[2];
    const V n15 = saved[3];
    const V n19 = saved[4];
    const V n20 = n14 - n12;
    const V n23 = splat<V>(0.0);
    const V n24 = d[0];
    const V n25 = n20 * n24;
    const V n26 = n19 * n24;
    const V n27 = -n26;
    const V n28 = n24 + n27;
    const V n29 = splat<V>(1.0);
    const V n30 = n29 - n19;
    const V n31 = n19 * n30;
    const V n32 = n25 * n31;
    const V n33 = n15 * n32;
    const V n34 = n0 * n32;
    const V n35 = n14 * n14;
    const V n36 = n29 - n35;
    const V n37 = n26 * n36;
    const V n38 = n12 * n12;
    const V n39 = n29 - n38;
    const V n40 = n28 * n39;
    dx[0] = n33;
    dx[1] = n40;
    dx[2] = n37;
    dx[3] = n34;
    dx[4] = n32;
    du[0] = n23;
    du[1] = n40;
    du[2] = n37;
    du[3] = n34;
    du[4] = n32;
    ds[0] = n23;
  }
};

}  // namespace RECURRA_ISA
}  // namespace recurra

#define RECURRA_CELLS(X) \
  X(CfC, "e6d5a914e6d694f9") \
  X(CoupledLSTM, "095b1a02f9641214") \
  X(ElmanRelu, "ea429f7a43edb83b") \
  X(ElmanSigmoid, "503e334b55d17fc8") \
  X(ElmanTanh, "68fbc0a3c14d858f") \
  X(FastGRNN, "1451478f5f3c932d") \
  X(GRU, "f17d74ba192c3d02") \
  X(GRUD, "512aa17a30e7285f") \
  X(GRUResetBefore, "a24083a82480ff59") \
  X(IndRNNRelu, "5f4e7e894f6f85ba") \
  X(IndRNNTanh, "d494cf3ebe82b279") \
  X(LSTM, "ecedec6353f52799") \
  X(MGU, "4fddd97d45e56ce6") \
  X(MinGRU, "9169ad184ace7441") \
  X(MinLSTM, "943b6d3f2654f2f1") \
  X(PeepholeLSTM, "bf23430df582ab37") \
  X(RGLRU, "b9713d835f0cee50") \
  X(SLSTM, "98bda62e6422341b") \
  X(SRU, "8e8a588657c5c3e2") \
  X(TimeLSTM, "a3f290afd5d4f874") \
  X(TimedCfC, "c46e2159153d7d18")
