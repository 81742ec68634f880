"""The functions of `recurra.ops` in C99, for float32: without branches, so that loops over them are vectorised.

They need no library and no conversion between floats and integers that could overflow. Their errors, in units in the
last place, are measured in tests/codegen/test_c_maths.py. The methods are those of csrc/vector.hpp.
"""

from collections.abc import Iterable

__all__ = ["maths"]

_BITS = """\
typedef union {
    float value;
    uint32_t bits;
} float_bits;

static inline uint32_t bits_of(float x)
{
    float_bits both;
    both.value = x;
    return both.bits;
}

static inline float float_of(uint32_t bits)
{
    float_bits both;
    both.bits = bits;
    return both.value;
}
"""

_WITHIN = """\
/* x limited to -limit .. limit; NaN stays NaN. */
static inline float within(float x, float limit)
{
    const float y = x > limit ? limit : x;
    return y < -limit ? -limit : y;
}
"""

_EXP_PARTS = """\
/* exp(x) = power * (1 + p) for |x| <= 87: `power`, of 2, and p = exp(r) - 1 for the rest r, |r| <= ln 2 / 2.
 * The sum with 1.5 * 2^23 rounds x / ln 2 to a whole number, which its lowest bits then hold. */
static inline float exp_parts(float x, float *power)
{
    const float shifted = x * 1.44269504f + 12582912.0f;
    const float n = shifted - 12582912.0f;
    const float r = (x - n * 0.693145752f) - n * 1.42860677e-06f;
    float q = 0.00139336884f;
    q = q * r + 0.00836320547f;
    q = q * r + 0.0416664646f;
    q = q * r + 0.166665768f;
    q = q * r + 0.500000001f;
    *power = float_of((bits_of(shifted) << 23) + ((uint32_t)127 << 23));
    return r + r * r * q;
}
"""

_EXP = """\
/* exp(x), within 2 ULP for |x| <= 87; beyond it infinity or 0. */
static inline float exp_of(float x)
{
    float power;
    const float p = exp_parts(within(x, 87.0f), &power);
    const float y = x > 87.0f ? float_of(0x7f800000u) : power + power * p;
    return x < -87.0f ? 0.0f : y;
}
"""

_SIGMOID = """\
/* 1 / (1 + exp(-x)), within 3 ULP for x >= -87; below, its value there. */
static inline float sigmoid(float x)
{
    float power;
    const float p = exp_parts(within(-x, 87.0f), &power);
    return 1.0f / (1.0f + (power + power * p));
}
"""

_TANH = """\
/* tanh(x), within 3 ULP: from exp(2 |x|) - 1, which keeps its precision near 0. */
static inline float tanh_of(float x)
{
    float power;
    const float y = within(x, 20.0f);
    const float magnitude = y < 0.0f ? -y : y;
    const float p = exp_parts(magnitude + magnitude, &power);
    const float minus_one = power * p + (power - 1.0f);
    const float z = minus_one / (minus_one + 2.0f);
    return y < 0.0f ? -z : z;
}
"""

_TWICE_ATANH = """\
/* log((1 + s) / (1 - s)) for |s| <= 1/3. */
static inline float twice_atanh(float s)
{
    const float square = s * s;
    float sum = 1.0f / 15.0f;
    sum = sum * square + 1.0f / 13.0f;
    sum = sum * square + 1.0f / 11.0f;
    sum = sum * square + 1.0f / 9.0f;
    sum = sum * square + 1.0f / 7.0f;
    sum = sum * square + 1.0f / 5.0f;
    sum = sum * square + 1.0f / 3.0f;
    return 2.0f * (s + s * square * sum);
}
"""

_LOG = """\
/* log(x), within 3 ULP for normal x; minus infinity at 0 and below the normal numbers, NaN for negative x.
 * `scaled` counts the powers of 2 that leave a number of 2/3 to 4/3. */
static inline float log_of(float x)
{
    const uint32_t scaled = (bits_of(x) - 0x3f2aaaabu) & 0xff800000u;
    const float m = float_of(bits_of(x) - scaled);
    const float n = (float)((int32_t)scaled / 8388608);
    float y = n * 0.693145752f + (n * 1.42860677e-06f + twice_atanh((m - 1.0f) / (m + 1.0f)));
    y = x < 1.17549435e-38f ? float_of(0xff800000u) : y;
    y = x < 0.0f ? float_of(0x7fc00000u) : y;
    return x < float_of(0x7f800000u) ? y : x;
}
"""

_SOFTPLUS = """\
/* log(1 + exp(x)), within 4 ULP for x >= -87; x itself beyond 20, as torch has it. */
static inline float softplus(float x)
{
    float power;
    const float p = exp_parts(within(x < 0.0f ? x : -x, 87.0f), &power);
    const float e = power + power * p;
    const float y = (x > 0.0f ? x : 0.0f) + twice_atanh(e / (e + 2.0f));
    const float defined = x == x ? y : x;
    return x > 20.0f ? x : defined;
}
"""

