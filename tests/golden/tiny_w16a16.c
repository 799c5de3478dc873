/* tiny: see tiny.h. Made by tinyctl 0.1.0.
 * SPDX-License-Identifier: 0BSD
 *
 * Every result is defined bit for bit, so the compiler must not fuse or reorder float operations.
 */
#include "tiny.h"

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
#if defined(__clang__)
#define TINY_NOINLINE __attribute__((noinline))
#define TINY_ALIGNED __attribute__((aligned(4)))
#elif defined(__GNUC__)
#define TINY_NOINLINE __attribute__((noinline, noclone))
#define TINY_ALIGNED __attribute__((aligned(4)))
#else
#define TINY_NOINLINE
#define TINY_ALIGNED
#endif
/* Define it to place the constants, e.g. as __attribute__((section(".ccm"))). */
#ifndef TINY_CONSTANTS
#define TINY_CONSTANTS
#endif
#if defined(__ARM_FEATURE_DSP) && defined(__ARM_FEATURE_SIMD32) && !defined(__ARM_BIG_ENDIAN)
#include <arm_acle.h>
#define TINY_DSP 1
#else
#define TINY_DSP 0
#endif

/* The bits of a float, and selection by a mask of ones or zeros: no branch, so the path never depends on data. */
union tiny_word {
    float f;
    uint32_t u;
};

static inline uint32_t tiny_bits(float f)
{
    union tiny_word word;
    word.f = f;
    return word.u;
}

static inline float tiny_float(uint32_t u)
{
    union tiny_word word;
    word.u = u;
    return word.f;
}

static inline float tiny_select(uint32_t mask, float yes, float no)
{
    return tiny_float((tiny_bits(yes) & mask) | (tiny_bits(no) & ~mask));
}

static inline float tiny_clamp(float x, float low, float high)
{
    const float raised = tiny_select(0u - (uint32_t)(x < low), low, x);
    return tiny_select(0u - (uint32_t)(x > high), high, raised);
}

static inline int16_t tiny_saturate(int32_t q)
{
#if TINY_DSP
    int32_t saturated;
    __asm__("ssat %0, #16, %1" : "=r"(saturated) : "r"(q));
    return (int16_t)saturated;
#else
    return (int16_t)(q > 32767 ? 32767 : q < -32768 ? -32768 : q);
#endif
}

/* floor(y + 0.5), saturated to 16 bits. The conversion truncates, so negative fractions are one too high; that it fits
   32 bits was proven when the gains were chosen. */
static inline int16_t tiny_encode(float y)
{
    const float z = y + 0.5f;
    const int32_t whole = (int32_t)z;
    return tiny_saturate(whole - (int32_t)((float)whole > z));
}

/* sum + w[0] * x[0] + w[1] * x[1]; no sum can overflow, for any input: that was proven when the weights were chosen. */
#if TINY_DSP
typedef int32_t tiny_pair __attribute__((may_alias));
#define tiny_dual_mac(w, x, sum) __smlad(*(const tiny_pair *)(w), *(const tiny_pair *)(x), (sum))
#else
static inline int32_t tiny_dual_mac(const int16_t *w, const int16_t *x, int32_t sum)
{
    return sum + (int32_t)w[0] * x[0] + (int32_t)w[1] * x[1];
}
#endif

/* floor(sum * multiplier / 2^32 + 1/2), saturated to 16 bits. */
static inline int16_t tiny_requantize(int32_t sum, int32_t multiplier)
{
#if TINY_DSP
    int32_t rounded;
    __asm__("smmulr %0, %1, %2" : "=r"(rounded) : "r"(sum), "r"(multiplier));
    return tiny_saturate(rounded);
#else
    const int64_t product = (int64_t)sum * multiplier + 0x80000000;
    return tiny_saturate((int32_t)(product >> 32));
#endif
}

