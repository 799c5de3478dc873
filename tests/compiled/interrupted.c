/* seq_act interrupts seq_decide, as a tick does on a board: a timer's signal on the same thread. The controller is a
   slow one whose every action says which decision it is of, and of which tick. Returns the number of the check that
   failed, 0 when none did. */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/time.h>
#include "seq_player.h"

static struct seq s;
static struct seq_player p;
static volatile sig_atomic_t failed, deciding, inside, ticks;
static volatile uint32_t began[4096], decision;
static volatile float applied;

uint32_t seq_step(struct seq *c, const float obs[SEQ_N_OBS], float act[SEQ_N_ACT])
{
    (void)obs;
    decision += 1;
    if (decision > 1 && c->applied[1] != applied && ticks == (sig_atomic_t)began[decision]) {
        failed = 1; /* what it is told was applied is not what was, though no tick came meanwhile */
    }
    for (uint32_t j = 0; j < SEQ_N_ACT; j++) {
        for (volatile int wait = 0; wait < 20000; wait++) {
        }
        act[j] = (float)(decision * 8u + j);
    }
    return 0;
}

static void tick(int signal)
{
    float act[1];
    const uint32_t status = seq_act(&p, act), says = (uint32_t)act[0];
    const uint32_t of = says / 8u, j = says % 8u, age = (uint32_t)ticks - began[of];

    (void)signal;
    if (of > 0 && j != (age < 5u ? age : 4u)) {
        failed = 2; /* an action of another tick, or of a sequence that is still being written */
    }
    if (of > 0 && (status & SEQ_HELD) != (age >= 5u ? SEQ_HELD : 0u)) {
        failed = 3;
    }
    if (of + 1u < decision) {
        failed = 4; /* a sequence that has been replaced */
    }
    applied = act[0];
    inside += deciding;
    ticks += 1;
}

int interrupted(int wanted);
int interrupted(int wanted)
{
    const struct itimerval every = {{0, 60}, {0, 60}}, never = {{0, 0}, {0, 0}};
    const float obs[SEQ_N_OBS] = {0};

    seq_player_init(&p);
    applied = p.last[0];
    signal(SIGALRM, tick);
    setitimer(ITIMER_REAL, &every, 0);
    for (uint32_t k = 1; k < 4096 && inside < wanted && !failed; k++) {
        do {
            began[k] = p.now;
            deciding = 1;
        } while (began[k] != p.now);
        seq_decide(&p, &s, obs);
        deciding = 0;
    }
    setitimer(ITIMER_REAL, &never, 0);
    return failed ? failed : inside < wanted ? 5 : 0;
}
