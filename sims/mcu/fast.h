/* What the C files share. Together they do in C what trace.py, pipeline.py, scoreboard.py and memories.py say in
 * Python; the tests hold both to the same cycles. They hold no rule of any core: fast.py fills tables with the rules. */
#ifndef TINYCTL_FAST_H
#define TINYCTL_FAST_H
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MOST_REGIONS 16
#define SIZE_BITS 12 /* a block is address << SIZE_BITS | bytes */

/* One data access: the position of its instruction, and bytes << 1 | write. With no bytes a division, of the magnitude
 * that stands in place of the address. */
struct access {
    uint32_t position, address, size;
};

/* A hash table from three words to a number. */
struct key {
    uint64_t a, b;
    uint32_t c, value;
};

struct table {
    struct key *keys; /* value 0: free, else one more than the number */
    size_t room, count;
};

static inline size_t slot(const struct table *t, uint64_t a, uint64_t b, uint32_t c)
{
    uint64_t h = (a * 0x9e3779b97f4a7c15u) ^ (b * 0xc2b2ae3d27d4eb4fu) ^ ((uint64_t)c * 0x165667b19e3779f9u);
    size_t i = (h ^ h >> 29) & (t->room - 1);

    while (t->keys[i].value && (t->keys[i].a != a || t->keys[i].b != b || t->keys[i].c != c)) {
        i = (i + 1) & (t->room - 1);
    }
    return i;
}

/* An instruction behind a certain other: what it costs, and what that other adds. */
#define OPENS_LOAD 1u
#define BRANCHES 2u
#define CONDITIONAL 4u
#define BACKWARD 8u
enum cause { LOAD, STORE, ADDRESS, FP, BRANCH, UNALIGNED, FETCH, DATA, RESULT, CAUSES };

struct row {
    uint32_t address, end;
    int32_t part;
    uint32_t next; /* one more than the row that came behind this one last */
    uint8_t cost, refill, flags, after_load, store, address_made, fp, spare;
};

static inline int is_unaligned(const struct access *a)
{
    uint32_t size = a->size >> 1;

    return (size == 2 || size == 4) && a->address % size != 0;
}

struct memories; /* NULL: no wait states */
int64_t memory_fetch(struct memories *memories, uint32_t address, int64_t time);
int64_t memory_data(struct memories *memories, const struct access *a, int64_t time, int first);
void memories_restart(struct memories *memories);

#endif
