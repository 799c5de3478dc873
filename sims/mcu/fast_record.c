/* Recording what emulated code does. Hooks have the type uc_cb_hookcode_t of unicorn.h; the emulator's own functions
 * come in as pointers, so nothing is linked. */
#include "fast.h"

/* --- growing arrays --- */

struct array {
    void *data;
    size_t count, room;
};

static int append(struct array *a, const void *item, size_t size)
{
    if (a->count == a->room) {
        size_t room = a->room ? 2 * a->room : 4096;
        void *data = realloc(a->data, room * size);
        if (!data) {
            return 0;
        }
        a->data = data;
        a->room = room;
    }
    memcpy((char *)a->data + a->count * size, item, size);
    a->count++;
    return 1;
}

/* --- tables --- */

struct table *table_new(void)
{
    struct table *t = calloc(1, sizeof *t);
    if (t) {
        t->room = 1024;
        t->keys = calloc(t->room, sizeof *t->keys);
    }
    return t;
}

void table_free(struct table *t)
{
    free(t->keys);
    free(t);
}

int table_add(struct table *t, uint64_t a, uint64_t b, uint32_t c, uint32_t number)
{
    if (2 * t->count >= t->room) {
        struct table bigger = {calloc(2 * t->room, sizeof *t->keys), 2 * t->room, t->count};
        if (!bigger.keys) {
            return 0;
        }
        for (size_t i = 0; i < t->room; i++) {
            const struct key *k = &t->keys[i];
            if (k->value) {
                bigger.keys[slot(&bigger, k->a, k->b, k->c)] = *k;
            }
        }
        free(t->keys);
        *t = bigger;
    }
    t->keys[slot(t, a, b, c)] = (struct key){a, b, c, number + 1};
    t->count++;
    return 1;
}

/* --- recording --- */

/* What an instruction reads or writes: `count` accesses of `size` bytes in a row from base + (index << shift) + offset.
 * Registers are the emulator's numbers; 0: none, -1: the program counter. */
struct operand {
    int32_t base, index, shift, offset, count, size, write;
};

struct recorder {
    int (*stop)(void *uc);
    int (*read_register)(void *uc, int number, void *value);
    void (*decode)(uint32_t address); /* enters an instruction into `operands` */
    const struct table *operands;     /* by address; number 0: accesses no memory, else one more than the place */
    const struct operand *places;
    uint32_t line_bytes, n_ranges;
    uint32_t ranges[2 * MOST_REGIONS]; /* of cached memory: where each begins and ends */
    int64_t budget;
    int64_t spent; /* 1: over the budget, 2: out of memory, 3: an instruction that cannot be decoded */
    struct array blocks, lines, addresses, accesses;
};

struct recorder *recorder_new(void) { return calloc(1, sizeof(struct recorder)); }

void recorder_free(struct recorder *r)
{
    free(r->blocks.data);
    free(r->lines.data);
    free(r->addresses.data);
    free(r->accesses.data);
    free(r);
}

void recorder_begin(struct recorder *r, int64_t budget)
{
    r->budget = budget;
    r->spent = 0;
    r->blocks.count = r->lines.count = r->addresses.count = r->accesses.count = 0;
}

static void give_up(struct recorder *r, void *uc, int why)
{
    r->spent = why;
    r->stop(uc);
}

void on_block(void *uc, uint64_t address, uint32_t size, void *data)
{
    struct recorder *r = data;
    uint64_t block = address << SIZE_BITS | size;

    if (!append(&r->blocks, &block, sizeof block)) {
        give_up(r, uc, 2);
    }
    r->budget -= size;
    if (r->budget < 0) {
        give_up(r, uc, 1);
    }
}

/* See pipeline.magnitude. */
static uint32_t bits(uint32_t word)
{
    uint32_t count = 0;

    for (; word; word >>= 1) {
        count++;
    }
    return count;
}

static uint32_t magnitude(uint32_t dividend, uint32_t divisor, int is_signed)
{
    if (is_signed) {
        dividend = dividend >> 31 ? 0u - dividend : dividend;
        divisor = divisor >> 31 ? 0u - divisor : divisor;
    }
    if (!dividend || !divisor) {
        return 0;
    }
    return bits(dividend) < bits(divisor) ? 1 : bits(dividend) - bits(divisor) + 2;
}

