"""The operations of a program in C99: a function for each, whose sizes are constants where it is called."""

from typing import NamedTuple

__all__ = ["OPERATIONS", "OperationText"]


class OperationText(NamedTuple):
    """A function in C.

    Attributes:
        text: its definition.
        maths: the functions of `recurra.codegen.maths` that it calls.
        needs: the operations that it calls.
    """

    text: str
    maths: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()


def _by_value(
    name: str, comment: str, expression: str, second: bool = False, maths: tuple[str, ...] = ()
) -> OperationText:
    b = ", const float *b" if second else ""
    return OperationText(
        f"/* y = {comment}. */\n"
        f"static inline void {name}(int size, const float *a{b}, float *y)\n"
        f"{{\n    for (int k = 0; k < size; ++k)\n        y[k] = {expression};\n}}\n",
        maths,
    )


_FILL = """\
static inline void fill(int size, float value, float *y)
{
    for (int k = 0; k < size; ++k)
        y[k] = value;
}
"""

_COPY = """\
static inline void copy(int size, const float *restrict a, float *restrict y)
{
    for (int k = 0; k < size; ++k)
        y[k] = a[k];
}
"""

_ADD_PRODUCT = """\
/* y += weight a, for a weight of `rows` times `columns` that is stored column by column: the rows of a column lie side
 * by side, and are computed together. Four columns at a time, so that y is read and written less often. */
static inline void add_product(int rows, int columns, const float *restrict weight, const float *restrict a,
                               float *restrict y)
{
    for (int k = 0; k < columns / 4; ++k, weight += 4 * rows, a += 4) {
        const float *w1 = weight + rows, *w2 = w1 + rows, *w3 = w2 + rows;
        for (int j = 0; j < rows; ++j)
            y[j] += (weight[j] * a[0] + w1[j] * a[1]) + (w2[j] * a[2] + w3[j] * a[3]);
    }
    for (int k = 0; k < columns % 4; ++k, weight += rows)
        for (int j = 0; j < rows; ++j)
            y[j] += weight[j] * a[k];
}
"""

_ROUND_TO_INT8 = """\
/* a rounded to 8 bits, to the nearest, ties to even: rounded * scale is about a. Returns the scale, which is NaN if a
 * has a NaN or an infinite number. The bits of magnitudes are in the order of the magnitudes; the sum with 1.5 * 2^23
 * leaves the whole number in the lowest bits. */
static inline float round_to_int8(int size, const float *restrict a, int8_t *restrict rounded)
{
    uint32_t most = 0;
    for (int k = 0; k < size; ++k) {
        const uint32_t magnitude = bits_of(a[k]) & 0x7fffffffu;
        most = magnitude > most ? magnitude : most;
    }
    const float largest = float_of(most < 0x7f800000u ? most : 0x7fc00000u);
    const float inverse = largest > 7.88860905e-31f ? 127.0f / largest : 0.0f;
    for (int k = 0; k < size; ++k)
        rounded[k] = (int8_t)(int32_t)(bits_of(a[k] * inverse + 12582912.0f) - 0x4b400000u);
    return largest / 127.0f;
}
"""

_ADD_ROUNDED_COLUMNS = """\
/* sums += weight a, of whole numbers, for a weight that is stored column by column. */
static inline void add_rounded_columns(int rows, int columns, const int8_t *restrict weight, const int8_t *restrict a,
                                       int32_t *restrict sums)
{
    for (int k = 0; k < columns / 2; ++k, weight += 2 * rows) {
        const int16_t even = a[2 * k], odd = a[2 * k + 1];
        for (int j = 0; j < rows; ++j)
            sums[j] += (int16_t)(weight[j] * even + weight[rows + j] * odd);
    }
    if (columns % 2)
        for (int j = 0; j < rows; ++j)
            sums[j] += weight[j] * a[columns - 1];
}
"""

