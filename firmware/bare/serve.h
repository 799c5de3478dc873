/* A board that serves frames: HELLO, order and damage are the same for everything behind the link (docs/protocol.md). */
#ifndef TINYCTL_SERVE_H
#define TINYCTL_SERVE_H
#include "protocol.h"

#define TINYCTL_HELLO_BYTES 64u
#define TINYCTL_HELLO_REPLY_BYTES 80u
#define TINYCTL_REFUSED 0x10000u /* plus a reason, in place of a length */

struct tinyctl_service {
    const char *contract_hash; /* 64 hexadecimal digits */
    const char *graph_hash;
    uint16_t n_obs, n_act;
    /* Write the reply's body; returns its length, or TINYCTL_REFUSED + reason. */
    uint32_t (*answer)(const struct tinyctl_frame *request, uint8_t *body);
};

/* Until the host has gone. Where the phase is not TINYCTL_RUNNING, only HELLO is served. */
void tinyctl_serve(const struct tinyctl_service *service);

#endif