/* The accesses of one instruction, from the registers before it is executed: hooks on the accesses themselves would
 * make the emulator several times slower. `first` gets the first address. */
static const struct operand *operand_at(struct recorder *r, void *uc, uint32_t at, uint32_t *first)
{
    const struct key *k = &r->operands->keys[slot(r->operands, at, 0, 0)];
    const struct operand *o;
    uint32_t base, index = 0;

    if (!k->value) {
        r->decode(at);
        k = &r->operands->keys[slot(r->operands, at, 0, 0)];
        if (!k->value) {
            give_up(r, uc, 3);
            return NULL;
        }
    }
    if (k->value == 1) {
        return NULL;
    }
    o = &r->places[k->value - 2];
    if (o->base < 0) {
        base = o->index ? at + 4u : (at + 4u) & ~3u; /* a table branch, or a literal */
    } else {
        r->read_register(uc, o->base, &base);
    }
    if (o->index) {
        r->read_register(uc, o->index, &index);
    }
    *first = o->size ? base + (index << o->shift) + (uint32_t)o->offset : magnitude(base, index, o->shift);
    return o;
}

static int in_ranges(const struct recorder *r, uint32_t at)
{
    for (uint32_t i = 0; i < 2 * r->n_ranges; i += 2) {
        if (at >= r->ranges[i] && at < r->ranges[i + 1]) {
            return 1;
        }
    }
    return 0;
}

/* Lines that are read, beside on_block. */
void on_line(void *uc, uint64_t address, uint32_t size, void *data)
{
    struct recorder *r = data;
    uint32_t first;
    const struct operand *o = operand_at(r, uc, (uint32_t)address, &first);

    (void)size;
    for (int32_t i = 0; o && o->size && !o->write && i < o->count; i++) {
        uint32_t at = first + (uint32_t)(i * o->size), line = at / r->line_bytes;
        if (in_ranges(r, at) && !append(&r->lines, &line, sizeof line)) {
            give_up(r, uc, 2);
        }
    }
}

void on_instruction(void *uc, uint64_t address, uint32_t size, void *data)
{
    struct recorder *r = data;
    uint32_t at = (uint32_t)address, first;
    const struct operand *o = operand_at(r, uc, at, &first);

    (void)size;
    for (int32_t i = 0; o && i < o->count; i++) {
        struct access a = {(uint32_t)r->addresses.count, first + (uint32_t)(i * o->size),
                           (uint32_t)o->size << 1 | (uint32_t)o->write};
        if (!append(&r->accesses, &a, sizeof a)) {
            give_up(r, uc, 2);
        }
    }
    if (!append(&r->addresses, &at, sizeof at)) {
        give_up(r, uc, 2);
    }
    if (--r->budget < 0) {
        give_up(r, uc, 1);
    }
}

/* --- the steps of a walk --- */

/* Turns addresses as the emulator reported them into numbers of rows. Instructions that their IT block skips are not
 * reported: they are put back in. `moved` gets each reported instruction's position in the result. Returns 1 and the
 * pair where a row is missing, 2 where there is no room, 0 at the end. */
int steps_fill(const struct table *t, struct row *rows, const uint32_t *addresses, int64_t n, int64_t *position,
               uint32_t *steps, int64_t *count, int64_t room, uint32_t *moved, uint32_t pair[2])
{
    int64_t i = *position, k = *count;
    int result = 0;

    while (i < n) {
        uint32_t before = k ? rows[steps[k - 1]].address : 0u, at = addresses[i];
        if (k && !(rows[steps[k - 1]].flags & BRANCHES)) {
            uint32_t gap = at - rows[steps[k - 1]].end;
            at = gap && gap < 17u ? rows[steps[k - 1]].end : at;
        }
        uint32_t number = k ? rows[steps[k - 1]].next : 0u;
        if (!number || rows[number - 1].address != at) {
            number = t->keys[slot(t, before, at, 0)].value;
        }
        if (!number || k == room) {
            pair[0] = before;
            pair[1] = at;
            result = number ? 2 : 1;
            break;
        }
        if (k) {
            rows[steps[k - 1]].next = number;
        }
        if (at == addresses[i]) {
            moved[i++] = (uint32_t)k;
        }
        steps[k++] = number - 1;
    }
    *position = i;
    *count = k;
    return result;
}