static const uint32_t tiny_tanh_segment[1024] TINY_CONSTANTS = {
    32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u,
    32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u,
    32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u,
    32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u,
    32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u,
    32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u,
    32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u,
    32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u,
    32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u,
    32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u,
    32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u,
    32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u, 32769u,
    32769u, 32769u, 32769u, 32770u, 32770u, 32770u, 32770u, 32770u, 32770u, 32770u, 32770u, 32770u, 32770u, 32770u,
    32770u, 32770u, 32770u, 32770u, 32770u, 32771u, 32771u, 32771u, 32771u, 32771u, 32771u, 32771u, 32771u, 32771u,
    32771u, 32771u, 32772u, 32772u, 32772u, 32772u, 32772u, 32772u, 32772u, 32772u, 32773u, 32773u, 32773u, 32773u,
    32773u, 32773u, 32774u, 32774u, 32774u, 32774u, 32774u, 32774u, 32775u, 32775u, 32775u, 32775u, 32776u, 32776u,
    32776u, 32776u, 32777u, 32777u, 32777u, 32777u, 32778u, 32778u, 32778u, 32779u, 32779u, 32779u, 32780u, 32780u,
    32781u, 32781u, 32781u, 32782u, 32782u, 32783u, 32783u, 32784u, 98320u, 98321u, 98321u, 98322u, 98322u, 98323u,
    98323u, 98324u, 98325u, 98325u, 98326u, 98327u, 98327u, 98328u, 98329u, 98330u, 98331u, 98331u, 98332u, 98333u,
    98334u, 98335u, 98336u, 98337u, 98338u, 98339u, 98340u, 98341u, 98343u, 98344u, 98345u, 98346u, 98348u, 98349u,
    98351u, 163888u, 163890u, 163891u, 163893u, 163894u, 163896u, 163898u, 163900u, 163902u, 163904u, 163906u,
    163908u, 163910u, 163912u, 163914u, 163917u, 229455u, 229458u, 229460u, 229463u, 229466u, 229468u, 229471u,
    229474u, 229477u, 229481u, 229484u, 295023u, 295027u, 295031u, 295034u, 295038u, 295042u, 295046u, 295051u,
    360591u, 360596u, 360600u, 360605u, 360610u, 360615u, 360620u, 426162u, 426168u, 426173u, 426179u, 426186u,
    491728u, 491734u, 491741u, 491748u, 491755u, 557299u, 557307u, 557315u, 557323u, 622867u, 622876u, 622885u,
    688430u, 688440u, 688449u, 688460u, 754006u, 754017u, 754028u, 819576u, 819587u, 885136u, 885148u, 885161u,
    950711u, 950724u, 1016275u, 1016289u, 1081841u, 1081856u, 1147408u, 1147425u, 1212978u, 1212996u, 1278550u,
    1278569u, 1344124u, 1409680u, 1409701u, 1475258u, 1540816u, 1540839u, 1606398u, 1671958u, 1737519u, 1737544u,
    1803107u, 1868670u, 1934234u, 1999798u, 2065364u, 2130931u, 2196498u, 2262067u, 2327636u, 2393207u, 2458779u,
    2524351u, 2589925u, 2655500u, 2721076u, 2852190u, 2917769u, 2983348u, 3114466u, 3180048u, 3311168u, 3376754u,
    3507877u, 3573466u, 3704592u, 3770183u, 3901313u, 4032444u, 4163577u, 4294712u, 4360312u, 4491451u, 4622591u,
    4819270u, 4950414u, 5081561u, 5212710u, 5343861u, 5540550u, 5671706u, 5868400u, 5999561u, 6196260u, 6392962u,
    6524130u, 6720838u, 6917548u, 7114261u, 7310977u, 7507696u, 7704418u, 7966679u, 8163407u, 8360139u, 8622411u,
    8819149u, 9081428u, 9343710u, 9540459u, 9802749u, 10065042u, 10327339u, 10655177u, 10917482u, 11179792u,
    11442106u, 11769961u, 12032283u, 12360147u, 12688015u, 13015888u, 13278229u, 13606112u, 13933999u, 14327428u,
    14655325u, 14983228u, 15311136u, 15704586u, 16032504u, 16425965u, 16753895u, 17147366u, 17540843u, 17934326u,
    18327815u, 18655773u, 19049274u, 19442780u, 19836293u, 20229811u, 20688872u, 21082402u, 21475939u, 21869482u,
    22263031u, 22656586u, 23050147u, 23509250u, 23902824u, 24296404u, 24689990u, 25083582u, 25477179u, 25870783u,
    26264393u, 26658009u, 26986095u, 27379722u, 27773355u, 28101457u, 28429565u, 28823215u, 29151333u, 29479457u,
    29807586u, 30070183u, 30398322u, 30660929u, 30923540u, 31251691u, 31448775u, 31711398u, 31974025u, 32171120u,
    32368218u, 32565319u, 32696887u, 32893993u, 33025566u, 33157141u, 33288718u, 33354761u, 33420805u, 33486851u,
    33552897u, 33618944u, 33619456u, 33554432u, 33554944u, 33489920u, 33424895u, 33359869u, 33294843u, 33229815u,
    33099250u, 32968683u, 32838114u, 32642007u, 32511433u, 32315321u, 32119206u, 31923088u, 31661431u, 31399770u,
    31203641u, 30876437u, 30614764u, 30353087u, 30025870u, 29764185u, 29436958u, 29109727u, 28782491u, 28389713u,
    28062467u, 27735215u, 27342421u, 26949622u, 26622353u, 26229543u, 25836727u, 25443905u, 25051077u, 24658242u,
    24265402u, 23872556u, 23479704u, 23021310u, 22628445u, 22235574u, 21842697u, 21449814u, 21056925u, 20664030u,
    20205592u, 19812685u, 19419771u, 19026852u, 18633926u, 18306531u, 17913593u, 17520650u, 17127701u, 16734746u,
    16407321u, 16014355u, 15686920u, 15293942u, 14966496u, 14639044u, 14311587u, 13918588u, 13591121u, 13263648u,
    13001707u, 12674224u, 12346737u, 12019245u, 11757285u, 11429783u, 11167814u, 10905840u, 10643862u, 10316343u,
    10054357u, 9792366u, 9530371u, 9333909u, 9071906u, 8809900u, 8613427u, 8351413u, 8154933u, 7958449u, 7696425u,
    7499934u, 7303440u, 7106943u, 6910443u, 6713940u, 6517434u, 6386462u, 6189950u, 5993436u, 5862455u, 5665936u,
    5534950u, 5338426u, 5207435u, 5076442u, 4945447u, 4814450u, 4617914u, 4486913u, 4355909u, 4290440u, 4159432u,
    4028423u, 3897412u, 3766399u, 3700921u, 3569904u, 3504422u, 3373403u, 3307918u, 3176895u, 3111408u, 2980382u,
    2914892u, 2849399u, 2718370u, 2652876u, 2587380u, 2521883u, 2456385u, 2390885u, 2325385u, 2259884u, 2194381u,
    2128878u, 2063373u, 1997868u, 1932362u, 1866854u, 1801346u, 1735837u, 1735864u, 1670353u, 1604842u, 1539330u,
    1539353u, 1473840u, 1408326u, 1408347u, 1342832u, 1277316u, 1277335u, 1211818u, 1211836u, 1146318u, 1146335u,
    1080816u, 1080832u, 1015311u, 1015327u, 949805u, 949820u, 884297u, 884311u, 884324u, 818800u, 818813u, 753288u,
    753300u, 753311u, 687786u, 687796u, 687807u, 687816u, 622290u, 622299u, 622308u, 556781u, 556789u, 556797u,
    556805u, 491277u, 491285u, 491292u, 491299u, 491306u, 425776u, 425782u, 425789u, 425795u, 425800u, 360270u,
    360276u, 360281u, 360286u, 360291u, 360296u, 360300u, 294769u, 294773u, 294778u, 294782u, 294786u, 294790u,
    294793u, 294797u, 229265u, 229268u, 229271u, 229275u, 229278u, 229281u, 229284u, 229286u, 229289u, 229292u,
    229294u, 163761u, 163763u, 163766u, 163768u, 163770u, 163772u, 163774u, 163776u, 163778u, 163780u, 163782u,
    163784u, 163786u, 163787u, 163789u, 163790u, 98256u, 98257u, 98259u, 98260u, 98262u, 98263u, 98264u, 98265u,
    98267u, 98268u, 98269u, 98270u, 98271u, 98272u, 98273u, 98274u, 98275u, 98276u, 98277u, 98277u, 98278u, 98279u,
    98280u, 98281u, 98281u, 98282u, 98283u, 98283u, 98284u, 98285u, 98285u, 98286u, 98286u, 98287u, 98287u, 32752u,
    32752u, 32753u, 32753u, 32754u, 32754u, 32755u, 32755u, 32755u, 32756u, 32756u, 32757u, 32757u, 32757u, 32758u,
    32758u, 32758u, 32759u, 32759u, 32759u, 32759u, 32760u, 32760u, 32760u, 32760u, 32761u, 32761u, 32761u, 32761u,
    32762u, 32762u, 32762u, 32762u, 32762u, 32762u, 32763u, 32763u, 32763u, 32763u, 32763u, 32763u, 32764u, 32764u,
    32764u, 32764u, 32764u, 32764u, 32764u, 32764u, 32765u, 32765u, 32765u, 32765u, 32765u, 32765u, 32765u, 32765u,
    32765u, 32765u, 32765u, 32766u, 32766u, 32766u, 32766u, 32766u, 32766u, 32766u, 32766u, 32766u, 32766u, 32766u,
    32766u, 32766u, 32766u, 32766u, 32766u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u,
    32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u,
    32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u,
    32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u,
    32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u,
    32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u,
    32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u,
    32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u,
    32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u,
    32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u,
    32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u,
    32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u,
    32767u, 32767u, 32767u, 32767u, 32767u, 32767u, 32767u,
};
/* screen: screen, 3 -> 3, f32 */
static const float tiny_screen_node_limits[9] TINY_CONSTANTS = {
    -3.5f, 3.5f, 0.0f, -8.0f, 8.0f, 0.5f, -1.0f, 1.0f, 0.25f,
};
static const uint16_t tiny_screen_node_applied[1] TINY_CONSTANTS = {
    0,
};
static inline float tiny_screen_node_value(float v, const float *limits, uint32_t *status)
{
    const uint32_t bad = 0u - (uint32_t)((tiny_bits(v) & 0x7f800000u) == 0x7f800000u);
    *status |= bad & TINY_REJECTED;
    return tiny_select(bad, limits[2], tiny_clamp(v, limits[0], limits[1]));
}

