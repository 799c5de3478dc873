/* What memories add to the cycles: the twin of memories.py. */
#include "fast.h"

enum model { ZERO_WAIT, FIRST_LOAD, ACCELERATED, EVERY_ACCESS, CACHED };
#define MOST_LINES 128

/* Least recently used of `capacity` lines. `slots` holds one more than the slot of each of the `n_slots` lines from
 * `first` on, 0 where it is not held; invented lines, which are negative, are never looked for. */
struct lines {
    int32_t capacity, count;
    int64_t clock, first, n_slots;
    uint8_t *slots;
    int64_t line[MOST_LINES], used[MOST_LINES];
};

/* A set-associative cache: `ways` lines for each of `sets` sets, and when each was used; least recently used. A place
 * that was never used is free. */
struct sets {
    int64_t sets, ways, clock;
    int64_t *lines, *used;
};

struct region {
    uint32_t origin, end;
    int32_t model, wait_states, line_bytes, invented;
    int64_t current, prefetched, prefetched_at, free_at;
    struct lines instructions, data;
    struct sets *instruction_sets, *data_sets;
};

struct memories {
    int64_t n_regions, position, n_unknown;
    const uint8_t *unknown;
    struct region regions[MOST_REGIONS];
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

/* Whether the line was held; now it is. Invented lines are negative. */
static int use_set(struct sets *s, int64_t line)
{
    int64_t set = line % s->sets, oldest;

    set = (set < 0 ? set + s->sets : set) * s->ways;
    oldest = set;
    for (int64_t i = set; i < set + s->ways; i++) {
        if (s->lines[i] == line && s->used[i]) {
            s->used[i] = ++s->clock;
            return 1;
        }
        oldest = s->used[i] < s->used[oldest] ? i : oldest;
    }
    s->lines[oldest] = line;
    s->used[oldest] = ++s->clock;
    return 0;
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
        if (address - m->regions[i].origin < m->regions[i].end - m->regions[i].origin) {
            return &m->regions[i];
        }
    }
    return NULL;
}

int64_t memory_fetch(struct memories *memories, uint32_t address, int64_t time)
{
    struct region *m = memories ? region_at(memories, address) : NULL;
    int64_t line, wait = 0;

    if (!m || (m->model != CACHED && m->model != ACCELERATED)) {
        return m && m->model == EVERY_ACCESS ? m->wait_states : 0;
    }
    line = address / (uint32_t)m->line_bytes;
    if (line == m->current) {
        return 0;
    }
    m->current = line;
    if (m->model == CACHED) {
        return use_set(m->instruction_sets, line) ? 0 : m->wait_states;
    }
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

int64_t memory_data(struct memories *memories, const struct access *a, int64_t time, int first)
{
    struct region *m = memories ? region_at(memories, a->address) : NULL;
    int64_t position, line, wait;

    if (!m || m->model == ZERO_WAIT) {
        return 0;
    }
    if (a->size & 1u) {
        if (m->model == CACHED) {
            use_set(m->data_sets, a->address / (uint32_t)m->line_bytes);
        }
        return 0;
    }
    if (m->model != CACHED && m->model != ACCELERATED) {
        return first || m->model == EVERY_ACCESS ? m->wait_states : 0;
    }
    position = memories->position++;
    if (position < memories->n_unknown && memories->unknown[position]) {
        --m->invented;
        if (m->model == CACHED) {
            use_set(m->data_sets, m->invented);
            return m->wait_states;
        }
        use(&m->data, m->invented);
        return flash_read(m, time);
    }
    line = a->address / (uint32_t)m->line_bytes;
    if (m->model == CACHED) {
        return use_set(m->data_sets, line) ? 0 : m->wait_states;
    }
    wait = holds(&m->data, line) ? 0 : flash_read(m, time);
    use(&m->data, line);
    return wait;
}

void memories_restart(struct memories *memories)
{
    memories->position = 0;
    for (int64_t i = 0; i < memories->n_regions; i++) {
        struct region *m = &memories->regions[i];
        if (m->model == ACCELERATED && m->prefetched >= 0) {
            use(&m->instructions, m->prefetched);
        }
        m->current = m->prefetched = -1;
        m->prefetched_at = m->free_at = 0;
    }
}

size_t size_of_region(void) { return sizeof(struct region); }
