#ifndef PARAM_H
#define PARAM_H
#include <stdint.h>

struct param_s {
    uint8_t type;
    const char *name;
    void *address;
};

#define PARAM_UINT8 0x08
#define PARAM_UINT16 0x09
#define PARAM_ADD(TYPE, NAME, ADDRESS) {.type = TYPE, .name = #NAME, .address = (void *)(ADDRESS)},
#define PARAM_GROUP_START(NAME) \
    __attribute__((used)) static struct param_s params_##NAME[] = {PARAM_ADD(0x81, NAME, 0)
#define PARAM_GROUP_STOP(NAME) PARAM_ADD(0x80, NAME, 0)};

#endif
