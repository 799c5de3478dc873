/* Timing what was recorded: blocks looked up, or every instruction with the memories and the fetch unit. */
#include "fast.h"

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

/* See pipeline.bank. */
static int bank(uint32_t address) { return (int)(address >> 28); }

/* The cycles of a walk, BL and return included, with the memories as they are (NULL: no wait states). Positions of
 * accesses go through `moved`. `divisions` has cycles by magnitude, NULL: what the rows say. `parts` and `stalls`
 * (CAUSES a part) are added to. */
int64_t walk_time(const struct row *rows, const uint32_t *steps, int64_t n, const struct access *accesses,
                  int64_t n_accesses, const uint32_t *moved, struct memories *memories, int32_t words, int32_t latency,
                  uint32_t back, int32_t call_refill, const uint8_t *divisions, int32_t inherit, int32_t part,
                  int64_t *parts, int64_t *stalls)
{
    struct fetch fetch = {.memories = memories, .words = words, .latency = latency};
    int64_t time = 1, counted = 0, a = 0;
    int64_t *why = stalls + CAUSES * part;
    int open = 0, loaded_from = -1;

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
        int number = 0, pipelined = 0, place = -1, cost = row->cost;

        part = row->part == inherit ? part : row->part;
        why = stalls + CAUSES * part;
        if (a < n_accesses && moved[accesses[a].position] == (uint32_t)i && accesses[a].size >> 1) {
            place = bank(accesses[a].address);
        }
        if (open) {
            int apart = place != loaded_from && place >= 0 && loaded_from >= 0;
            int second = apart ? 1 : row->after_load;
            time += second;
            why[LOAD] += second;
            pipelined = !second;
        }
        why[STORE] += row->store;
        why[ADDRESS] += row->address_made;
        why[FP] += row->fp;
        due = time + row->store + row->address_made + row->fp;
        start = words ? take(&fetch, row->end, due) : due;
        why[FETCH] += start - due;
        for (; a < n_accesses && moved[accesses[a].position] == (uint32_t)i; a++, number++) {
            if (accesses[a].size >> 1) {
                misaligned += unaligned(&accesses[a]);
                data += memory_data(memories, &accesses[a], start + number + data, number == 0 && !pipelined);
            } else if (divisions) {
                cost = divisions[accesses[a].address];
            }
        }
        why[UNALIGNED] += misaligned;
        why[DATA] += data;
        time = start + cost + misaligned + data;
        if (following != row->end) {
            jump(&fetch, following, time + row->refill - latency);
            time += row->refill;
            why[BRANCH] += row->refill;
        }
        open = row->flags & OPENS_LOAD;
        loaded_from = open ? place : -1;
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
