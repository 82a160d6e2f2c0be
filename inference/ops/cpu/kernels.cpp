// What a step spends its time on, for one CPU thread: products with packed weights, attention of single
// queries, norm, rotation, the gated activation. `compilation.py` compiles it for the CPU that it runs on; all arrays are
// row-major.
//
// Products, y = x @ weight.T: a weight of [outputs, width] lies in panels of PANEL outputs. A panel holds,
// input after input (in groups of 4 or 8 for integers), the values that meet it. So a vector of weights
// is loaded once and multiplied by a value of each row of x, memory is read as one stream whatever the
// number of rows, and no sum crosses lanes. `packed_matrix.py` makes the layouts.

#include <cstdint>
#include <cstring>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace {

#if defined(__AVX512F__)
constexpr int LANES = 16;
constexpr int SUMS = 24;  // registers that hold sums, of 32
#elif defined(__AVX__)
constexpr int LANES = 8;
constexpr int SUMS = 12;  // of 16
#else
constexpr int LANES = 4;
constexpr int SUMS = 12;
#endif
constexpr int VECTORS = 2;  // of a panel: one waits for memory while the other is added
constexpr int PANEL = VECTORS * LANES;
constexpr long BLOCK_BYTES = 256 * 1024;  // of x, which stays in the second cache

typedef float Floats __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t Ints __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int8_t Bytes __attribute__((vector_size(LANES), aligned(1), may_alias));
typedef uint32_t Bits __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 32")

// Of two bfloat16 in each lane.
INLINE Floats first_half(Bits both) { return (Floats)(both << 16); }
INLINE Floats second_half(Bits both) { return (Floats)(both & 0xffff0000u); }

INLINE void fetch(const void *at) { __builtin_prefetch(at); }

INLINE Floats broadcast(float value) { return value - Floats{}; }

// ---- weights in floating point ------------------------------------------------------------------

// Float32: [panels][width][PANEL].
struct Float32 {
    using Element = float;
    static constexpr int inputs = 1;  // of a lane
    INLINE void load(const float *at, Floats *values) { values[0] = *(const Floats *)at; }
};

// Bfloat16: [panels][width / 2][PANEL][2].
struct BFloat16 {
    using Element = uint16_t;
    static constexpr int inputs = 2;
    INLINE void load(const uint16_t *at, Floats *values) {
        const Bits both = *(const Bits *)at;
        values[0] = first_half(both);
        values[1] = second_half(both);
    }
};

template <typename Weight> struct FloatProduct {
    const float *x;
    long width;
    const typename Weight::Element *weight;
    float *y;
    long panels;

    static constexpr int most_rows = SUMS / VECTORS;

    long bytes_of_a_row() const { return 4 * width; }

    template <int rows> void tile(long row, long panel) const {
        constexpr int inputs = Weight::inputs;
        const long size = width * PANEL, stride = panels * PANEL;
        const float *xs = x + row * width;
        const typename Weight::Element *w = weight + panel * size;
        Floats sum[rows][VECTORS] = {};
        for (long k = 0; k < width; k += inputs) {
            Floats value[VECTORS][inputs];
            UNROLL for (int v = 0; v < VECTORS; v++) {
                const auto *at = w + k * PANEL + inputs * v * LANES;
                fetch(at + size);
                Weight::load(at, value[v]);
            }
            UNROLL for (int i = 0; i < inputs; i++)
                UNROLL for (int r = 0; r < rows; r++)
                    UNROLL for (int v = 0; v < VECTORS; v++)
                        sum[r][v] += value[v][i] * xs[r * width + k + i];
        }
        UNROLL for (int r = 0; r < rows; r++)
            UNROLL for (int v = 0; v < VECTORS; v++)
                *(Floats *)(y + (row + r) * stride + panel * PANEL + v * LANES) = sum[r][v];
    }
};

// ---- weights in integers ------------------------------------------------------------------------

// Adds to each of LANES sums the products of four unsigned bytes of weights and four signed ones of x.
// Without VNNI two products meet in 16 bits: |x| is at most 63 for weights of 8 bits, 127 for 4.
INLINE Ints dot4(Ints sum, Ints weights, int32_t x) {
#if defined(__AVX512VNNI__)
    return (Ints)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)weights, _mm512_set1_epi32(x));
