/* tiny_f32: 24 stored steps, compared bit for bit. Made by tinyctl 0.1.0.
 * SPDX-License-Identifier: 0BSD
 */
#include "tiny_f32.h"

#ifdef __FAST_MATH__
#error "compile without -ffast-math: it changes results"
#endif
#if defined(__FLT_EVAL_METHOD__) && __FLT_EVAL_METHOD__ != 0
#error "float arithmetic must be evaluated in float (on x86-32: -msse2 -mfpmath=sse)"
#endif
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__) /* the SLP vectoriser of gcc 12 makes vfmaddsub whatever fp-contract says */
#pragma GCC push_options
#pragma GCC optimize("fp-contract=off", "no-tree-slp-vectorize")
#endif

static const struct {
    uint32_t obs[2], act[1], status;
} tiny_f32_vectors[24] = {
    { { 0x40702cf9u, 0xc1331a67u },
      { 0x3e8376b3u }, 0u },
    { { 0x3f800000u, 0xc0261077u },
      { 0x3dc9dce4u }, 0u },
    { { 0xc0600000u, 0x41000000u },
      { 0xbea499c4u }, 0u },
    { { 0xbab7c3e0u, 0xbaa222fbu },
      { 0xbe8819edu }, 0u },
    { { 0xbb586261u, 0xbbc4fbd8u },
      { 0xbe6bf675u }, 0u },
    { { 0x35a04e46u, 0x7fc00000u },
      { 0xbe4879c8u }, 1u },
    { { 0x3558d06eu, 0xb5f9ccf1u },
      { 0xbe3eb8a9u }, 0u },
    { { 0x36699203u, 0x370112c1u },
      { 0xbe3769c7u }, 0u },
    { { 0x3aaa3c4bu, 0x3b1dc49bu },
      { 0xbe31a483u }, 0u },
    { { 0x3fa8d928u, 0xbfe37d2au },
      { 0xbd1015bfu }, 0u },
    { { 0x80000001u, 0x3fe2cdd7u },
      { 0xbd4b0504u }, 0u },
    { { 0x3e884e0au, 0xc091bbf7u },
      { 0xbe3a5aa8u }, 0u },
    { { 0xbd4b1076u, 0x40476af3u },
      { 0xbde3250cu }, 0u },
    { { 0x3fc27395u, 0x7f7fffffu },
      { 0x3e623918u }, 0u },
    { { 0x3f4045aeu, 0xc088cde7u },
      { 0x3c994374u }, 0u },
    { { 0x3f28fc54u, 0xc025fa9au },
      { 0xbd7787d4u }, 0u },
    { { 0xbec23800u, 0x4047d20au },
      { 0xbdcf8d1eu }, 0u },
    { { 0xbf747780u, 0x3f7c498bu },
      { 0xbe825766u }, 0u },
    { { 0xbfba5c73u, 0x402a5055u },
      { 0xbeb95070u }, 0u },
    { { 0x4040ee19u, 0xc0c82a0du },
      { 0xbd260ef8u }, 0u },
    { { 0x3b2cb680u, 0x3f800000u },
      { 0xbdb67b04u }, 0u },
    { { 0xbf92d6d0u, 0xc0b30e92u },
      { 0xbed20392u }, 0u },
    { { 0xbeb1fbd4u, 0x4097b7d1u },
      { 0xbe8040abu }, 0u },
    { { 0xb5fd1171u, 0xb6f081b9u },
      { 0xbe6a41ccu }, 0u },
};

uint32_t tiny_f32_selftest(void)
{
    static struct tiny_f32 s;
    union { uint32_t u[2]; float f[2]; } obs;
    union { uint32_t u[1]; float f[1]; } act;
    volatile float a = 1.000244140625f, b = -1.00048828125f; /* 1 + 2^-12, -(1 + 2^-11): a * a + b is 0 unless fused */
    uint32_t failed = 0, k, i;

    tiny_f32_init(&s);
    for (k = 0; k < 24; k++) {
        for (i = 0; i < 2; i++) {
            obs.u[i] = tiny_f32_vectors[k].obs[i];
        }
        failed |= (uint32_t)(tiny_f32_step(&s, obs.f, act.f) != tiny_f32_vectors[k].status) << 1;
        for (i = 0; i < 1; i++) {
            failed |= (uint32_t)(act.u[i] != tiny_f32_vectors[k].act[i]);
        }
    }
    return failed | (uint32_t)(a * a + b != 0.0f) << 2;
}

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC pop_options
#endif