_ADD_ROUNDED_PRODUCT = """\
/* y += weight a, for a weight in 8 bits with a scale by row, stored column by column. a is rounded to 8 bits too; the
 * sums of products are exact. */
static inline void add_rounded_product(int rows, int columns, const int8_t *restrict weight,
                                       const float *restrict scales, const float *restrict a, float *restrict y)
{
    int8_t rounded[MOST_COLUMNS];
    int32_t sums[MOST_ROWS];
    const float scale = round_to_int8(columns, a, rounded);
    for (int j = 0; j < rows; ++j)
        sums[j] = 0;
    add_rounded_columns(rows, columns, weight, rounded, sums);
    for (int j = 0; j < rows; ++j)
        y[j] += (float)sums[j] * (scales[j] * scale);
}
"""

_ADD_SPARSE_PRODUCT = """\
/* y += weight a, for a weight with blocks of zeros. For each 16 rows `runs` has the number of runs of columns that are
 * stored; then, for each run, its first column and the number of its columns, which are stored column by column. */
static inline void add_sparse_product(int rows, const int32_t *restrict runs, const float *restrict weight,
                                      const float *restrict a, float *restrict y)
{
    for (int from = 0; from < rows; from += 16) {
        const int height = rows - from < 16 ? rows - from : 16;
        for (int left = *runs++; left > 0; --left, weight += height * runs[1], runs += 2) {
            if (height == 16)
                add_product(16, runs[1], weight, a + runs[0], y + from);
            else
                add_product(height, runs[1], weight, a + runs[0], y + from);
        }
    }
}
"""

_ADD_SPARSE_ROUNDED_PRODUCT = """\
/* The same for a weight in 8 bits with a scale by row; a, of `columns` values, is rounded to 8 bits too. */
static inline void add_sparse_rounded_product(int rows, int columns, const int32_t *restrict runs,
                                              const int8_t *restrict weight, const float *restrict scales,
                                              const float *restrict a, float *restrict y)
{
    int8_t rounded[MOST_COLUMNS];
    const float scale = round_to_int8(columns, a, rounded);
    for (int from = 0; from < rows; from += 16) {
        const int height = rows - from < 16 ? rows - from : 16;
        int32_t sums[16] = {0};
        for (int left = *runs++; left > 0; --left, weight += height * runs[1], runs += 2) {
            /* No run is longer; gcc warns of what would be beyond. */
            const int count = runs[1] < columns ? runs[1] : columns;
            if (height == 16)
                add_rounded_columns(16, count, weight, rounded + runs[0], sums);
            else
                add_rounded_columns(height, count, weight, rounded + runs[0], sums);
        }
        for (int j = 0; j < height; ++j)
            y[from + j] += (float)sums[j] * (scales[from + j] * scale);
    }
}
"""

_ADD_DIAGONAL = """\
/* y += weight * a for each of `groups` gates of `size` units. */
static inline void add_diagonal(int groups, int size, const float *restrict weight, const float *restrict a,
                                float *restrict y)
{
    for (int g = 0; g < groups; ++g)
        for (int k = 0; k < size; ++k)
            y[g * size + k] += weight[g * size + k] * a[k];
}
"""

_NORMALISE = """\
/* y = (a - mean) / sqrt(variance + epsilon) * factor + shift, for each of `groups` parts of `size` values. A null
 * `shift` is 0. */
static inline void normalise(int groups, int size, float epsilon, const float *factor, const float *shift,
                             const float *a, float *y)
{
    for (int g = 0; g < groups; ++g) {
        const int from = g * size;
        float sum = 0.0f, squares = 0.0f;
        for (int k = 0; k < size; ++k)
            sum += a[from + k];
        const float mean = sum / (float)size;
        for (int k = 0; k < size; ++k)
            squares += (a[from + k] - mean) * (a[from + k] - mean);
        const float inverse = 1.0f / sqrt_of(squares / (float)size + epsilon);
        for (int k = 0; k < size; ++k)
            y[from + k] = (a[from + k] - mean) * inverse * factor[from + k] + (shift ? shift[from + k] : 0.0f);
    }
}
"""