#elif defined(__AVX512BW__)
    const __m512i pairs = _mm512_maddubs_epi16((__m512i)weights, _mm512_set1_epi32(x));
    return sum + (Ints)_mm512_madd_epi16(pairs, _mm512_set1_epi16(1));
#elif defined(__AVXVNNI__)
    return (Ints)_mm256_dpbusd_avx_epi32((__m256i)sum, (__m256i)weights, _mm256_set1_epi32(x));
#elif defined(__AVX2__)
    const __m256i pairs = _mm256_maddubs_epi16((__m256i)weights, _mm256_set1_epi32(x));
    return sum + (Ints)_mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
#else
    uint8_t w[4 * LANES];
    int8_t four[4];
    memcpy(w, &weights, sizeof w);
    memcpy(four, &x, sizeof four);
    for (int lane = 0; lane < LANES; lane++)
        for (int i = 0; i < 4; i++) sum[lane] += w[4 * lane + i] * four[i];
    return sum;
#endif
}

INLINE int32_t four_bytes(const int8_t *at) {
    int32_t four;
    memcpy(&four, at, sizeof four);
    return four;
}

// x of [rows, width] float32 as integers, in groups of `group` values with a scale each. The steps
// of a group reach from -steps to steps. Rounded to nearest; a group that holds a value that is not
// finite gets a scale that is not. `fine`, if any, is what rounding left over, in `2 * steps` parts
// of a step. Width is padded with zeros to `padded`.
void quantize(const float *x, long rows, long width, long padded, long group, int steps, int8_t *coarse,
              int8_t *fine, float *scales) {
    const float magic = 12582912.0f;  // adding and taking it away rounds to a whole number
    for (long r = 0; r < rows; r++, x += width, coarse += padded) {
        for (long from = 0; from < padded; from += group) {
            const long count = width - from < group ? width - from : group;
            int32_t largest = 0;  // floats of one sign order as their bits do, NaN last
            for (long i = 0; i < count; i++) {
                int32_t bits;
                memcpy(&bits, x + from + i, sizeof bits);
                bits &= 0x7fffffff;
                largest = bits > largest ? bits : largest;
            }
            float scale;
            memcpy(&scale, &largest, sizeof scale);
            scale /= (float)steps;
            scale = scale < 1e-30f ? 1e-30f : scale;
            *scales++ = scale;
            const float per = 1.0f / scale;
            for (long i = 0; i < count; i++) {
                const float value = x[from + i] * per, whole = (value + magic) - magic;
                coarse[from + i] = (int8_t)(int32_t)whole;
                if (fine)
                    fine[from + i] =
                        (int8_t)(int32_t)(((value - whole) * (float)(2 * steps) + magic) - magic);
            }
            for (long i = count; i < group && from + i < padded; i++) {
                coarse[from + i] = 0;
                if (fine) fine[from + i] = 0;
            }
        }
        if (fine) fine += padded;
    }
}

INLINE int32_t total(const int8_t *values, long count) {
    int32_t sum = 0;
    for (long i = 0; i < count; i++) sum += values[i];
    return sum;
}

// Int8: stored as value + 128, [panels][width / 4][PANEL][4], with a scale per output. A row of x is two
// rows of integers, coarse and fine, so that about 14 bits of it count.
struct Int8Product {
    const int8_t *coarse, *fine;
    const float *row_scales;
    const int32_t *coarse_sums, *fine_sums;
    long width;  // padded
    const uint8_t *weight;
    const float *scales;
    float *y;
    long panels;

    static constexpr int most_rows = SUMS / VECTORS / 2;
    static constexpr int steps = 63;

    long bytes_of_a_row() const { return 2 * width; }

