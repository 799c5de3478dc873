#ifndef DEBUG_H
#define DEBUG_H

void consolePrintf(const char *format, ...);

#define DEBUG_PRINT(FORMAT, ...) consolePrintf(DEBUG_MODULE ": " FORMAT, ##__VA_ARGS__)

#endif
