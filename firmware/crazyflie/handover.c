/* SPDX-License-Identifier: 0BSD */
#include "handover.h"

/* What must end the policy's flight, the gravest first. */
static uint8_t fault(const struct tinyctl_handover *h, const struct tinyctl_tick *t)
{
    if (!t->finite) {
        return TINYCTL_NOT_FINITE;
    }
    if (!t->in_range) {
        return TINYCTL_OUT_OF_RANGE;
    }
    if (h->overruns >= TINYCTL_MAX_OVERRUNS) {
        return TINYCTL_OVERRUN;
    }
    return t->setpoint_age_ms > TINYCTL_STALE_MS ? TINYCTL_STALE : 0u;
}

static uint8_t reason(const struct tinyctl_handover *h, const struct tinyctl_tick *t, bool flies)
{
    if (!t->tested) {
        return TINYCTL_UNTESTED;
    }
    if (!t->enabled) {
        return TINYCTL_DISABLED;
    }
    if (t->setpoint_disabled) {
        return TINYCTL_NO_SETPOINT;
    }
    if (h->fault != 0u) {
        return h->fault;
    }
    if (!t->has_target) {
        return TINYCTL_NO_TARGET;
    }
    if (flies) {
        return fault(h, t);
    }
    return t->finite && t->in_range && t->may_enter && t->setpoint_age_ms <= TINYCTL_STALE_MS ? TINYCTL_FLIES
                                                                                               : TINYCTL_WAITS;
}

bool tinyctl_handover_decide(struct tinyctl_handover *h, const struct tinyctl_tick *t)
{
    const uint8_t before = h->pilot;
    const bool flies = before == TINYCTL_POLICY;

    if (!t->enabled) {
        h->fault = 0u;
    }
    if (flies && t->late && h->overruns < TINYCTL_MAX_OVERRUNS) {
        h->overruns++;
    }
    h->reason = reason(h, t, flies);
    if (h->reason >= TINYCTL_NOT_FINITE && h->reason != TINYCTL_UNTESTED) {
        h->fault = h->reason;
    }
    h->pilot = h->reason == TINYCTL_FLIES         ? TINYCTL_POLICY
               : h->reason == TINYCTL_NO_SETPOINT ? TINYCTL_MOTORS_OFF
                                                  : TINYCTL_STOCK;
    if (h->pilot == TINYCTL_POLICY && !flies) {
        h->overruns = 0u;
    }
    return h->pilot != before;
}