static TINY_NOINLINE uint32_t tiny_screen_node(const float *obs, const float *applied, float *y)
{
    const float *limits = tiny_screen_node_limits; /* low, high, on_nan */
    uint32_t status = 0;
    int32_t i;

    for (i = 0; i < 2; i++, limits += 3) {
        y[i] = tiny_screen_node_value(obs[i], limits, &status);
    }
    for (i = 0; i < 1; i++, limits += 3) {
        y[2 + i] = tiny_screen_node_value(applied[tiny_screen_node_applied[i]], limits, &status);
    }
    return status;
}

/* lag: lag, 3 -> 4, f32 */
static const uint16_t tiny_lag_node_column[1] TINY_CONSTANTS = {
    2,
};
static TINY_NOINLINE void tiny_lag_node(float *state, uint32_t status, const float *x, float *y)
{
    const uint32_t keep = 0u - (status & TINY_REJECTED);
    int32_t i;

    for (i = 0; i < 1; i++) {
        const float moved = state[i] + 0.18126924f * (x[tiny_lag_node_column[i]] - state[i]);
        state[i] = tiny_select(keep, state[i], moved);
        y[3 + i] = state[i];
    }
}

/* integral: integral, 4 -> 5, f32 */
static const uint16_t tiny_integral_node_column[1] TINY_CONSTANTS = {
    0,
};
static const float tiny_integral_node_limit[1] TINY_CONSTANTS = {
    0.5f,
};
static TINY_NOINLINE void tiny_integral_node(float *state, uint32_t status, const float *x, float *y)
{
    const uint32_t keep = 0u - (status & TINY_REJECTED);
    int32_t i;

    for (i = 0; i < 1; i++) {
        const float limit = tiny_integral_node_limit[i];
        const float moved = state[i] + 0.02f * x[tiny_integral_node_column[i]];
        state[i] = tiny_select(keep, state[i], tiny_clamp(moved, -limit, limit));
        y[4 + i] = state[i];
    }
}

