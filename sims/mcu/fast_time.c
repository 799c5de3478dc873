/* Timing what was recorded: blocks looked up, or every instruction with the memories and the fetch unit. The cores that
 * issue two instructions a cycle have fast_score.c. */
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
    f->head = f->words ? target & ~3u : 0;
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

/* See pipeline.Direct. `head` is one more than the word. */
static int64_t take_direct(struct fetch *f, uint32_t address, uint32_t end, int64_t time)
{
    if (!f->head && address / 4u != (end - 1u) / 4u) {
        time += f->latency;
    }
    for (uint32_t k = 0; k < 2; k++) {
        uint32_t word = (k ? end - 1u : address) / 4u;
        if (word + 1u != f->head) {
            f->head = word + 1u;
            time += memory_fetch(f->memories, 4u * word, time);
        }
    }
    return time;
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

/* See pipeline.unaligned. */
static int64_t misalignment(const struct access *a)
{
    return !is_unaligned(a) ? 0 : a->size >> 1 == 4 && a->address % 2 ? 2 : 1;
}

/* See pipeline.bank. */
static int bank(uint32_t address) { return (int)(address >> 28); }

/* The cycles of a walk, BL and return included, with the memories as they are (NULL: no wait states). Positions of
 * accesses go through `moved`. `divisions` has cycles by magnitude, NULL: what the rows say. `parts` and `stalls`
 * (CAUSES a part) are added to. */
int64_t walk_time(const struct row *rows, const uint32_t *steps, int64_t n, const struct access *accesses,
                  int64_t n_accesses, const uint32_t *moved, struct memories *memories, int32_t words, int32_t latency,
                  uint32_t back, int32_t call_refill, const uint8_t *divisions, int32_t banked,
                  int32_t remembers, int32_t inherit, int32_t part, int64_t *parts, int64_t *stalls)
{
    struct fetch fetch = {.memories = memories, .words = words, .latency = latency};
    int64_t time = 1, counted = 0, a = 0;
    int64_t *why = stalls + CAUSES * part;
    int open = 0, loaded_from = -1;
    uint32_t remembered = ~0u;

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
        int number = 0, pipelined = 0, place = -1, cost = row->cost, taken = following != row->end;
        int refill = taken ? row->refill : 0;

        part = row->part == inherit ? part : row->part;
        why = stalls + CAUSES * part;
        if (a < n_accesses && moved[accesses[a].position] == (uint32_t)i && accesses[a].size >> 1) {
            place = bank(accesses[a].address);
        }
        if (open) {
            int apart = banked && place != loaded_from && place >= 0 && loaded_from >= 0;
            int second = apart ? 1 : row->after_load;
            time += second;
            why[LOAD] += second;
            pipelined = !second;
        }
        why[STORE] += row->store;
        why[ADDRESS] += row->address_made;
        why[FP] += row->fp;
        due = time + row->store + row->address_made + row->fp;
        start = words ? take(&fetch, row->end, due) : take_direct(&fetch, row->address, row->end, due);
        why[FETCH] += start - due;
        for (; a < n_accesses && moved[accesses[a].position] == (uint32_t)i; a++, number++) {
            if (accesses[a].size >> 1) {
                misaligned += misalignment(&accesses[a]);
                data += memory_data(memories, &accesses[a], start + number + data, number == 0 && !pipelined);
            } else if (divisions) {
                cost = divisions[accesses[a].address];
            }
        }
        why[UNALIGNED] += misaligned;
        why[DATA] += data;
        time = start + cost + misaligned + data;
        if (remembers && row->flags & CONDITIONAL) { /* see Pipeline._refill */
            int expected = row->address == remembered;
            if (taken && row->flags & BACKWARD) {
                remembered = row->address;
            } else if (expected && !taken) {
                remembered = ~0u;
            }
            refill = taken != expected ? row->refill : 0;
        }
        if (taken) {
            jump(&fetch, following, time + refill - latency);
        }
        time += refill;
        why[BRANCH] += refill;
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