_RMS_NORMALISE = """\
/* y = a / sqrt(mean of a * a + epsilon) * factor. */
static inline void rms_normalise(int size, float epsilon, const float *factor, const float *a, float *y)
{
    float squares = 0.0f;
    for (int k = 0; k < size; ++k)
        squares += a[k] * a[k];
    const float inverse = 1.0f / sqrt_of(squares / (float)size + epsilon);
    for (int k = 0; k < size; ++k)
        y[k] = a[k] * inverse * factor[k];
}
"""

_GELU = """\
/* y = a times the normal distribution function, from erf by formula 7.1.26 of Abramowitz and Stegun. */
static inline void apply_gelu(int size, const float *a, float *y)
{
    for (int k = 0; k < size; ++k) {
        const float x = a[k], z = absolute(x) * 0.70710678f, t = 1.0f / (1.0f + 0.3275911f * z);
        float sum = 1.061405429f;
        sum = sum * t - 1.453152027f;
        sum = sum * t + 1.421413741f;
        sum = sum * t - 0.284496736f;
        sum = sum * t + 0.254829592f;
        const float tail = 0.5f * (t * sum) * exp_of(-z * z);
        y[k] = x * (x < 0.0f ? tail : 1.0f - tail);
    }
}
"""

_SCALE = """\
/* y = factor * a + shift. A null `shift` is 0. */
static inline void scale(int size, const float *factor, const float *shift, const float *a, float *y)
{
    for (int k = 0; k < size; ++k)
        y[k] = a[k] * factor[k] + (shift ? shift[k] : 0.0f);
}
"""

_BLEND = """\
/* y = a + fraction * (b - a). */
static inline void blend(int size, float fraction, const float *a, const float *b, float *y)
{
    for (int k = 0; k < size; ++k)
        y[k] = a[k] + fraction * (b[k] - a[k]);
}
"""

_LARGEST_OF = """\
static inline float largest_of(int size, const float *a)
{
    float most = a[0];
    for (int k = 1; k < size; ++k)
        most = a[k] > most ? a[k] : most;
    return most;
}
"""

_SOFTMAX = """\
/* y = exp(a) / sum of exp(a). */
static inline void softmax(int size, const float *a, float *y)
{
    const float most = largest_of(size, a);
    float sum = 0.0f;
    for (int k = 0; k < size; ++k)
        y[k] = exp_of(a[k] - most);
    for (int k = 0; k < size; ++k)
        sum += y[k];
    for (int k = 0; k < size; ++k)
        y[k] = y[k] * (1.0f / sum);
}
"""

_LOG_SOFTMAX = """\
/* y = a - log of the sum of exp(a). */
static inline void log_softmax(int size, const float *a, float *y)
{
    const float most = largest_of(size, a);
    float sum = 0.0f;
    for (int k = 0; k < size; ++k)
        y[k] = a[k] - most;
    for (int k = 0; k < size; ++k)
        sum += exp_of(y[k]);
    const float shift = log_of(sum);
    for (int k = 0; k < size; ++k)
        y[k] -= shift;
}
"""

_MEAN = """\
/* y = the mean of a over the steps so far, which `count` counts. */
static inline void running_mean(int size, const float *a, float *count, float *y)
{
    *count += 1.0f;
    const float fraction = 1.0f / *count;
    for (int k = 0; k < size; ++k)
        y[k] = y[k] + (a[k] - y[k]) * fraction;
}
"""