/* scale_encode: encode, 5 -> 5, w16a16 */
static const float tiny_scale_encode_node_affine[10] TINY_CONSTANTS = {
    9361.998f, 0.0f, 3900.8325f, 1560.333f, 32766.992f, 0.0f, 32766.898f, 0.0f, 65533.984f, 0.0f,
};
static TINY_NOINLINE void tiny_scale_encode_node(const float *x, int16_t *y)
{
    const float *affine = tiny_scale_encode_node_affine; /* gain, offset */
    int32_t i;

    for (i = 0; i < 5; i++, affine += 2) {
        y[i] = tiny_encode(x[i] * affine[0] + affine[1]);
    }
}

/* hidden: integer_dense, 5 -> 4, w16a16 */
static const int16_t tiny_hidden_node_weight[24] TINY_ALIGNED TINY_CONSTANTS = {
    7854, -9903, 6011, 26014, -13577, 1080, -19296, -17211, 22860, 3744, 8997, -6685, -28941, -2723, -4763, 6198,
    -19121, 0, -12021, 0, -15509, 0, 15698, 0,
};
static const int32_t tiny_hidden_node_bias[4] TINY_CONSTANTS = {
    -67232793, 190220559, -121335565, 77563718,
};
static const int32_t tiny_hidden_node_multiplier[4] TINY_CONSTANTS = {
    6726, 25275, 19289, 15945,
};
static TINY_NOINLINE void tiny_hidden_node(const int16_t *x, int16_t *y)
{
    const int16_t *w = tiny_hidden_node_weight; /* by blocks of rows, then pairs of columns, then the rows of a block */
    const int32_t *b = tiny_hidden_node_bias;
    const int32_t *m = tiny_hidden_node_multiplier;
    int32_t i, j;

    for (i = 0; i < 4; i += 4) {
        int32_t sum0 = b[i + 0];
        int32_t sum1 = b[i + 1];
        int32_t sum2 = b[i + 2];
        int32_t sum3 = b[i + 3];
        for (j = 0; j < 0; j += 4) {
            sum0 = tiny_dual_mac(w + 0, x + 2 * j + 0, sum0);
            sum1 = tiny_dual_mac(w + 2, x + 2 * j + 0, sum1);
            sum2 = tiny_dual_mac(w + 4, x + 2 * j + 0, sum2);
            sum3 = tiny_dual_mac(w + 6, x + 2 * j + 0, sum3);
            sum0 = tiny_dual_mac(w + 8, x + 2 * j + 2, sum0);
            sum1 = tiny_dual_mac(w + 10, x + 2 * j + 2, sum1);
            sum2 = tiny_dual_mac(w + 12, x + 2 * j + 2, sum2);
            sum3 = tiny_dual_mac(w + 14, x + 2 * j + 2, sum3);
            sum0 = tiny_dual_mac(w + 16, x + 2 * j + 4, sum0);
            sum1 = tiny_dual_mac(w + 18, x + 2 * j + 4, sum1);
            sum2 = tiny_dual_mac(w + 20, x + 2 * j + 4, sum2);
            sum3 = tiny_dual_mac(w + 22, x + 2 * j + 4, sum3);
            sum0 = tiny_dual_mac(w + 24, x + 2 * j + 6, sum0);
            sum1 = tiny_dual_mac(w + 26, x + 2 * j + 6, sum1);
            sum2 = tiny_dual_mac(w + 28, x + 2 * j + 6, sum2);
            sum3 = tiny_dual_mac(w + 30, x + 2 * j + 6, sum3);
            w += 32;
        }
        {
            sum0 = tiny_dual_mac(w + 0, x + 2 * j + 0, sum0);
            sum1 = tiny_dual_mac(w + 2, x + 2 * j + 0, sum1);
            sum2 = tiny_dual_mac(w + 4, x + 2 * j + 0, sum2);
            sum3 = tiny_dual_mac(w + 6, x + 2 * j + 0, sum3);
            w += 8;
        }
        j++;
        {
            sum0 = tiny_dual_mac(w + 0, x + 2 * j + 0, sum0);
            sum1 = tiny_dual_mac(w + 2, x + 2 * j + 0, sum1);
            sum2 = tiny_dual_mac(w + 4, x + 2 * j + 0, sum2);
            sum3 = tiny_dual_mac(w + 6, x + 2 * j + 0, sum3);
            w += 8;
        }
        j++;
        {
            sum0 = tiny_dual_mac(w + 0, x + 2 * j + 0, sum0);
            sum1 = tiny_dual_mac(w + 2, x + 2 * j + 0, sum1);
            sum2 = tiny_dual_mac(w + 4, x + 2 * j + 0, sum2);
            sum3 = tiny_dual_mac(w + 6, x + 2 * j + 0, sum3);
            w += 8;
        }
        j++;
        y[i + 0] = tiny_requantize(sum0, m[i + 0]);
        y[i + 1] = tiny_requantize(sum1, m[i + 1]);
        y[i + 2] = tiny_requantize(sum2, m[i + 2]);
        y[i + 3] = tiny_requantize(sum3, m[i + 3]);
    }
}