_SQRT = """\
/* The square root of x, within 1 ULP for normal x; NaN for negative x. An estimate of 1 / sqrt(x) from the bits,
 * three steps of Newton's for it, and one for the root. */
static inline float sqrt_of(float x)
{
    const float half = 0.5f * x;
    float y = float_of(0x5f3759dfu - (bits_of(x) >> 1));
    y = y * (1.5f - half * y * y);
    y = y * (1.5f - half * y * y);
    y = y * (1.5f - half * y * y);
    const float near = x * y;
    float root = near + 0.5f * y * (x - near * near);
    root = x < 0.0f ? float_of(0x7fc00000u) : root;
    return x < float_of(0x7f800000u) ? root : x;
}
"""

_FLOOR = """\
/* The largest whole number that is at most x; numbers from 2^23 on are whole. The sum with 2^23 rounds to one. */
static inline float floor_of(float x)
{
    const float magnitude = x < 0.0f ? -x : x;
    const float rounded = (magnitude + 8388608.0f) - 8388608.0f;
    const float whole = x < 0.0f ? -rounded : rounded;
    const float below = whole > x ? whole - 1.0f : whole;
    return magnitude < 8388608.0f ? below : x;
}
"""

_SINE_OF_REST = """\
/* sin(rest) times 1 for an even and -1 for an odd n, by Taylor's series for |rest| <= 1.6: pi / 2, and a little more,
 * as n may be rounded otherwise for large numbers. A larger rest is limited.
 * n / 2 differs from the whole number that the sum with 1.5 * 2^23 makes of it if n is odd. */
static inline float sine_of_rest(float rest, float n)
{
    const float r = within(rest, 1.6f);
    const float half = 0.5f * n;
    const float whole = (half + 12582912.0f) - 12582912.0f;
    const float square = r * r;
    float q = 1.60590438e-10f;
    q = q * square - 2.50521084e-08f;
    q = q * square + 2.75573192e-06f;
    q = q * square - 1.98412698e-04f;
    q = q * square + 8.33333333e-03f;
    q = q * square - 1.66666667e-01f;
    const float sine = r + r * square * q;
    return half == whole ? sine : -sine;
}
"""

_SIN = """\
/* sin(x), within 3e-7 for |x| <= 2e4; beyond it another number of -1 to 1, NaN for infinite x. pi is a sum whose first
 * two parts have few bits, so that their multiples are exact. */
static inline float sin_of(float x)
{
    const float n = (x * 0.318309886f + 12582912.0f) - 12582912.0f;
    return sine_of_rest(((x - n * 3.140625f) - n * 9.67025757e-04f) - n * 6.27832947e-07f, n);
}
"""

_COS = """\
/* cos(x) = sin(x + pi / 2), likewise: n - 1/2 multiples of pi are taken from x. */
static inline float cos_of(float x)
{
    const float n = ((x * 0.318309886f + 0.5f) + 12582912.0f) - 12582912.0f;
    const float m = n - 0.5f;
    return sine_of_rest(((x - m * 3.140625f) - m * 9.67025757e-04f) - m * 6.27832947e-07f, n);
}
"""

_ABSOLUTE = """\
static inline float absolute(float x)
{
    return x < 0.0f ? -x : x;
}
"""

_RELU = """\
/* max(x, 0); NaN stays NaN. */
static inline float relu(float x)
{
    return x < 0.0f ? 0.0f : x;
}
"""

_MAXIMUM = """\
/* The larger; NaN if one is NaN. */
static inline float maximum(float a, float b)
{
    const float larger = a < b ? b : a;
    return b != b ? b : larger;
}
"""

_MINIMUM = """\
/* The smaller; NaN if one is NaN. */
static inline float minimum(float a, float b)
{
    const float smaller = a > b ? b : a;
    return b != b ? b : smaller;
}
"""

# By the name of `recurra.ops`, or that of a part: the text, and the parts that it needs. A part comes before its users.
_FUNCTIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "bits": (_BITS, ()),
    "within": (_WITHIN, ()),
    "exp_parts": (_EXP_PARTS, ("bits",)),
    "twice_atanh": (_TWICE_ATANH, ()),
    "sine_of_rest": (_SINE_OF_REST, ("within",)),
    "absolute": (_ABSOLUTE, ()),
    "relu": (_RELU, ()),
    "maximum": (_MAXIMUM, ()),
    "minimum": (_MINIMUM, ()),
    "exp": (_EXP, ("bits", "within", "exp_parts")),
    "sigmoid": (_SIGMOID, ("bits", "within", "exp_parts")),
    "tanh": (_TANH, ("bits", "within", "exp_parts")),
    "log": (_LOG, ("bits", "twice_atanh")),
    "softplus": (_SOFTPLUS, ("bits", "within", "exp_parts", "twice_atanh")),
    "sqrt": (_SQRT, ("bits",)),
    "floor": (_FLOOR, ()),
    "sin": (_SIN, ("within", "sine_of_rest")),
    "cos": (_COS, ("within", "sine_of_rest")),
}


def maths(names: Iterable[str]) -> list[str]:
    """The definitions of functions and of what they need, each once, in an order that C accepts.

    Args:
        names: of functions of `recurra.ops`, or "bits" for those between a float and its bits.
    """
    wanted = {*names}
    wanted |= {needed for name in wanted for needed in _FUNCTIONS[name][1]}
    return [text for name, (text, _) in _FUNCTIONS.items() if name in wanted]
