/* Timing walks on cores that issue two instructions a cycle: the twin of scoreboard.py. */
#include "fast.h"

#define REGISTERS 50
#define PORTS 3
#define CORE_REGISTERS 16
#define LONG_AGO (-8)
#define FETCH_BYTES 8u

enum port { ALU, EARLY };
enum together { NEVER, UNLESS_TAKEN, ALWAYS };
enum early { OLDER = 1, EITHER = 2 };

#define LOADS 1u
#define WAITS_FP 2u
#define SETS_FLAGS 8u

/* A register read (port, how late it may come) or written (cycles until ready at each port). */
struct use {
    uint8_t reg, a, b, c;
};

/* An instruction behind a certain other, beside its row. */
struct issue {
    uint32_t reads, writes, branch; /* the first of each in `uses`; the number of its counter */
    uint8_t n_reads, n_writes, cycles, pairs, early, blocks_fp, bubble, cause, flags, spare[3];
};

struct rules {
    int32_t near, far, flag_distance, unaligned_load, unaligned_store, banked, call_bubble, n_counters;
};

struct board {
    int64_t ready[REGISTERS][PORTS];
    uint8_t causes[REGISTERS];
};

static int64_t due_at(const struct board *b, const struct issue *issue, const struct use *uses, int64_t fp_free,
                      int *cause)
{
    int64_t due = LONG_AGO;

    *cause = DATA;
    if (issue->flags & WAITS_FP && fp_free > due) {
        due = fp_free;
        *cause = FP;
    }
    for (int i = 0; i < issue->n_reads; i++) {
        const struct use *u = &uses[issue->reads + (uint32_t)i];
        int64_t at = b->ready[u->reg][u->a] - u->b;
        if (at > due) {
            due = at;
            *cause = u->a == EARLY && u->reg < CORE_REGISTERS ? ADDRESS : b->causes[u->reg];
        }
    }
    return due;
}

static void results(struct board *b, const struct issue *issue, const struct use *uses, int64_t start, int together,
                    int64_t more)
{
    int early = issue->early == EITHER || (issue->early == OLDER && !together);

    for (int i = 0; i < issue->n_reads && early; i++) {
        early = b->ready[uses[issue->reads + (uint32_t)i].reg][EARLY] <= start;
    }
    for (int i = 0; i < issue->n_writes; i++) {
        const struct use *u = &uses[issue->writes + (uint32_t)i];
        b->ready[u->reg][0] = start + more + (early ? 0 : u->a);
        b->ready[u->reg][1] = start + more + (early ? 1 : u->b);
        b->ready[u->reg][2] = start + more + (early ? 1 : u->c);
        b->causes[u->reg] = issue->cause;
    }
}

static int lost_by_branch(const struct rules *rules, const struct row *row, const struct issue *issue,
                          uint8_t *counters, int taken, int64_t age)
{
    uint8_t *counter = &counters[issue->branch];
    int expected;

    if (!(row->flags & CONDITIONAL) || !rules->near) {
        return taken ? issue->bubble : 0;
    }
    if (*counter > 3) {
        *counter = row->flags & BACKWARD ? 2 : 1;
    }
    expected = *counter >= 2;
    *counter = (uint8_t)(taken ? (*counter < 3 ? *counter + 1 : 3) : (*counter ? *counter - 1 : 0));
    if (taken == expected) {
        return taken ? issue->bubble : 0;
    }
    return age >= rules->flag_distance ? rules->far : rules->near;
}

/* As walk_time in fast_time.c; returns -1 where memory is short. */
int64_t score_time(const struct row *rows, const struct issue *issues, const struct use *uses, const uint32_t *steps,
                   int64_t n, const struct access *accesses, int64_t n_accesses, const uint32_t *moved,
                   struct memories *memories, const struct rules *rules, uint32_t back, const uint8_t *divisions,
                   int32_t inherit, int32_t part, int64_t *parts, int64_t *stalls)
{
    int64_t time = 1 + rules->call_bubble, counted = 0, a = 0, fp_free = 0, flagged = LONG_AGO;
    int64_t *why = stalls + CAUSES * part;
    uint32_t read_at = 0, fetched = ~0u;
    int open = 0, reading = 0;
    struct board board;
    uint8_t *counters = malloc((size_t)rules->n_counters + 1);

    if (!counters) {
        return -1;
    }
    memset(counters, 0xff, (size_t)rules->n_counters + 1);
    for (int i = 0; i < REGISTERS; i++) {
        board.causes[i] = DATA;
        for (int k = 0; k < PORTS; k++) {
            board.ready[i][k] = LONG_AGO;
        }
    }
    if (memories) {
        memories_restart(memories);
    }
    why[BRANCH] += rules->call_bubble;
    for (int64_t i = 0; i < n; i++) {
        const struct row *row = &rows[steps[i]];
        const struct issue *issue = &issues[steps[i]];
        uint32_t following = i + 1 < n ? rows[steps[i + 1]].address : back;
        int taken = following != row->end, number = 0, together, cause, lost;
        int64_t due, start, cycles = issue->cycles, waited = 0, misaligned = 0;
        const struct access *first = NULL;

        part = row->part == inherit ? part : row->part;
        why = stalls + CAUSES * part;
        for (uint32_t k = 0; k < 2; k++) {
            uint32_t group = (k ? row->end - 1 : row->address) / FETCH_BYTES;
            if (group != fetched) {
                int64_t wait = memory_fetch(memories, group * FETCH_BYTES, time);
                fetched = group;
                if (wait) {
                    why[FETCH] += wait;
                    time += wait;
                    open = 0;
                }
            }
        }
        if (a < n_accesses && moved[accesses[a].position] == (uint32_t)i && accesses[a].size >> 1) {
            first = &accesses[a];
        }
        due = due_at(&board, issue, uses, fp_free, &cause);
        together = open && due < time && (issue->pairs == ALWAYS || (issue->pairs == UNLESS_TAKEN && !taken));
        if (together && rules->banked && reading && first && !(first->size & 1u)) {
            together = ((read_at ^ first->address) & 4u) != 0;
        }
        start = together ? time - 1 : due > time ? due : time;
        if (!together) {
            why[cause] += start - time;
        }
        for (; a < n_accesses && moved[accesses[a].position] == (uint32_t)i; a++, number++) {
            if (accesses[a].size >> 1) {
                waited += memory_data(memories, &accesses[a], start + number + waited, number == 0);
                if (is_unaligned(&accesses[a])) {
                    misaligned += accesses[a].size & 1u ? rules->unaligned_store : rules->unaligned_load;
                }
            } else if (divisions) {
                cycles = divisions[accesses[a].address];
            }
        }
        why[DATA] += waited;
        why[UNALIGNED] += misaligned;
        cycles += waited + misaligned;
        results(&board, issue, uses, start, together, cycles - issue->cycles);
        if (issue->blocks_fp) {
            fp_free = start + 1 + issue->blocks_fp;
        }
        open = !together && cycles == 1;
        time = time > start + cycles ? time : start + cycles;
        lost = lost_by_branch(rules, row, issue, counters, taken, start - flagged);
        if (taken || lost) {
            open = 0;
        }
        if (taken) {
            fetched = ~0u;
        }
        if (issue->flags & SETS_FLAGS) {
            flagged = start;
        }
        why[BRANCH] += lost;
        time += lost;
        reading = first && !(first->size & 1u);
        read_at = reading ? first->address : 0;
        parts[part] += time - counted;
        counted = time;
    }
    free(counters);
    return time;
}
