/* Recording what emulated code does, and timing what was recorded: trace.py, pipeline.py and memories.py say the same
 * in Python, and the tests hold both to the same cycles. Hooks have the type uc_cb_hookcode_t
 * of unicorn.h; the emulator's own functions come in as pointers, so nothing is linked. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define SIZE_BITS 12

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

/* --- tables: three words to a number --- */

struct key {
    uint64_t a, b;
    uint32_t c, value;
};

struct table {
    struct key *keys; /* value 0: free, else one more than the number */
    size_t room, count;
};

static size_t slot(const struct table *t, uint64_t a, uint64_t b, uint32_t c)
{
    uint64_t h = (a * 0x9e3779b97f4a7c15u) ^ (b * 0xc2b2ae3d27d4eb4fu) ^ ((uint64_t)c * 0x165667b19e3779f9u);
    size_t i = (h ^ h >> 29) & (t->room - 1);

    while (t->keys[i].value && (t->keys[i].a != a || t->keys[i].b != b || t->keys[i].c != c)) {
        i = (i + 1) & (t->room - 1);
    }
    return i;
}

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

struct access {
    uint32_t position, address, size; /* size: bytes << 1 | write */
};

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
    uint32_t lines_begin, lines_end;
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
    *first = base + (index << o->shift) + (uint32_t)o->offset;
    return o;
}

