/* The small operations of a decode step in fp32, each in one pass over memory.
 *
 * Compiled once by r1.native with the machine's own C compiler; without one the engine runs on
 * torch's operations alone. Loops are written for the compiler to vectorise: head widths are made
 * constants where common, and additions may be reordered (r1.native's flags), but NaN and
 * infinities keep their meaning.
 *
 * Shapes as in kv_cache.py: B rows, H query heads, K key/value heads, R = H / K, D key width,
 * V value width. Threads split rows; each row is computed alone, in an order that does not depend
 * on the number of threads.
 */
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "native_math.h"

#define MAX_WIDTH 512
#define BLOCK 256 /* keys whose scores are held at once */
#define MAX_R 16

/* Running softmax of R queries over blocks of keys: greatest score, sum, weighted values. */
typedef struct {
    float top[MAX_R], sum[MAX_R], out[MAX_R][MAX_WIDTH];
} State;

/* Eight sums of eight numbers each: the vector of the sums of p[0]..p[7]. */
INLINE vec sums_of_8(const vec *p) {
    vec half[4], quarter[2];
    for (int i = 0; i < 4; i++)
        half[i] = __builtin_shufflevector(p[2 * i], p[2 * i + 1], 0, 8, 2, 10, 4, 12, 6, 14) +
                  __builtin_shufflevector(p[2 * i], p[2 * i + 1], 1, 9, 3, 11, 5, 13, 7, 15);
    for (int i = 0; i < 2; i++)
        quarter[i] =
            __builtin_shufflevector(half[2 * i], half[2 * i + 1], 0, 1, 8, 9, 4, 5, 12, 13) +
            __builtin_shufflevector(half[2 * i], half[2 * i + 1], 2, 3, 10, 11, 6, 7, 14, 15);
    return __builtin_shufflevector(quarter[0], quarter[1], 0, 1, 2, 3, 8, 9, 10, 11) +
           __builtin_shufflevector(quarter[0], quarter[1], 4, 5, 6, 7, 12, 13, 14, 15);
}

/* Scores of count keys of constant width 8 * W, eight keys at a time. */
#define DEFINE_SCORES(W)                                                                       \
    static void scores_##W(const float *query, const float *keys, int64_t count, float scaling, \
                           float *scores) {                                                    \
        vec q[W];                                                                              \
        for (int w = 0; w < W; w++) q[w] = ((const vec *)query)[w] * scaling;                  \
        int64_t t = 0;                                                                         \
        for (; t + 8 <= count; t += 8) {                                                       \
            vec p[8];                                                                          \
            for (int k = 0; k < 8; k++) {                                                      \
                const vec *key = (const vec *)(keys + (t + k) * 8 * W);                        \
                p[k] = q[0] * key[0];                                                          \
                for (int w = 1; w < W; w++) p[k] += q[w] * key[w];                             \
            }                                                                                  \
            *(vec *)(scores + t) = sums_of_8(p);                                               \
        }                                                                                      \
        for (; t < count; t++) {                                                               \
            const float *key = keys + t * 8 * W;                                               \
            float dot = 0.0f;                                                                  \
            for (int d = 0; d < 8 * W; d++) dot += query[d] * scaling * key[d];                \
            scores[t] = dot;                                                                   \
        }                                                                                      \
    }                                                                                          \
    static void weigh_##W(const float *weights, const float *values, int64_t count, float *out) { \
        vec sum[W];                                                                            \
        for (int w = 0; w < W; w++) sum[w] = ((const vec *)out)[w];                            \
        for (int64_t t = 0; t < count; t++) {                                                  \
            const vec *value = (const vec *)(values + t * 8 * W);                              \
            for (int w = 0; w < W; w++) sum[w] += weights[t] * value[w];                       \
        }                                                                                      \
        for (int w = 0; w < W; w++) ((vec *)out)[w] = sum[w];                                  \
    }

