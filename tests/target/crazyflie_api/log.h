#ifndef LOG_H
#define LOG_H
#include <stdint.h>

struct log_s {
    uint8_t type;
    const char *name;
    void *address;
};

#define LOG_UINT8 1
#define LOG_UINT16 2
#define LOG_UINT32 3
#define LOG_FLOAT 7
#define LOG_ADD(TYPE, NAME, ADDRESS) {.type = TYPE, .name = #NAME, .address = (void *)(ADDRESS)},
#define LOG_GROUP_START(NAME) \
    __attribute__((used)) static const struct log_s logs_##NAME[] = {LOG_ADD(0x81, NAME, 0)
#define LOG_GROUP_STOP(NAME) LOG_ADD(0x80, NAME, 0)};

#endif