/* tanh: integer_tanh, 4 -> 4, w16a16 */
static TINY_NOINLINE void tiny_tanh_node(const int16_t *x, int16_t *y)
{
    int32_t i;

    for (i = 0; i < 4; i++) {
        const int32_t place = x[i] + 32768;
        const uint32_t segment = tiny_tanh_segment[place >> 6]; /* start, rise << 16 */
        const int32_t rise = (int32_t)segment >> 16;
        const int32_t rest = place & 63;
        y[i] = (int16_t)((int16_t)segment + ((rise * rest + 32) >> 6));
    }
}

/* out: integer_dense, 4 -> 1, w16a16 */
static const int16_t tiny_out_node_weight[4] TINY_ALIGNED TINY_CONSTANTS = {
    20805, 2165, -17122, -21226,
};
static const int32_t tiny_out_node_bias[1] TINY_CONSTANTS = {
    -138158634,
};
static const int32_t tiny_out_node_multiplier[1] TINY_CONSTANTS = {
    74952,
};
static TINY_NOINLINE void tiny_out_node(const int16_t *x, int16_t *y)
{
    const int16_t *w = tiny_out_node_weight; /* by blocks of rows, then pairs of columns, then the rows of a block */
    const int32_t *b = tiny_out_node_bias;
    const int32_t *m = tiny_out_node_multiplier;
    int32_t i, j;

    for (i = 0; i < 1; i += 1) {
        int32_t sum0 = b[i + 0];
        for (j = 0; j < 0; j += 4) {
            sum0 = tiny_dual_mac(w + 0, x + 2 * j + 0, sum0);
            sum0 = tiny_dual_mac(w + 2, x + 2 * j + 2, sum0);
            sum0 = tiny_dual_mac(w + 4, x + 2 * j + 4, sum0);
            sum0 = tiny_dual_mac(w + 6, x + 2 * j + 6, sum0);
            w += 8;
        }
        {
            sum0 = tiny_dual_mac(w + 0, x + 2 * j + 0, sum0);
            w += 2;
        }
        j++;
        {
            sum0 = tiny_dual_mac(w + 0, x + 2 * j + 0, sum0);
            w += 2;
        }
        j++;
        y[i + 0] = tiny_requantize(sum0, m[i + 0]);
    }
}