DEFINE_SCORES(2)
DEFINE_SCORES(4)
DEFINE_SCORES(8)
DEFINE_SCORES(16)

INLINE void attend_block(State *s, const float *query, int64_t R, const float *keys,
                         const float *values, int64_t count, float scaling, int64_t D, int64_t V) {
    float all[BLOCK + 8];
    for (int64_t r = 0; r < R; r++) {
        float *scores = all;
        const float *q = query + r * D;
        if (D == 16) scores_2(q, keys, count, scaling, scores);
        else if (D == 32) scores_4(q, keys, count, scaling, scores);
        else if (D == 64) scores_8(q, keys, count, scaling, scores);
        else if (D == 128) scores_16(q, keys, count, scaling, scores);
        else
            for (int64_t t = 0; t < count; t++) {
                float dot = 0.0f;
                for (int64_t d = 0; d < D; d++) dot += q[d] * keys[t * D + d];
                scores[t] = dot * scaling;
            }
        float top = s->top[r];
        for (int64_t t = 0; t < count; t++) top = scores[t] > top ? scores[t] : top;
        float shrink = s->top[r] == -INFINITY ? 0.0f : exp_below(s->top[r] - top), sum = 0.0f;
        for (int64_t t = 0; t < count; t++) {
            scores[t] = exp_below(scores[t] - top);
            sum += scores[t];
        }
        s->top[r] = top;
        s->sum[r] = s->sum[r] * shrink + sum;
        float *restrict out = s->out[r];
        if (shrink != 1.0f)
            for (int64_t d = 0; d < V; d++) out[d] *= shrink;
        if (V == 16) weigh_2(scores, values, count, out);
        else if (V == 32) weigh_4(scores, values, count, out);
        else if (V == 64) weigh_8(scores, values, count, out);
        else if (V == 128) weigh_16(scores, values, count, out);
        else
            for (int64_t t = 0; t < count; t++) {
                const float *value = values + t * V, weight = scores[t];
                for (int64_t d = 0; d < V; d++) out[d] += weight * value[d];
            }
    }
}

INLINE void attend_range(State *s, const float *query, int64_t R, const float *keys,
                         const float *values, int64_t first, int64_t end, float scaling,
                         int64_t D, int64_t V) {
    for (int64_t t = first; t < end; t += BLOCK) {
        int64_t count = end - t < BLOCK ? end - t : BLOCK;
        attend_block(s, query, R, keys + t * D, values + t * V, count, scaling, D, V);
    }
}

typedef struct {
    /* [B, H, D], [B, K, D], [B, K, V]: strides of a row and of a head, in numbers */
    const float *query, *key, *value;
    int64_t query_row, query_head, key_row, key_head, value_row, value_head;
    float *own_keys, *own_values;               /* [rows, K, own_size, D or V] */
    const float *prompt_keys, *prompt_values;   /* [slots, K, prompt_size, D or V] */
    const int64_t *order, *lengths, *slots, *prompt_lengths;
    float *out; /* [B, H, V] */
    int64_t B, H, K, D, V, own_size, prompt_size, window;
    float scaling;
} Attention;