    template <int rows> void tile(long row, long panel) const {
        const long size = width * PANEL, stride = panels * PANEL;
        const int8_t *first = coarse + row * width, *second = fine + row * width;
        const uint8_t *w = weight + panel * size;
        Ints high[rows][VECTORS] = {}, low[rows][VECTORS] = {};
        for (long k = 0; k < width; k += 4) {
            Ints value[VECTORS];
            UNROLL for (int v = 0; v < VECTORS; v++) {
                const uint8_t *at = w + k * PANEL + 4 * v * LANES;
                fetch(at + size);
                value[v] = *(const Ints *)at;
            }
            UNROLL for (int r = 0; r < rows; r++)
                UNROLL for (int v = 0; v < VECTORS; v++) {
                    high[r][v] = dot4(high[r][v], value[v], four_bytes(first + r * width + k));
                    low[r][v] = dot4(low[r][v], value[v], four_bytes(second + r * width + k));
                }
        }
        UNROLL for (int r = 0; r < rows; r++) {
            const Floats scale = broadcast(row_scales[row + r]);
            const int32_t offset = 128 * coarse_sums[row + r], rest = 128 * fine_sums[row + r];
            UNROLL for (int v = 0; v < VECTORS; v++) {
                const long at = panel * PANEL + v * LANES;
                const Floats sum =
                    __builtin_convertvector(high[r][v] - offset, Floats) +
                    __builtin_convertvector(low[r][v] - rest, Floats) / (float)(2 * steps);
                *(Floats *)(y + (row + r) * stride + at) = sum * scale * *(const Floats *)(scales + at);
            }
        }
    }
};

// Int4: two values a byte, [panels][width / 8][PANEL][4]; the low halves of a group of eight inputs are
// the first four. Each group of `group` inputs has, for each output, a step and the value of 0, both
// bfloat16: [panels][width / group][PANEL][2]. x is quantized by the same groups.
struct Int4Product {
    const int8_t *x;
    const float *x_scales;  // [rows][groups]
    const float *x_sums;    // [rows][groups], of the values
    long width, group;
    const uint8_t *weight;
    const uint16_t *pairs;
    float *y;
    long panels;

    static constexpr int most_rows = SUMS / VECTORS / 3;
    static constexpr int steps = 127;

    long bytes_of_a_row() const { return width; }

    template <int rows> void tile(long row, long panel) const {
        const long groups = width / group, size = width * PANEL / 2, stride = panels * PANEL;
        const uint8_t *w = weight + panel * size;
        const uint16_t *pair = pairs + panel * groups * 2 * PANEL;
        Floats sum[rows][VECTORS] = {};
        for (long g = 0; g < groups; g++, pair += 2 * PANEL) {
            Ints dots[rows][VECTORS] = {};
            for (long k = g * group; k < (g + 1) * group; k += 8) {
                UNROLL for (int v = 0; v < VECTORS; v++) {
                    const uint8_t *at = w + k * PANEL / 2 + 4 * v * LANES;
                    fetch(at + size);
                    const Ints both = *(const Ints *)at;
                    const Ints first = both & 0x0f0f0f0f, second = (both >> 4) & 0x0f0f0f0f;
                    UNROLL for (int r = 0; r < rows; r++) {
                        const int8_t *xs = x + (row + r) * width + k;
                        dots[r][v] = dot4(dots[r][v], first, four_bytes(xs));
                        dots[r][v] = dot4(dots[r][v], second, four_bytes(xs + 4));
                    }
                }
            }
            UNROLL for (int v = 0; v < VECTORS; v++) {
                const Bits both = *(const Bits *)(pair + 2 * v * LANES);
                const Floats step = first_half(both), zero = second_half(both);
                UNROLL for (int r = 0; r < rows; r++) {
                    const long at = (row + r) * groups + g;
                    sum[r][v] += __builtin_convertvector(dots[r][v], Floats) * (step * x_scales[at]) +
                                 zero * x_sums[at];
                }
            }
        }
        UNROLL for (int r = 0; r < rows; r++)
            UNROLL for (int v = 0; v < VECTORS; v++)
                *(Floats *)(y + (row + r) * stride + panel * PANEL + v * LANES) = sum[r][v];
    }
};

// NF4: eight values of 4 bits for each output, the first in the low bits, [panels][width / 8][PANEL]; the largest
// magnitude of each block of `block` inputs: [panels][width / block][PANEL].
constexpr float LEVELS[16] = {
    -1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f,
    -0.28444138169288635f, -0.18477343022823334f, -0.09105003625154495f, 0.0f,
    0.07958029955625534f, 0.16093020141124725f, 0.24611230194568634f, 0.33791524171829224f,
    0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1.0f};

// The level of the low 4 bits of each lane.
INLINE Floats level(Ints values) {
    if constexpr (LANES == 16) {
        return __builtin_shuffle(*(const Floats *)LEVELS, values);  // takes no more bits than these
    } else if constexpr (LANES == 8) {
        return __builtin_shuffle(*(const Floats *)LEVELS, *(const Floats *)(LEVELS + 16 - LANES), values);
    } else {
        Floats levels;
        for (int lane = 0; lane < LANES; lane++) levels[lane] = LEVELS[values[lane] & 15];
        return levels;
    }
}