/* out_decode: decode, 1 -> 1, w16a16 */
static TINY_NOINLINE void tiny_out_decode_node(const int16_t *x, float *y)
{
    int32_t i;

    for (i = 0; i < 1; i++) {
        y[i] = (float)x[i] * 3.7969294e-05f;
    }
}

/* clip: clip, 1 -> 1, f32 */
static const float tiny_clip_node_limits[2] TINY_CONSTANTS = {
    -1.0f, 1.0f,
};
static TINY_NOINLINE void tiny_clip_node(const float *x, float *y)
{
    const float *limits = tiny_clip_node_limits; /* low, high */
    int32_t i;

    for (i = 0; i < 1; i++, limits += 2) {
        y[i] = tiny_clamp(x[i], limits[0], limits[1]);
    }
}

void tiny_reset(struct tiny *s)
{
    s->applied[0] = 0.25f;
    s->lag_y[0] = 0.25f;
    s->integral_s[0] = 0.0f;
}

void tiny_init(struct tiny *s)
{
    uint32_t i;

    for (i = 0; i < 6; i++) {
        s->work0.word[i] = 0;
    }
    for (i = 0; i < 3; i++) {
        s->work1.word[i] = 0;
    }
    tiny_reset(s);
}

uint32_t tiny_step(struct tiny *s, const float obs[2], float act[1])
{
    uint32_t status, i;

    status = tiny_screen_node(obs, s->applied, s->work0.f32);
    tiny_lag_node(s->lag_y, status, s->work0.f32, s->work0.f32);
    tiny_integral_node(s->integral_s, status, s->work0.f32, s->work0.f32);
    tiny_scale_encode_node(s->work0.f32, s->work1.i16);
    tiny_hidden_node(s->work1.i16, s->work0.i16);
    tiny_tanh_node(s->work0.i16, s->work0.i16);
    tiny_out_node(s->work0.i16, s->work1.i16);
    tiny_out_decode_node(s->work1.i16, s->work0.f32);
    tiny_clip_node(s->work0.f32, s->work0.f32);
    for (i = 0; i < 1; i++) {
        act[i] = s->applied[i] = s->work0.f32[i];
    }
    return status;
}

void tiny_set_applied(struct tiny *s, const float act[1])
{
    uint32_t i;

    for (i = 0; i < 1; i++) {
        s->applied[i] = act[i];
    }
}

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC pop_options
#endif