_ATTEND = """\
/* y = the mean of a over the steps so far, weighted by the softmax of their scores. `sums` has the sum of the weights,
 * then that of the weighted values, relative to the largest score. */
static inline void attend(int size, const float *a, const float *score, float *largest, float *sums, float *y)
{
    const float most = *score > *largest ? *score : *largest;
    const float stays = exp_of(*largest - most), weight = exp_of(*score - most);
    *largest = most;
    sums[0] = sums[0] * stays + weight;
    const float inverse = 1.0f / sums[0];
    for (int k = 0; k < size; ++k) {
        sums[1 + k] = sums[1 + k] * stays + a[k] * weight;
        y[k] = sums[1 + k] * inverse;
    }
}
"""

_DELAY = """\
/* y has `count` vectors of `size` values: the first, the oldest, is dropped, and a becomes the last. */
static inline void delay(int count, int size, const float *a, float *y)
{
    for (int k = 0; k < (count - 1) * size; ++k)
        y[k] = y[size + k];
    for (int k = 0; k < size; ++k)
        y[(count - 1) * size + k] = a[k];
}
"""

_WHOLE_NUMBER = """\
/* A whole number from 0 to `most` that the state holds, or 0: whatever was written there, no memory beyond is used. */
static inline int whole_number(float x, int most)
{
    return x > 0.0f && x <= (float)most ? (int)x : 0;
}
"""

_LOCAL_ATTENTION = """\
/* y = what each of `heads` queries of `size` values attends to, in the present step and those before it, `window` in
 * all at most. `pair` has the keys, then the values, of the `kv_heads` heads of the present step. Keys and values of
 * the steps before lie in window - 1 places that are used in turn: place[0] is the next, place[1] how many are used. A
 * query is turned by the distance of a step. Behind y are `window` values of scratch memory. */
static inline void local_attention(int heads, int kv_heads, int size, int window, const float *cosine,
                                   const float *sine, const float *query, const float *pair, float *keys,
                                   float *values, float *place, float *y)
{
    const int half = size / 2, before = window - 1, features = kv_heads * size;
    const int next = whole_number(place[0], before - 1), length = whole_number(place[1], before);
    const float factor = 1.0f / sqrt_of((float)size);
    float *weights = y + heads * size;
    for (int n = 0; n < heads; ++n, query += size, y += size) {
        const int own = n / (heads / kv_heads) * size;
        for (int d = 0; d <= length; ++d) {
            const float *key = (d ? keys + (next - d + before) % before * features : pair) + own;
            float sum = 0.0f;
            for (int k = 0; k < half; ++k)
                sum += cosine[d * half + k] * (query[k] * key[k] + query[half + k] * key[half + k])
                       + sine[d * half + k] * (query[k] * key[half + k] - query[half + k] * key[k]);
            weights[d] = sum * factor;
        }
        softmax(length + 1, weights, weights);
        fill(size, 0.0f, y);
        for (int d = 0; d <= length; ++d) {
            const float *value = (d ? values + (next - d + before) % before * features : pair + features) + own;
            for (int k = 0; k < size; ++k)
                y[k] += weights[d] * value[k];
        }
    }
    copy(features, pair, keys + next * features);
    copy(features, pair + features, values + next * features);
    place[0] = (float)((next + 1) % before);
    place[1] = (float)(length < before ? length + 1 : before);
}
"""

_MATRIX_MEMORY = """\
/* y = what each of `heads` queries of `size` values reads from its matrix of keys and values, after the step. `a` has
 * the queries, then the keys, then the values; `gates` the logarithms of the input gates, then the forget gates before
 * their sigmoid. Memory and normaliser are divided by exp(stabiliser). */
static inline void matrix_memory(int heads, int size, const float *a, const float *gates, float *memory,
                                 float *normaliser, float *stabiliser, float *y)
{
    for (int n = 0; n < heads; ++n, normaliser += size, y += size) {
        const float *query = a + n * size, *key = query + heads * size, *value = key + heads * size;
        const float forget = gates[heads + n];
        const float kept = stabiliser[n] + (forget < 0.0f ? forget : 0.0f) - log_of(1.0f + exp_of(-absolute(forget)));
        const float most = kept > gates[n] ? kept : gates[n];
        const float stays = exp_of(kept - most), enters = exp_of(gates[n] - most);
        stabiliser[n] = most;
        float along = 0.0f;
        fill(size, 0.0f, y);
        for (int k = 0; k < size; ++k, memory += size) {
            normaliser[k] = normaliser[k] * stays + key[k] * enters;
            along += query[k] * normaliser[k];
            for (int j = 0; j < size; ++j) {
                memory[j] = memory[j] * stays + value[j] * (enters * key[k]);
                y[j] += memory[j] * query[k];
            }
        }
        const float least = exp_of(-most < 80.0f ? -most : 80.0f), norm = absolute(along);
        const float inverse = 1.0f / (norm > least ? norm : least);
        for (int j = 0; j < size; ++j)
            y[j] *= inverse;
    }
}
"""