INLINE void attend_row(const Attention *a, int64_t row, int64_t D, int64_t V) {
    int64_t R = a->H / a->K, slot = a->slots[row];
    int64_t own = a->lengths[row], prompt = a->prompt_lengths[slot];
    int64_t own_first = 0, prompt_first = 0;
    if (a->window > 0) {
        own_first = own - a->window + 1 > 0 ? own - a->window + 1 : 0;
        prompt_first = prompt + own - a->window + 1;
        prompt_first = prompt_first < 0 ? 0 : prompt_first > prompt ? prompt : prompt_first;
    }
    State s;
    float query[MAX_R * MAX_WIDTH];
    for (int64_t k = 0; k < a->K; k++) {
        float *keys = a->own_keys + (row * a->K + k) * a->own_size * D;
        float *values = a->own_values + (row * a->K + k) * a->own_size * V;
        memcpy(keys + own * D, a->key + row * a->key_row + k * a->key_head, D * sizeof(float));
        memcpy(values + own * V, a->value + row * a->value_row + k * a->value_head,
               V * sizeof(float));
        for (int64_t r = 0; r < R; r++) {
            memcpy(query + r * D, a->query + row * a->query_row + (k * R + r) * a->query_head,
                   D * sizeof(float));
            s.top[r] = -INFINITY;
            s.sum[r] = 0.0f;
            memset(s.out[r], 0, V * sizeof(float));
        }
        int64_t at = (slot * a->K + k) * a->prompt_size;
        attend_range(&s, query, R, a->prompt_keys + at * D, a->prompt_values + at * V,
                     prompt_first, prompt, a->scaling, D, V);
        attend_range(&s, query, R, keys, values, own_first, own + 1, a->scaling, D, V);
        for (int64_t r = 0; r < R; r++) {
            float *out = a->out + (row * a->H + k * R + r) * V, share = 1.0f / s.sum[r];
            for (int64_t d = 0; d < V; d++) out[d] = s.out[r][d] * share;
        }
    }
}

/* Writes key and value of each row as its own token number lengths[row], then attends to the
 * prompt and the own tokens. order lists the rows by slot, so that a prompt stays in cache. */
void attend(const Attention *a, int threads) {
#pragma omp parallel for num_threads(threads) if (threads > 1) schedule(static)
    for (int64_t i = 0; i < a->B; i++) {
        attend_row(a, a->order[i], a->D, a->V);
    }
}

/* In place: x[:, :heads] [N, heads, D] of rows `stride` apart becomes x cos + rotate_half(x) sin. */
void rotate(float *x, const float *cos, const float *sin, int64_t N, int64_t heads, int64_t D,
            int64_t stride, int threads) {
    int64_t half = D / 2;
#pragma omp parallel for num_threads(threads) if (threads > 1) schedule(static)
    for (int64_t n = 0; n < N; n++) {
        const float *c = cos + n * D, *s = sin + n * D;
        for (int64_t h = 0; h < heads; h++) {
            float *restrict low = x + n * stride + h * D, *restrict high = low + half;
            for (int64_t d = 0; d < half; d++) {
                float a = low[d], b = high[d];
                low[d] = a * c[d] - b * s[d];
                high[d] = b * c[half + d] + a * s[half + d];
            }
        }
    }
}

/* out [N, D] = x / sqrt(mean(x^2) + eps) * weight */
void rms_norm(const float *x, const float *weight, float *out, int64_t N, int64_t D, float eps,
              int threads) {
#pragma omp parallel for num_threads(threads) if (threads > 1) schedule(static)
    for (int64_t n = 0; n < N; n++) {
        const float *restrict row = x + n * D;
        float *restrict result = out + n * D, sum = 0.0f;
        for (int64_t d = 0; d < D; d++) sum += row[d] * row[d];
        float scale = 1.0f / sqrtf(sum / (float)D + eps);
        for (int64_t d = 0; d < D; d++) result[d] = weight[d] * (row[d] * scale);
    }
}

/* out [N, W] = silu(x[:, :W]) * x[:, W:] for x [N, 2 W] */
void silu_gate(const float *x, float *out, int64_t N, int64_t W, int threads) {
#pragma omp parallel for num_threads(threads) if (threads > 1) schedule(static)
    for (int64_t n = 0; n < N; n++) {
        const float *restrict gate = x + n * 2 * W, *restrict up = gate + W;
        float *restrict result = out + n * W;
        for (int64_t d = 0; d < W; d++) {
            float e = exp_below(-fabsf(gate[d]));
            result[d] = gate[d] * (gate[d] < 0.0f ? e : 1.0f) / (1.0f + e) * up[d];
        }
    }
}