struct Nf4Product {
    const float *x;
    long width, block;
    const uint32_t *weight;
    const float *largest;
    float *y;
    long panels;

    static constexpr int most_rows = SUMS / VECTORS / 2;

    long bytes_of_a_row() const { return 4 * width; }

    template <int rows> void tile(long row, long panel) const {
        const long blocks = width / block, size = width / 8 * PANEL, stride = panels * PANEL;
        const uint32_t *w = weight + panel * size;
        const float *scale = largest + panel * blocks * PANEL;
        Floats sum[rows][VECTORS] = {};
        for (long b = 0; b < blocks; b++, scale += PANEL) {
            Floats part[rows][VECTORS] = {};
            for (long k = b * block; k < (b + 1) * block; k += 8) {
                UNROLL for (int v = 0; v < VECTORS; v++) {
                    const uint32_t *at = w + k / 8 * PANEL + v * LANES;
                    fetch(at + size);
                    const Bits eight = *(const Bits *)at;
                    UNROLL for (int i = 0; i < 8; i++) {
                        const Floats value = level((Ints)(eight >> 4 * i));
                        UNROLL for (int r = 0; r < rows; r++)
                            part[r][v] += value * x[(row + r) * width + k + i];
                    }
                }
            }
            UNROLL for (int r = 0; r < rows; r++)
                UNROLL for (int v = 0; v < VECTORS; v++)
                    sum[r][v] += part[r][v] * *(const Floats *)(scale + v * LANES);
        }
        UNROLL for (int r = 0; r < rows; r++)
            UNROLL for (int v = 0; v < VECTORS; v++)
                *(Floats *)(y + (row + r) * stride + panel * PANEL + v * LANES) = sum[r][v];
    }
};

// ---- all of a product ---------------------------------------------------------------------------

// Computes `count` rows of one panel. The number is a constant inside `tile`, whose sums then stay in
// registers.
template <typename Product, int rows = Product::most_rows>
INLINE void tile_of(const Product &product, long count, long row, long panel) {
    if constexpr (rows > 0) {
        if (count == rows)
            product.template tile<rows>(row, panel);
        else
            tile_of<Product, rows - 1>(product, count, row, panel);
    }
}

template <typename Product> void multiply(const Product &product, long rows) {
    constexpr int most = Product::most_rows;
    long block = BLOCK_BYTES / product.bytes_of_a_row() / most * most;
    if (block < most) block = most;
    for (long first = 0; first < rows; first += block) {
        const long count = rows - first < block ? rows - first : block;
        const long tiles = (count + most - 1) / most;
        for (long panel = 0; panel < product.panels; panel++)
            for (long t = 0; t < tiles; t++) {  // of nearly equal size
                const long from = count * t / tiles, to = count * (t + 1) / tiles;
                tile_of(product, to - from, first + from, panel);
            }
    }
}

// ---- attention and activation -------------------------------------------------------------------

struct Swaps {  // of lanes that lie 8, 4, 2 and 1 apart
    int32_t lanes[4][LANES];
    constexpr Swaps() : lanes() {
        for (int i = 0; i < 4; i++)
            for (int lane = 0; lane < LANES; lane++) lanes[i][lane] = lane ^ (8 >> i);
    }
};
constexpr Swaps SWAPS;

INLINE float sum_of(Floats values) {
    UNROLL for (int i = 0; i < 4; i++)
        if (8 >> i < LANES) values += __builtin_shuffle(values, *(const Ints *)SWAPS.lanes[i]);
    return values[0];
}

// x / rms(x) * weight.
void normalize(const float *x, const float *weight, float eps, long width, float *out) {
    Floats squares = {};
    long i = 0;
    for (; i + LANES <= width; i += LANES) squares += *(const Floats *)(x + i) * *(const Floats *)(x + i);
    float sum = sum_of(squares);
    for (; i < width; i++) sum += x[i] * x[i];
    const float scale = 1.0f / __builtin_sqrtf(sum / (float)width + eps);
    for (i = 0; i < width; i++) out[i] = x[i] * scale * weight[i];
}