/* Lines that are read, beside on_block. */
void on_line(void *uc, uint64_t address, uint32_t size, void *data)
{
    struct recorder *r = data;
    uint32_t first;
    const struct operand *o = operand_at(r, uc, (uint32_t)address, &first);

    (void)size;
    for (int32_t i = 0; o && !o->write && i < o->count; i++) {
        uint32_t at = first + (uint32_t)(i * o->size), line = at >> 4;
        if (at >= r->lines_begin && at < r->lines_end && !append(&r->lines, &line, sizeof line)) {
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

/* --- the time of blocks without wait states: (state, block, next block) looked up --- */

struct timed {
    int32_t cycles, state, part;
};

/* Goes on at *position with *state, *part and the sums; returns 1 where an entry is missing, 0 at the end. */
int memo_run(const struct table *t, const struct timed *rows, const uint64_t *blocks, int64_t n, uint32_t back,
             int64_t *position, int64_t *state, int64_t *part, int64_t inherit, int64_t *parts)
{
    int64_t i = *position, s = *state, p = *part;
    int missing = 0;

    for (; i < n; i++) {
        uint32_t next = i + 1 < n ? (uint32_t)(blocks[i + 1] >> SIZE_BITS) : back;
        const struct key *k = &t->keys[slot(t, (uint64_t)s, blocks[i], next)];
        if (!k->value) {
            missing = 1;
            break;
        }
        const struct timed *row = &rows[k->value - 1];
        p = row->part == inherit ? p : row->part;
        parts[p] += row->cycles;
        s = row->state;
    }
    *position = i;
    *state = s;
    *part = p;
    return missing;
}

/* --- the steps of a walk: one row for each (instruction before, instruction) --- */

#define OPENS_LOAD 1u
#define BRANCHES 2u
enum cause { LOAD, STORE, ADDRESS, FP, BRANCH, UNALIGNED, FETCH, DATA, CAUSES };

struct row {
    uint32_t address, end;
    int32_t part;
    uint8_t cost, refill, flags, after_load, store, address_made, fp, spare;
};

/* Turns addresses as the emulator reported them into numbers of rows. Instructions that their IT block skips are not
 * reported: they are put back in. `moved` gets each reported instruction's position in the result. Returns 1 and the
 * pair where a row is missing, 2 where there is no room, 0 at the end. */
int steps_fill(const struct table *t, const struct row *rows, const uint32_t *addresses, int64_t n, int64_t *position,
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
        const struct key *found = &t->keys[slot(t, before, at, 0)];
        if (!found->value || k == room) {
            pair[0] = before;
            pair[1] = at;
            result = found->value ? 2 : 1;
            break;
        }
        if (at == addresses[i]) {
            moved[i++] = (uint32_t)k;
        }
        steps[k++] = found->value - 1;
    }
    *position = i;
    *count = k;
    return result;
}

/* --- memories --- */

enum model { ZERO_WAIT, FIRST_LOAD, CACHED, EVERY_ACCESS };
#define MOST_LINES 128

/* Least recently used of `capacity` lines. `slots` holds one more than the slot of each of the `n_slots` lines from
 * `first` on, 0 where it is not held; invented lines, which are negative, are never looked for. */
struct lines {
    int32_t capacity, count;
    int64_t clock, first, n_slots;
    uint8_t *slots;
    int64_t line[MOST_LINES], used[MOST_LINES];
};

struct region {
    uint32_t origin, end;
    int32_t model, wait_states, line_bytes, invented;
    int64_t current, prefetched, prefetched_at, free_at;
    struct lines instructions, data;
};

struct memories {
    int64_t n_regions, position, n_unknown;
    const uint8_t *unknown;
    struct region regions[16];
};

static uint8_t *slot_of(const struct lines *l, int64_t line)
{
    return line >= l->first && line < l->first + l->n_slots ? &l->slots[line - l->first] : NULL;
}

static int holds(const struct lines *l, int64_t line)
{
    const uint8_t *held = slot_of(l, line);

    return held && *held;
}

static void use(struct lines *l, int64_t line)
{
    uint8_t *held = slot_of(l, line);
    int32_t i = held ? *held - 1 : -1;

    if (i < 0 && l->count < l->capacity) {
        i = l->count++;
    } else if (i < 0) {
        uint8_t *evicted;
        i = 0;
        for (int32_t k = 1; k < l->count; k++) {
            i = l->used[k] < l->used[i] ? k : i;
        }
        evicted = slot_of(l, l->line[i]);
        if (evicted) {
            *evicted = 0;
        }
    }
    l->line[i] = line;
    l->used[i] = ++l->clock;
    if (held) {
        *held = (uint8_t)(i + 1);
    }
}

static int64_t flash_read(struct region *m, int64_t time)
{
    int64_t begin = time > m->free_at ? time : m->free_at;
    m->free_at = begin + m->wait_states + 1;
    return begin - time + m->wait_states;
}

static struct region *region_at(struct memories *m, uint32_t address)
{
    for (int64_t i = 0; i < m->n_regions; i++) {
        if (m->regions[i].origin <= address && address < m->regions[i].end) {
            return &m->regions[i];
        }
    }
    return NULL;
}

static int64_t memory_fetch(struct memories *memories, uint32_t address, int64_t time)
{
    struct region *m = memories ? region_at(memories, address) : NULL;
    int64_t line, wait = 0;

    if (!m || m->model != CACHED) {
        return m && m->model == EVERY_ACCESS ? m->wait_states : 0;
    }
    line = address / (uint32_t)m->line_bytes;
    if (line == m->current) {
        return 0;
    }
    m->current = line;
    if (line == m->prefetched) {
        wait = m->prefetched_at > time ? m->prefetched_at - time : 0;
    } else if (!holds(&m->instructions, line)) {
        wait = flash_read(m, time);
    }
    use(&m->instructions, line);
    if (line + 1 != m->prefetched && !holds(&m->instructions, line + 1)) {
        int64_t begin = time + wait > m->free_at ? time + wait : m->free_at;
        m->prefetched = line + 1;
        m->prefetched_at = begin + flash_read(m, begin);
    }
    return wait;
}

static int64_t memory_data(struct memories *memories, const struct access *a, int64_t time, int first)
{
    struct region *m = memories ? region_at(memories, a->address) : NULL;
    int64_t position, line, wait;

    if (!m || m->model == ZERO_WAIT || a->size & 1u) {
        return 0;
    }
    if (m->model != CACHED) {
        return first || m->model == EVERY_ACCESS ? m->wait_states : 0;
    }
    position = memories->position++;
    if (position < memories->n_unknown && memories->unknown[position]) {
        use(&m->data, --m->invented);
        return flash_read(m, time);
    }
    line = a->address / (uint32_t)m->line_bytes;
    wait = holds(&m->data, line) ? 0 : flash_read(m, time);
    use(&m->data, line);
    return wait;
}

void memories_restart(struct memories *memories)
{
    memories->position = 0;
    for (int64_t i = 0; i < memories->n_regions; i++) {
        struct region *m = &memories->regions[i];
        if (m->model == CACHED && m->prefetched >= 0) {
            use(&m->instructions, m->prefetched);
        }
        m->current = m->prefetched = -1;
        m->prefetched_at = m->free_at = 0;
    }
}

/* --- the fetch unit and the pipeline --- */

#define MOST_WORDS 8

struct fetch {
    struct memories *memories;
    int32_t words, latency, count;
    uint32_t head;
    int64_t ready[MOST_WORDS], next_issue;
};

static void jump(struct fetch *f, uint32_t target, int64_t time)
{
    f->head = target & ~3u;
    f->count = 0;
    f->next_issue = time;
}

static void advance(struct fetch *f, int64_t time)
{
    while (f->count < f->words && f->next_issue <= time) {
        int64_t wait = memory_fetch(f->memories, f->head + 4u * (uint32_t)f->count, f->next_issue);
        f->ready[f->count++] = f->next_issue + f->latency + wait;
        f->next_issue += 1 + wait;
    }
}

static int64_t take(struct fetch *f, uint32_t end, int64_t time)
{
    int32_t last = (int32_t)((end - 1u - f->head) / 4u), used = (int32_t)((end - f->head) / 4u);
    int64_t start;
    int full;

    while (f->count <= last) {
        advance(f, f->next_issue);
    }
    start = time > f->ready[last] ? time : f->ready[last];
    advance(f, start - 1);
    full = f->count == f->words && f->next_issue < start;
    if (used) {
        if (full) {
            f->next_issue = start + 1;
        }
        for (int32_t i = used; i < f->count; i++) {
            f->ready[i - used] = f->ready[i];
        }
        f->count -= used;
        f->head += 4u * (uint32_t)used;
    }
    advance(f, start);
    return start;
}

static int64_t unaligned(const struct access *a)
{
    uint32_t size = a->size >> 1;

    return (size != 2 && size != 4) || a->address % size == 0 ? 0 : size == 4 && a->address % 2 ? 2 : 1;
}

/* The cycles of a walk, BL and return included, with the memories as they are (NULL: no wait states). Positions of
 * accesses go through `moved`. `parts` and `stalls` (CAUSES a part) are added to. */
int64_t walk_time(const struct row *rows, const uint32_t *steps, int64_t n, const struct access *accesses,
                  int64_t n_accesses, const uint32_t *moved, struct memories *memories, int32_t words, int32_t latency,
                  uint32_t back, int32_t call_refill, int32_t inherit, int32_t part, int64_t *parts, int64_t *stalls)
{
    struct fetch fetch = {.memories = memories, .words = words, .latency = latency};
    int64_t time = 1, counted = 0, a = 0;
    int64_t *why = stalls + CAUSES * part;
    int open = 0;

    if (memories) {
        memories_restart(memories);
    }
    jump(&fetch, rows[steps[0]].address, time + call_refill - latency);
    time += call_refill;
    why[BRANCH] += call_refill;
    for (int64_t i = 0; i < n; i++) {
        const struct row *row = &rows[steps[i]];
        uint32_t following = i + 1 < n ? rows[steps[i + 1]].address : back;
        int64_t due, start, data = 0, misaligned = 0;
        int number = 0, pipelined = 0;

        part = row->part == inherit ? part : row->part;
        why = stalls + CAUSES * part;
        if (open) {
            time += row->after_load;
            why[LOAD] += row->after_load;
            pipelined = !row->after_load;
        }
        why[STORE] += row->store;
        why[ADDRESS] += row->address_made;
        why[FP] += row->fp;
        due = time + row->store + row->address_made + row->fp;
        start = words ? take(&fetch, row->end, due) : due;
        why[FETCH] += start - due;
        for (; a < n_accesses && moved[accesses[a].position] == (uint32_t)i; a++, number++) {
            misaligned += unaligned(&accesses[a]);
            data += memory_data(memories, &accesses[a], start + number, number == 0 && !pipelined);
        }
        why[UNALIGNED] += misaligned;
        why[DATA] += data;
        time = start + row->cost + misaligned + data;
        if (following != row->end) {
            jump(&fetch, following, time + row->refill - latency);
            time += row->refill;
            why[BRANCH] += row->refill;
        }
        open = row->flags & OPENS_LOAD;
        parts[part] += time - counted;
        counted = time;
    }
    if (open) {
        why[LOAD]++;
        parts[part]++;
        time++;
    }
    return time;
}

size_t size_of_region(void) { return sizeof(struct region); }
