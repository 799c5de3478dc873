/* The rest of the firmware for the generated controller `hover`, played for the host, and a door for the tests. */
#include "hover_controller.c"

uint32_t age_ms, pid_calls, pid_resets, last_pid_step;
uint64_t clock_us;
uint32_t policy_us = 120; /* what a step takes on the clock */
static uint32_t asked;
static control_t control;

uint32_t commanderGetInactivityTime(void) { return age_ms; }

/* Asked at the begin of a tick, and before and after a step. */
uint64_t usecTimestamp(void)
{
    asked++;
    return clock_us + (asked == 3u ? policy_us : 0u);
}

void consolePrintf(const char *format, ...) { (void)format; }
void vTaskDelay(uint32_t ms) { (void)ms; }
void controllerPidInit(void) {}
bool controllerPidTest(void) { return true; }
void attitudeControllerResetAllPID(float r, float p, float y) { (void)r, (void)p, (void)y; }
void positionControllerResetAllPID(float x, float y, float z) { (void)x, (void)y, (void)z, pid_resets++; }
void positionControllerResetAllfilters() {}

void controllerPid(control_t *c, const setpoint_t *s, const sensorData_t *e, const state_t *x, const stabilizerStep_t k)
{
    (void)s, (void)e, (void)x;
    pid_calls++;
    last_pid_step = k;
    c->controlMode = controlModeLegacy;
    c->thrust = 30000.0f;
}

void set_enable(uint32_t on) { enable = (uint8_t)on; }
void read_policy(float *obs, float *act) { memcpy(obs, observation, sizeof observation), memcpy(act, action, sizeof action); }
uint32_t pilot_now(void) { return handover.pilot; }
uint32_t reason_now(void) { return handover.reason; }

/* One millisecond. `x` is position, quaternion w x y z, velocity (world), angular velocity (body, rad/s); `mode` that of
 * the set-point's x, y, z. Returns the control mode; `out` the first four words behind it. */
uint32_t tick(uint32_t step, const float x[13], const float target[3], uint32_t mode, float out[4])
{
    static const float degrees = 57.29578f;
    setpoint_t s = {.mode = {.x = (stab_mode_t)mode, .y = (stab_mode_t)mode, .z = (stab_mode_t)mode}};
    sensorData_t e = {.gyro = {x[10] * degrees, x[11] * degrees, x[12] * degrees}};
    state_t now = {0};

    s.position = (point_t){0, target[0], target[1], target[2]};
    now.position = (point_t){0, x[0], x[1], x[2]};
    now.attitudeQuaternion = (quaternion_t){x[4], x[5], x[6], x[3]};
    now.velocity = (velocity_t){0, x[7], x[8], x[9]};
    asked = 0;
    clock_us += 1000;
    controllerOutOfTree(&control, &s, &e, &now, step);
    memcpy(out, control.normalizedForces, sizeof control.normalizedForces);
    return control.controlMode;
}

void actuate_with(const float act[4], float out[4])
{
    memcpy(action, act, sizeof action);
    actuate(&control);
    memcpy(out, control.normalizedForces, sizeof control.normalizedForces);
}