// e to the power of x, within 2e-7; of what is not a number, no number.
INLINE Floats exponential(Floats x) {
    x = x < -87.0f ? broadcast(-87.0f) : x;
    x = x > 88.0f ? broadcast(88.0f) : x;
    const Floats magic = broadcast(12582912.0f);
    const Floats shifted = x * 1.44269504f + magic, whole = shifted - magic;
    // In two parts, the first of which is exact: what is left of x is within half of log 2.
    const Floats rest = (x - whole * 0.693359375f) + whole * 2.12194440e-4f;
    Floats sum = broadcast(1.9875691500e-4f);
    sum = sum * rest + 1.3981999507e-3f;
    sum = sum * rest + 8.3334519073e-3f;
    sum = sum * rest + 4.1665795894e-2f;
    sum = sum * rest + 1.6666665459e-1f;
    sum = sum * rest + 5.0000001201e-1f;
    sum = sum * rest * rest + rest + 1.0f;
    return (Floats)((Ints)sum + (((Ints)shifted - (Ints)magic) << 23)) + x * 0.0f;
}

INLINE float exponential(float x) { return exponential(broadcast(x))[0]; }

// Rows of the KV cache, the key or value of one head and position: `dim` values, and what else belongs to them.
struct FloatRows {
    using Element = float;
    static long width(long dim) { return dim; }
    INLINE float scale(const float *, long) { return 1.0f; }
    INLINE Floats load(const float *at) { return *(const Floats *)at; }
    INLINE void store(const float *x, long dim, float *row) { memcpy(row, x, dim * sizeof(float)); }
};

// Int8: the scale, a float, comes after the values (`kv_rows.py`).
struct Int8Rows {
    using Element = int8_t;
    static long width(long dim) { return dim + (long)sizeof(float); }
    INLINE float scale(const int8_t *row, long dim) {
        float value;
        memcpy(&value, row + dim, sizeof value);
        return value;
    }
    INLINE Floats load(const int8_t *at) {
        return __builtin_convertvector(__builtin_convertvector(*(const Bytes *)at, Ints), Floats);
    }
    INLINE void store(const float *x, long dim, int8_t *row) {
        float value;
        quantize(x, 1, dim, dim, dim, 127, row, nullptr, &value);
        memcpy(row + dim, &value, sizeof value);
    }
};

// Calls use(position, pointer to its row of one head) for positions [from, to) of a sequence.
template <typename Element, typename Use>
INLINE void each_position(const Element *cache, const int32_t *table, long block_size, long stride, long from,
                          long to, Use use) {
    while (from < to) {
        const long block = from / block_size;
        const long end = (block + 1) * block_size < to ? (block + 1) * block_size : to;
        const Element *at = cache + (table[block] * block_size + from % block_size) * stride;
        for (; from < end; from++, at += stride) use(from, at);
    }
}

// One query and head over positions [from, to) of a sequence: softmax(q . k * scale) . v.
template <typename Rows>
void attend(const float *q, const typename Rows::Element *k, const typename Rows::Element *v,
            const int32_t *table, long block_size, long stride, long dim, long from, long to, float scale,
            float *scores, float *out) {
    using Element = typename Rows::Element;
    constexpr int most = 4;  // registers of the result at once
    float largest = -__builtin_inff();
    each_position(k, table, block_size, stride, from, to, [&](long position, const Element *key) {
        Floats sum = {};
        long d = 0;
        for (; d + LANES <= dim; d += LANES) sum += *(const Floats *)(q + d) * Rows::load(key + d);
        float score = sum_of(sum);
        for (; d < dim; d++) score += q[d] * (float)key[d];
        score *= scale * Rows::scale(key, dim);
        scores[position - from] = score;
        largest = score > largest ? score : largest;
    });
    const long count = to - from;
    Floats totals = {};
    long i = 0;
    for (; i + LANES <= count; i += LANES) {
        const Floats weights = exponential(*(const Floats *)(scores + i) - largest);
        *(Floats *)(scores + i) = weights;
        totals += weights;
    }
    float total = sum_of(totals);
    for (; i < count; i++) total += scores[i] = exponential(scores[i] - largest);
    const float share = 1.0f / total;
    long d = 0;
    for (; d + most * LANES <= dim; d += most * LANES) {
        Floats sum[most] = {};
        each_position(v, table, block_size, stride, from, to, [&](long position, const Element *value) {
            const float weight = scores[position - from] * Rows::scale(value, dim);
            UNROLL for (int j = 0; j < most; j++) sum[j] += Rows::load(value + d + j * LANES) * weight;
        });
        UNROLL for (int j = 0; j < most; j++) *(Floats *)(out + d + j * LANES) = sum[j] * share;
    }
    for (; d < dim; d++) {
        float sum = 0;
        each_position(v, table, block_size, stride, from, to, [&](long position, const Element *value) {
            sum += (float)value[d] * (scores[position - from] * Rows::scale(value, dim));
        });
        out[d] = sum * share;
    }
}

