/* integer_entry: 24 stored steps, compared bit for bit. Made by tinyctl 0.1.0.
 * SPDX-License-Identifier: 0BSD
 */
#include "integer_entry.h"

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
} integer_entry_vectors[24] = {
    { { 0x40702cf9u, 0xc1331a67u },
      { 0xbf800000u }, 0u },
    { { 0x3f800000u, 0xc0261077u },
      { 0xbf800000u }, 0u },
    { { 0xc0600000u, 0x41000000u },
      { 0x3de28addu }, 0u },
    { { 0xbab7c3e0u, 0xbaa222fbu },
      { 0x3de28addu }, 0u },
    { { 0xbb586261u, 0xbbc4fbd8u },
      { 0x3de28addu }, 0u },
    { { 0x35a04e46u, 0x7fc00000u },
      { 0x3de28addu }, 1u },
    { { 0x3558d06eu, 0xb5f9ccf1u },
      { 0x3de28addu }, 0u },
    { { 0x36699203u, 0x370112c1u },
      { 0x3de28addu }, 0u },
    { { 0x3aaa3c4bu, 0x3b1dc49bu },
      { 0x3de28addu }, 0u },
    { { 0x3fa8d928u, 0xbfe37d2au },
      { 0xbef77beau }, 0u },
    { { 0x80000001u, 0x3fe2cdd7u },
      { 0x3de28addu }, 0u },
    { { 0x3e884e0au, 0xc091bbf7u },
      { 0xbf800000u }, 0u },
    { { 0xbd4b1076u, 0x40476af3u },
      { 0x3de28addu }, 0u },
    { { 0x3fc27395u, 0x7f7fffffu },
      { 0x3de28addu }, 0u },
    { { 0x3f4045aeu, 0xc088cde7u },
      { 0xbf800000u }, 0u },
    { { 0x3f28fc54u, 0xc025fa9au },
      { 0xbf800000u }, 0u },
    { { 0xbec23800u, 0x4047d20au },
      { 0x3de28addu }, 0u },
    { { 0xbf747780u, 0x3f7c498bu },
      { 0x3de28addu }, 0u },
    { { 0xbfba5c73u, 0x402a5055u },
      { 0x3de28addu }, 0u },
    { { 0x4040ee19u, 0xc0c82a0du },
      { 0xbf800000u }, 0u },
    { { 0x3b2cb680u, 0x3f800000u },
      { 0x3dbe4144u }, 0u },
    { { 0xbf92d6d0u, 0xc0b30e92u },
      { 0xbf800000u }, 0u },
    { { 0xbeb1fbd4u, 0x4097b7d1u },
      { 0x3de28addu }, 0u },
    { { 0xb5fd1171u, 0xb6f081b9u },
      { 0x3de28addu }, 0u },
};

#if INTEGER_ENTRY_STEP_Q
static const struct {
    int16_t obs_q[2];
    int16_t act_q[1];
    uint8_t status;
} integer_entry_vectors_q[24] = {
    { { -27262, 21799 }, { 668 }, 0u },
    { { 18814, -17081 }, { -6038 }, 0u },
    { { -2561, 32585 }, { 668 }, 0u },
    { { 19987, 31512 }, { 668 }, 0u },
    { { -3255, 19419 }, { 668 }, 0u },
    { { -17653, -29358 }, { -6038 }, 0u },
    { { -6256, -19758 }, { -6038 }, 0u },
    { { -26820, 5264 }, { 668 }, 0u },
    { { -13193, 11271 }, { 668 }, 0u },
    { { -19692, 28973 }, { 668 }, 0u },
    { { -8840, -25854 }, { -6038 }, 0u },
    { { -8165, -12436 }, { -6038 }, 0u },
    { { -3908, 29791 }, { 668 }, 0u },
    { { -1, 25525 }, { 668 }, 0u },
    { { 7878, 32445 }, { 668 }, 0u },
    { { 2054, -9319 }, { -3734 }, 0u },
    { { 16890, -169 }, { 296 }, 0u },
    { { -32767, 18728 }, { 668 }, 0u },
    { { -5593, 15366 }, { 668 }, 0u },
    { { 13837, 28314 }, { 668 }, 0u },
    { { 17082, -7103 }, { -1967 }, 0u },
    { { -11261, 25577 }, { 668 }, 0u },
    { { -31804, 23830 }, { 668 }, 0u },
    { { 31534, 29962 }, { 668 }, 0u },
};

static uint32_t integer_entry_selftest_q(struct integer_entry *s)
{
    int16_t act_q[1];
    uint32_t differ = 0, k, i;

    integer_entry_reset(s);
    for (k = 0; k < 24; k++) {
        differ |= integer_entry_step_q(s, integer_entry_vectors_q[k].obs_q, act_q) ^ integer_entry_vectors_q[k].status;
        for (i = 0; i < 1; i++) {
            differ |= (uint32_t)(act_q[i] != integer_entry_vectors_q[k].act_q[i]);
        }
    }
    return (uint32_t)(differ != 0) << 3;
}
#endif

uint32_t integer_entry_selftest(void)
{
    static struct integer_entry s;
    union { uint32_t u[2]; float f[2]; } obs;
    union { uint32_t u[1]; float f[1]; } act;
    volatile float a = 1.000244140625f, b = -1.00048828125f; /* 1 + 2^-12, -(1 + 2^-11): a * a + b is 0 unless fused */
    uint32_t failed = 0, k, i;

    integer_entry_init(&s);
    for (k = 0; k < 24; k++) {
        for (i = 0; i < 2; i++) {
            obs.u[i] = integer_entry_vectors[k].obs[i];
        }
        failed |= (uint32_t)(integer_entry_step(&s, obs.f, act.f) != integer_entry_vectors[k].status) << 1;
        for (i = 0; i < 1; i++) {
            failed |= (uint32_t)(act.u[i] != integer_entry_vectors[k].act[i]);
        }
    }
#if INTEGER_ENTRY_STEP_Q
    failed |= integer_entry_selftest_q(&s);
#endif
    return failed | (uint32_t)(a * a + b != 0.0f) << 2;
}

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC pop_options
#endif
