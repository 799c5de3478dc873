/* Who flies, the stock controller or the policy, and why. No Crazyflie header is needed here: the rules can be tested
 * anywhere. SPDX-License-Identifier: 0BSD
 */
#ifndef TINYCTL_HANDOVER_H
#define TINYCTL_HANDOVER_H
#include <stdbool.h>
#include <stdint.h>

/* Why the policy does not fly; what the log variable `reason` shows. From TINYCTL_NOT_FINITE on it is a fault, after
 * which the policy stays out until it has been disabled once. */
enum tinyctl_reason {
    TINYCTL_FLIES = 0,
    TINYCTL_DISABLED = 1,     /* the parameter `enable` is 0 */
    TINYCTL_NO_SETPOINT = 2,  /* the set-point is disabled: motors off */
    TINYCTL_NO_TARGET = 3,    /* the set-point is not an absolute position */
    TINYCTL_WAITS = 4,        /* not yet inside the range in which it may take over */
    TINYCTL_NOT_FINITE = 5,   /* a NaN or an infinity from the estimator, a sensor or the set-point */
    TINYCTL_OUT_OF_RANGE = 6, /* an observation left the range of the contract */
    TINYCTL_OVERRUN = 7,      /* steps took too long, or were skipped, too often */
    TINYCTL_STALE = 8,        /* nobody renewed the set-point */
    TINYCTL_UNTESTED = 9      /* the self-test has not passed on this board */
};

enum tinyctl_pilot { TINYCTL_STOCK, TINYCTL_POLICY, TINYCTL_MOTORS_OFF };

/* What one tick knows. */
struct tinyctl_tick {
    bool tested;            /* the self-test passed */
    bool enabled;           /* the user's parameter */
    bool setpoint_disabled; /* setpoint->mode.z == modeDisable */
    bool has_target;        /* absolute x, y and z */
    bool finite, in_range;  /* every observation */
    bool may_enter;         /* inside the narrower range for a hand-over */
    bool late;              /* the step before took too long, or this call came too late */
    uint32_t setpoint_age_ms;
};

struct tinyctl_handover {
    uint8_t pilot;  /* enum tinyctl_pilot */
    uint8_t reason; /* enum tinyctl_reason */
    uint8_t fault;  /* the fault that keeps the policy out, 0 when none does */
    uint8_t overruns;
};

#define TINYCTL_MAX_OVERRUNS 3u     /* in one flight of the policy */
#define TINYCTL_STALE_MS 200u       /* the firmware's own level-out comes at 500 ms */

/* Decide for this tick; returns true when the pilot is another than before. */
bool tinyctl_handover_decide(struct tinyctl_handover *h, const struct tinyctl_tick *t);

#endif