// Of rows with one query each: q of [rows, kv_heads * group, dim] with `q_stride` values a row; k and v of
// [blocks, block_size, kv_heads, row]; a row's blocks in `tables`, `table_stride` a row; a query sees
// the last `window` of its `lens` positions. `scores` holds the longest context.
template <typename Rows>
void attend_sequences(const float *q, long q_stride, long rows, long kv_heads, long group, long dim,
                 const typename Rows::Element *k, const typename Rows::Element *v, long block_size,
                 const int32_t *tables, long table_stride, const int32_t *lens, float scale, long window,
                 float *scores, float *out) {
    const long width = Rows::width(dim);
    for (long row = 0; row < rows; row++) {
        const long to = lens[row], from = to > window ? to - window : 0;
        for (long head = 0; head < kv_heads * group; head++) {
            const long offset = head / group * width;
            attend<Rows>(q + row * q_stride + head * dim, k + offset, v + offset,
                         tables + row * table_stride, block_size, kv_heads * width, dim, from, to, scale,
                         scores, out + (row * kv_heads * group + head) * dim);
        }
    }
}

// Normalizes q and k of qkv, [rows, heads + 2 * kv_heads, dim], where there are weights for it, and turns each
// pair (i, i + dim / 2) by the row's i-th angle. q goes to `q`, [rows, heads, dim]; k and v go to the slot of the
// row in the caches, [slots, kv_heads, row]. `scratch` holds 2 * dim.
template <typename Rows>
void rotate_and_store(const float *qkv, const float *cosines, const float *sines, const int64_t *slots,
                typename Rows::Element *k_cache, typename Rows::Element *v_cache, const float *q_norm,
                const float *k_norm, float eps, long rows, long heads, long kv_heads, long dim,
                float *scratch, float *q) {
    const long half = dim / 2, width = Rows::width(dim);
    for (long row = 0; row < rows; row++, cosines += half, sines += half) {
        auto *key = k_cache + slots[row] * kv_heads * width, *value = v_cache + slots[row] * kv_heads * width;
        for (long head = 0; head < heads + kv_heads; head++, qkv += dim) {
            const bool is_q = head < heads;
            float *out = is_q ? q + (row * heads + head) * dim : scratch + dim;
            const float *weight = is_q ? q_norm : k_norm, *in = qkv;
            if (weight) {
                normalize(qkv, weight, eps, dim, scratch);
                in = scratch;
            }
            for (long i = 0; i < half; i++) {
                out[i] = in[i] * cosines[i] - in[i + half] * sines[i];
                out[i + half] = in[i + half] * cosines[i] + in[i] * sines[i];
            }
            if (!is_q) Rows::store(out, dim, key + (head - heads) * width);
        }
        for (long head = 0; head < kv_heads; head++, qkv += dim) Rows::store(qkv, dim, value + head * width);
    }
}

}  // namespace

