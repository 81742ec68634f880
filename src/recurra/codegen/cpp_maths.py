"""The functions of `recurra.ops` in C++ that csrc/vector.hpp lacks: no built-in cell has them.

They are members of the struct of a cell that calls them. The engine that is compiled into the package thus stays as it
is, and cells that are compiled at first use have them. Their errors are measured in tests/kernels/test_vector_math.py.
"""

from collections.abc import Iterable

__all__ = ["cpp_maths"]

_FLOOR = """\
  // The largest whole number that is at most x; numbers from 2^23 (2^52 for double) on are whole. The sum with that
  // rounds to one.
  template <class V>
  static inline V vector_floor(V x) {
    typedef typename Scalar<V>::type T;
    constexpr T limit = sizeof(T) == 4 ? T(0x1p23) : T(0x1p52);
    const V magnitude = x < V{} ? -x : x;
    const V rounded = (magnitude + limit) - limit;
    const V whole = x < V{} ? -rounded : rounded;
    const V below = whole > x ? whole - T(1) : whole;
    return magnitude < splat<V>(limit) ? below : x;
  }

"""

_SINE_OF_REST = """\
  // sin(x - multiple pi) times 1 for an even and -1 for an odd n, by Taylor's series for |rest| <= 1.6: pi / 2, and a
  // little more, as n may be rounded otherwise for large numbers. A larger rest is limited. pi is a sum whose first two
  // parts have few bits, so that their multiples are exact. Half of an odd n is not a whole number.
  template <class V>
  static inline V sine_of_rest(V x, V multiple, V n) {
    typedef typename Scalar<V>::type T;
    constexpr bool single = sizeof(T) == 4;
    constexpr T high = single ? T(0x1.92p1) : T(0x1.921fb54p1), middle = single ? T(0x1.fbp-11) : T(0x1.10b46118p-29);
    constexpr T low = single ? T(0x1.5110b4p-21) : T(0x1.313198a2e037p-60), magic = ExpConstants<T>::round;
    constexpr int terms = single ? 6 : 10;
    constexpr double series[] = {-1.0 / 6,
                                 1.0 / 120,
                                 -1.0 / 5040,
                                 1.0 / 362880,
                                 -1.0 / 39916800,
                                 1.0 / 6227020800.0,
                                 -1.0 / 1307674368000.0,
                                 1.0 / 355687428096000.0,
                                 -1.0 / 121645100408832000.0,
                                 1.0 / 51090942171709440000.0};
    const V r = within(((x - multiple * high) - multiple * middle) - multiple * low, T(1.6));
    const V square = r * r;
    V q = splat<V>(T(series[terms - 1]));
#pragma GCC unroll 10
    for (int k = terms - 2; k >= 0; --k) q = q * square + T(series[k]);
    const V half = T(0.5) * n;
    const V sine = r + r * square * q;
    return half == (half + magic) - magic ? sine : -sine;
  }

"""

_SIN = """\
  // Within 3e-7 for |x| <= 2e4 (float), 5e-16 for |x| <= 1e6 (double); beyond it another number of -1 to 1, NaN for
  // infinite x.
  template <class V>
  static inline V vector_sin(V x) {
    typedef typename Scalar<V>::type T;
    const T magic = ExpConstants<T>::round;
    const V n = (x * T(0.31830988618379067154) + magic) - magic;
    return sine_of_rest(x, n, n);
  }

"""

_COS = """\
  // cos(x) = sin(x + pi / 2), likewise.
  template <class V>
  static inline V vector_cos(V x) {
    typedef typename Scalar<V>::type T;
    const T magic = ExpConstants<T>::round;
    const V n = ((x * T(0.31830988618379067154) + T(0.5)) + magic) - magic;
    return sine_of_rest(x, n - T(0.5), n);
  }

"""

# By the name of `recurra.ops`: the definitions that it needs.
_FUNCTIONS = {"floor": (_FLOOR,), "sin": (_SINE_OF_REST, _SIN), "cos": (_SINE_OF_REST, _COS)}


def cpp_maths(names: Iterable[str]) -> str:
    """The definitions of functions, each once; "" for those that csrc/vector.hpp has.

    Args:
        names: of functions of `recurra.ops`; others are passed over.
    """
    called = {*names}
    texts = (text for name, needed in _FUNCTIONS.items() if name in called for text in needed)
    return "".join(dict.fromkeys(texts))
