/* Attention of a packed row in fp32, forward and backward: responses that share a prompt.
 *
 * Compiled by r1.native. A task is one group and one key/value head: the prompt's keys are laid out
 * once and serve every response of the group, nothing is copied per response and nothing padded
 * but to the width of a vector. Every sum is taken in an order that depends on the row alone, not
 * on the threads, and no two tasks write to one place.
 *
 * A segment is a prompt or a response. Its keys stand in columns: the prompt's from 0, a response's
 * own from OWN (the prompt's length rounded up to 16); the prompt as a segment has OWN = 0.
 *
 *     S = q k^T,  P = exp(scale S - lse),  out = P v
 *     dP = g v^T,  dS = scale P (dP - sum(g out)),  dq = dS k,  dk += dS^T q,  dv += P^T g
 *
 * Scores are computed for TILE queries at a time, so that scratch grows with the columns and not with
 * their square; sums over queries go on from tile to tile in the same order.
 *
 * Shapes: N tokens, H query heads, J key/value heads, E width (a multiple of 16), W columns,
 * T tokens of a segment.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "native_math.h"

#define TILE 512 /* queries, a multiple of 4 */
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define UP(n, m) (((n) + (m) - 1) / (m) * (m))

typedef struct {
    const float *q, *k, *v; /* [N, H or J, E]: strides of a token and of a head, in numbers */
    int64_t q_row, q_head, k_row, k_head, v_row, v_head;
    float *out, *lse;             /* [N, H, E], [N, H] */
    const float *grad;            /* [N, H, E]; backward only, as what follows */
    float *dq, *dk, *dv;          /* [N, H, E], [N, J, E], [N, J, E] */
    const int64_t *segments;      /* [segments, 2]: start, length; a group's first is its prompt */
    const int64_t *first_segment; /* [groups + 1] */
    int64_t groups, H, J, E;
    float scale;
} Tree;

typedef struct {
    int64_t W, T;                  /* T: of a tile */
    float *k, *v, *kt, *vt;        /* [W, E], [W, E], [E, W], [E, W] */
    float *q, *grad, *p, *ds;      /* [T, E], [T, E], [T, W], [T, W] */
    float *dk, *dv, *shift, *base; /* [W, E], [W, E], [T] */
} Scratch;

/* c [4, 16] (+)= a [4, depth] b [depth, 16]; a's element (i, k) lies at i * a_row + k * a_step. */
INLINE void block(float *c, int64_t c_row, int add, const float *a, int64_t a_row, int64_t a_step,
                  const float *b, int64_t b_row, int64_t depth) {
    vec sum[4][2];
    for (int i = 0; i < 4; i++)
        for (int w = 0; w < 2; w++) sum[i][w] = add ? ((vec *)(c + i * c_row))[w] : (vec){0};
    for (int64_t k = 0; k < depth; k++) {
        const vec *row = (const vec *)(b + k * b_row);
        vec low = row[0], high = row[1];
        for (int i = 0; i < 4; i++) {
            float x = a[i * a_row + k * a_step];
            sum[i][0] += x * low;
            sum[i][1] += x * high;
        }
    }
    for (int i = 0; i < 4; i++)
        for (int w = 0; w < 2; w++) ((vec *)(c + i * c_row))[w] = sum[i][w];
}

/* Columns that the four tokens from t on may see, rounded up. */
INLINE int64_t seen(int64_t own, int64_t t) { return UP(own + t + 4, 16); }

/* c [T, W] = a [T, E] b [E, W] where a token may look; the tile's first is the segment's `from`. */
static void against_keys(const Scratch *s, float *c, const float *a, const float *b, int64_t own,
                         int64_t from, int64_t length, int64_t E) {
    for (int64_t t = 0; t < length; t += 4)
        for (int64_t w = 0; w < seen(own, from + t); w += 16)
            block(c + t * s->W + w, s->W, 0, a + t * E, E, 1, b + w, s->W, E);
}

static int64_t longest(const Tree *a, int64_t g, int64_t *prompt) {
    int64_t most = 0;
    for (int64_t i = a->first_segment[g] + 1; i < a->first_segment[g + 1]; i++)
        most = a->segments[2 * i + 1] > most ? a->segments[2 * i + 1] : most;
    *prompt = a->segments[2 * a->first_segment[g] + 1];
    return most;
}

/* Sizes for the largest task. */
static Scratch sizes_of(const Tree *a) {
    Scratch s = {0};
    for (int64_t g = 0; g < a->groups; g++) {
        int64_t prompt, own = longest(a, g, &prompt);
        int64_t width = UP(prompt, 16) + UP(own, 16) + 16, most = own > prompt ? own : prompt;
        s.W = width > s.W ? width : s.W;
        s.T = UP(most, 4) > s.T ? UP(most, 4) : s.T;
    }
    s.T = MIN(s.T, TILE);
    return s;
}

/* Numbers of scratch that a thread needs. */
int64_t tree_scratch(const Tree *a) {
    Scratch s = sizes_of(a);
    return 6 * UP(s.W * a->E, 16) + 2 * UP(s.T * a->E, 16) + 2 * UP(s.T * s.W, 16) + UP(s.T, 16);
}