extern "C" {

void attend_rows(const float *q, long q_stride, long rows, long kv_heads, long group, long dim,
                 const float *k, const float *v, long block_size, const int32_t *tables, long table_stride,
                 const int32_t *lens, float scale, long window, float *scores, float *out) {
    attend_sequences<FloatRows>(q, q_stride, rows, kv_heads, group, dim, k, v, block_size, tables, table_stride,
                           lens, scale, window, scores, out);
}

void attend_rows_int8(const float *q, long q_stride, long rows, long kv_heads, long group, long dim,
                      const int8_t *k, const int8_t *v, long block_size, const int32_t *tables,
                      long table_stride, const int32_t *lens, float scale, long window, float *scores,
                      float *out) {
    attend_sequences<Int8Rows>(q, q_stride, rows, kv_heads, group, dim, k, v, block_size, tables, table_stride,
                          lens, scale, window, scores, out);
}

void rope_store(const float *qkv, const float *cosines, const float *sines, const int64_t *slots,
                float *k_cache, float *v_cache, const float *q_norm, const float *k_norm, float eps,
                long rows, long heads, long kv_heads, long dim, float *scratch, float *q) {
    rotate_and_store<FloatRows>(qkv, cosines, sines, slots, k_cache, v_cache, q_norm, k_norm, eps, rows, heads,
                          kv_heads, dim, scratch, q);
}

void rope_store_int8(const float *qkv, const float *cosines, const float *sines, const int64_t *slots,
                     int8_t *k_cache, int8_t *v_cache, const float *q_norm, const float *k_norm, float eps,
                     long rows, long heads, long kv_heads, long dim, float *scratch, float *q) {
    rotate_and_store<Int8Rows>(qkv, cosines, sines, slots, k_cache, v_cache, q_norm, k_norm, eps, rows, heads,
                         kv_heads, dim, scratch, q);
}

// total = x + residual, normed = total / rms(total) * weight, of [rows, width].
void add_rms_norm(const float *x, const float *residual, const float *weight, float eps, long rows,
                  long width, float *normed, float *total) {
    for (long row = 0; row < rows; row++, x += width, residual += width, normed += width, total += width) {
        for (long i = 0; i < width; i++) total[i] = x[i] + residual[i];
        normalize(total, weight, eps, width, normed);
    }
}

// silu(gate) * up, of [rows, stride] with the gate in the first `half` values and `up` in the next.
void silu_mul(const float *gate_up, long rows, long stride, long half, float *out) {
    for (long row = 0; row < rows; row++, gate_up += stride, out += half) {
        const float *up = gate_up + half;
        long i = 0;
        for (; i + LANES <= half; i += LANES) {
            const Floats gate = *(const Floats *)(gate_up + i);
            *(Floats *)(out + i) = gate / (exponential(-gate) + 1.0f) * *(const Floats *)(up + i);
        }
        for (; i < half; i++) out[i] = gate_up[i] / (exponential(-gate_up[i]) + 1.0f) * up[i];
    }
}

int panel_width() { return PANEL; }

void float32_product(const float *x, long rows, long width, const float *weight, long panels, float *y) {
    multiply(FloatProduct<Float32>{x, width, weight, y, panels}, rows);
}

void bfloat16_product(const float *x, long rows, long width, const uint16_t *weight, long panels,
                      float *y) {
    multiply(FloatProduct<BFloat16>{x, width, weight, y, panels}, rows);
}

// `work` holds 2 * rows * padded bytes and 3 * rows floats after them.
void int8_product(const float *x, long rows, long width, long padded, const uint8_t *weight,
                  const float *scales, long panels, char *work, float *y) {
    int8_t *coarse = (int8_t *)work, *fine = coarse + rows * padded;
    float *row_scales = (float *)(work + 2 * rows * padded);
    int32_t *coarse_sums = (int32_t *)(row_scales + rows), *fine_sums = coarse_sums + rows;
    quantize(x, rows, width, padded, padded, Int8Product::steps, coarse, fine, row_scales);
    for (long r = 0; r < rows; r++) {
        coarse_sums[r] = total(coarse + r * padded, padded);
        fine_sums[r] = total(fine + r * padded, padded);
    }
    multiply(Int8Product{coarse, fine, row_scales, coarse_sums, fine_sums, padded, weight, scales, y, panels},
             rows);
}

// `work` holds rows * width bytes and 2 * rows * width / group floats after them.
void int4_product(const float *x, long rows, long width, long group, const uint8_t *weight,
                  const uint16_t *pairs, long panels, char *work, float *y) {
    int8_t *whole = (int8_t *)work;
    float *scales = (float *)(work + rows * width), *sums = scales + rows * (width / group);
    quantize(x, rows, width, width, group, Int4Product::steps, whole, nullptr, scales);
    for (long i = 0; i < rows * (width / group); i++)
        sums[i] = scales[i] * (float)total(whole + i * group, group);
    multiply(Int4Product{whole, scales, sums, width, group, weight, pairs, y, panels}, rows);
}

void nf4_product(const float *x, long rows, long width, long block, const uint32_t *weight,
                 const float *largest, long panels, float *y) {
    multiply(Nf4Product{x, width, block, weight, largest, y, panels}, rows);
}

}  // extern "C"