#: By the name of the function. One that is needed by others comes before them.
OPERATIONS: dict[str, OperationText] = {
    "fill": OperationText(_FILL),
    "copy": OperationText(_COPY),
    "largest_of": OperationText(_LARGEST_OF),
    "round_to_int8": OperationText(_ROUND_TO_INT8, ("bits",)),
    "add_product": OperationText(_ADD_PRODUCT),
    "add_rounded_columns": OperationText(_ADD_ROUNDED_COLUMNS),
    "add_rounded_product": OperationText(_ADD_ROUNDED_PRODUCT, needs=("round_to_int8", "add_rounded_columns")),
    "add_sparse_product": OperationText(_ADD_SPARSE_PRODUCT, needs=("add_product",)),
    "add_sparse_rounded_product": OperationText(
        _ADD_SPARSE_ROUNDED_PRODUCT, needs=("round_to_int8", "add_rounded_columns")
    ),
    "add_diagonal": OperationText(_ADD_DIAGONAL),
    "normalise": OperationText(_NORMALISE, ("sqrt",)),
    "rms_normalise": OperationText(_RMS_NORMALISE, ("sqrt",)),
    "apply_gelu": OperationText(_GELU, ("absolute", "exp")),
    "apply_tanh": _by_value("apply_tanh", "tanh(a)", "tanh_of(a[k])", maths=("tanh",)),
    "apply_sigmoid": _by_value("apply_sigmoid", "sigmoid(a)", "sigmoid(a[k])", maths=("sigmoid",)),
    "apply_relu": _by_value("apply_relu", "relu(a)", "relu(a[k])", maths=("relu",)),
    "apply_silu": _by_value("apply_silu", "a * sigmoid(a)", "a[k] * sigmoid(a[k])", maths=("sigmoid",)),
    "apply_exp": _by_value("apply_exp", "exp(a)", "exp_of(a[k])", maths=("exp",)),
    "apply_log": _by_value("apply_log", "log(a)", "log_of(a[k])", maths=("log",)),
    "add": _by_value("add", "a + b", "a[k] + b[k]", second=True),
    "multiply": _by_value("multiply", "a * b", "a[k] * b[k]", second=True),
    "running_largest": _by_value("running_largest", "max(a, y)", "maximum(a[k], y[k])", maths=("maximum",)),
    "scale": OperationText(_SCALE),
    "blend": OperationText(_BLEND),
    "softmax": OperationText(_SOFTMAX, ("exp",), ("largest_of",)),
    "log_softmax": OperationText(_LOG_SOFTMAX, ("exp", "log"), ("largest_of",)),
    "running_mean": OperationText(_MEAN),
    "attend": OperationText(_ATTEND, ("exp",)),
    "delay": OperationText(_DELAY),
    "whole_number": OperationText(_WHOLE_NUMBER),
    "local_attention": OperationText(
        _LOCAL_ATTENTION, ("sqrt",), ("softmax", "largest_of", "fill", "copy", "whole_number")
    ),
    "matrix_memory": OperationText(_MATRIX_MEMORY, ("absolute", "exp", "log"), ("fill",)),
}