/* NULL in base where memory is short. */
static Scratch make_scratch(const Tree *a) {
    Scratch s = sizes_of(a);
    int64_t E = a->E;
    int64_t sizes[] = {s.W * E, s.W * E, s.W * E, s.W * E, s.T * E,  s.T * E,
                       s.T * s.W, s.T * s.W, s.W * E, s.W * E, s.T};
    float **parts[] = {&s.k, &s.v, &s.kt, &s.vt, &s.q, &s.grad, &s.p, &s.ds, &s.dk, &s.dv, &s.shift};
    s.base = calloc(tree_scratch(a), sizeof(float));
    float *at = s.base;
    for (int i = 0; i < 11 && s.base; i++) {
        *parts[i] = at;
        at += UP(sizes[i], 16);
    }
    return s;
}

/* Rows [length, E] of x, `row` apart, to `to`; zeros up to a multiple of `pad`. */
static void gather(float *to, const float *x, int64_t row, int64_t length, int64_t pad, int64_t E) {
    for (int64_t t = 0; t < length; t++) memcpy(to + t * E, x + t * row, E * sizeof(float));
    memset(to + length * E, 0, (UP(length, pad) - length) * E * sizeof(float));
}

/* Columns [own, own + UP(length, 16)) of to [E, W] become rows [own, ...) of from [W, E]. */
static void transpose(const Scratch *s, float *to, const float *from, int64_t own, int64_t length,
                      int64_t E) {
    for (int64_t e = 0; e < E; e++)
        for (int64_t w = own; w < own + UP(length, 16); w++) to[e * s->W + w] = from[w * E + e];
}

static void load_keys(const Tree *a, Scratch *s, int64_t start, int64_t length, int64_t own,
                      int64_t j, int backward) {
    int64_t E = a->E;
    gather(s->k + own * E, a->k + start * a->k_row + j * a->k_head, a->k_row, length, 16, E);
    gather(s->v + own * E, a->v + start * a->v_row + j * a->v_head, a->v_row, length, 16, E);
    transpose(s, s->kt, s->k, own, length, E);
    if (backward) transpose(s, s->vt, s->v, own, length, E);
}

/* Zero what token t must not see: the gap behind the prompt and what comes after it. */
INLINE void blank(float *row, int64_t prompt, int64_t own, int64_t end, int64_t limit) {
    for (int64_t w = prompt; w < own; w++) row[w] = 0.0f;
    for (int64_t w = end; w < limit; w++) row[w] = 0.0f;
}

/* The greatest of count numbers and top: eight at a time, which the compiler may not do itself. */
INLINE float greatest(const float *row, int64_t count, float top) {
    float lanes[8];
    int64_t w = 0;
    for (int i = 0; i < 8; i++) lanes[i] = top;
    for (; w + 8 <= count; w += 8)
        for (int i = 0; i < 8; i++) lanes[i] = row[w + i] > lanes[i] ? row[w + i] : lanes[i];
    for (; w < count; w++) lanes[0] = row[w] > lanes[0] ? row[w] : lanes[0];
    for (int i = 0; i < 8; i++) top = lanes[i] > top ? lanes[i] : top;
    return top;
}

/* Tokens [from, from + length) of the segment at `start`. */
static void tile_forward(const Tree *a, Scratch *s, int64_t start, int64_t from, int64_t length,
                         int64_t prompt, int64_t own, int64_t head) {
    int64_t E = a->E, W = s->W;
    start += from;
    gather(s->q, a->q + start * a->q_row + head * a->q_head, a->q_row, length, 4, E);
    against_keys(s, s->p, s->q, s->kt, own, from, length, E);
    for (int64_t t = 0; t < length; t += 4) {
        int64_t limit = seen(own, from + t), rows = length - t < 4 ? length - t : 4;
        float share[4];
        for (int64_t i = 0; i < 4; i++) {
            float *row = s->p + (t + i) * W, top = -INFINITY, sum = 0.0f;
            int64_t end = own + from + t + i + 1;
            if (i >= rows) {
                memset(row, 0, limit * sizeof(float));
                continue;
            }
            top = greatest(row + own, end - own, greatest(row, prompt, top));
            for (int64_t w = 0; w < end; w++) row[w] = exp_below((row[w] - top) * a->scale);
            blank(row, prompt, own, end, limit);
            for (int64_t w = 0; w < end; w++) sum += row[w];
            share[i] = 1.0f / sum;
            a->lse[(start + t + i) * a->H + head] = top * a->scale + logf(sum);
        }
        float out[4 * 16];
        for (int64_t e = 0; e < E; e += 16) {
            block(out, 16, 0, s->p + t * W, W, 1, s->v + e, E, limit);
            for (int64_t i = 0; i < rows; i++)
                for (int64_t d = 0; d < 16; d++)
                    a->out[((start + t + i) * a->H + head) * E + e + d] = out[i * 16 + d] * share[i];
        }
    }
}

