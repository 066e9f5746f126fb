/* What the compiled parts share: a vector of eight floats, and an exponential that vectorises. */
#include <math.h>
#include <stdint.h>

#define INLINE static inline __attribute__((always_inline))

typedef float vec __attribute__((vector_size(32), aligned(4), may_alias));

/* exp(x) for x <= 0 to 2 units in the last place: 2^n * p(r), x = n ln 2 + r (Cephes' polynomial). */
INLINE float exp_below(float x) {
    x = x < -87.0f ? -87.0f : x;
    float n = floorf(x * 1.44269504088896341f + 0.5f);
    float r = x - n * 0.693359375f + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    union { int32_t i; float f; } power = {((int32_t)n + 127) << 23};
    return p * power.f;
}