static void tile_backward(const Tree *a, Scratch *s, int64_t start, int64_t from, int64_t length,
                          int64_t prompt, int64_t own, int64_t head) {
    int64_t E = a->E, W = s->W, all = a->H * E, T = UP(length, 4);
    start += from;
    gather(s->q, a->q + start * a->q_row + head * a->q_head, a->q_row, length, 4, E);
    gather(s->grad, a->grad + start * all + head * E, all, length, 4, E);
    against_keys(s, s->p, s->q, s->kt, own, from, length, E);
    against_keys(s, s->ds, s->grad, s->vt, own, from, length, E);
    for (int64_t t = 0; t < T; t++) {
        float *p = s->p + t * W, *ds = s->ds + t * W, shift = 0.0f;
        int64_t end = own + from + t + 1, limit = seen(own, from + t / 4 * 4);
        if (t >= length) {
            memset(p, 0, limit * sizeof(float));
            memset(ds, 0, limit * sizeof(float));
            continue;
        }
        const float *out = a->out + (start + t) * all + head * E, *grad = s->grad + t * E;
        float lse = a->lse[(start + t) * a->H + head];
        for (int64_t e = 0; e < E; e++) shift += grad[e] * out[e];
        for (int64_t w = 0; w < end; w++) {
            float x = p[w] * a->scale - lse;
            p[w] = exp_below(x < 0.0f ? x : 0.0f);
        }
        for (int64_t w = 0; w < end; w++) ds[w] = p[w] * (ds[w] - shift) * a->scale;
        blank(p, prompt, own, end, limit);
        blank(ds, prompt, own, end, limit);
    }
    for (int64_t t = 0; t < T; t += 4) {
        float dq[4 * 16];
        for (int64_t e = 0; e < E; e += 16) {
            block(dq, 16, 0, s->ds + t * W, W, 1, s->k + e, E, seen(own, from + t));
            for (int64_t i = 0; i < 4 && t + i < length; i++)
                memcpy(a->dq + (start + t + i) * all + head * E + e, dq + i * 16, 16 * sizeof(float));
        }
    }
    for (int64_t w = 0; w < own + from + length; w += 4) {
        /* the tile's first token that sees any of the four columns */
        int64_t t = w < own + from ? 0 : w - own - from;
        for (int64_t e = 0; e < E; e += 16) {
            block(s->dk + w * E + e, E, 1, s->ds + t * W + w, 1, W, s->q + t * E + e, E, T - t);
            block(s->dv + w * E + e, E, 1, s->p + t * W + w, 1, W, s->grad + t * E + e, E, T - t);
        }
    }
}

static void store(const Tree *a, const Scratch *s, int64_t start, int64_t length, int64_t own,
                  int64_t j) {
    int64_t E = a->E;
    for (int64_t t = 0; t < length; t++) {
        memcpy(a->dk + ((start + t) * a->J + j) * E, s->dk + (own + t) * E, E * sizeof(float));
        memcpy(a->dv + ((start + t) * a->J + j) * E, s->dv + (own + t) * E, E * sizeof(float));
    }
}

static void task(const Tree *a, Scratch *s, int64_t g, int64_t j, int backward) {
    int64_t E = a->E, R = a->H / a->J, prompt;
    longest(a, g, &prompt);
    int64_t first = a->first_segment[g], shared = UP(prompt, 16);
    memset(s->dk, 0, shared * E * sizeof(float));
    memset(s->dv, 0, shared * E * sizeof(float));
    for (int64_t i = first; i < a->first_segment[g + 1]; i++) {
        int64_t start = a->segments[2 * i], length = a->segments[2 * i + 1];
        int64_t own = i == first ? 0 : shared, before = i == first ? 0 : prompt;
        load_keys(a, s, start, length, own, j, backward);
        if (!backward) {
            for (int64_t h = j * R; h < (j + 1) * R; h++)
                for (int64_t t = 0; t < length; t += TILE)
                    tile_forward(a, s, start, t, MIN(TILE, length - t), before, own, h);
            continue;
        }
        if (i > first) {
            memset(s->dk + own * E, 0, UP(length, 16) * E * sizeof(float));
            memset(s->dv + own * E, 0, UP(length, 16) * E * sizeof(float));
        }
        for (int64_t h = j * R; h < (j + 1) * R; h++)
            for (int64_t t = 0; t < length; t += TILE)
                tile_backward(a, s, start, t, MIN(TILE, length - t), before, own, h);
        if (i > first) store(a, s, start, length, own, j);
    }
    if (backward) store(a, s, a->segments[2 * first], prompt, 0, j);
}

/* Returns 0, or 1 where there was no memory for the scratch. */
int tree_attention(const Tree *a, int backward, int threads) {
    int failed = 0;
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        Scratch s = make_scratch(a);
        if (!s.base) {
#pragma omp atomic write
            failed = 1;
        }
#pragma omp for schedule(dynamic)
        for (int64_t i = 0; i < a->groups * a->J; i++)
            if (s.base) task(a, &s, i / a->J, i % a->J, backward);
        free(s.base);
    }
    return failed;
}
