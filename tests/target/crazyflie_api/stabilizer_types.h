/* What crazyflie-firmware declares of the types a controller sees (August 2026), written down from its documentation
 * of units and member names: only what the generated controller may use. */
#ifndef STABILIZER_TYPES_H
#define STABILIZER_TYPES_H
#include <stdbool.h>
#include <stdint.h>

typedef uint32_t stabilizerStep_t; /* one a millisecond */

typedef struct {
    float x, y, z;
} Axis3f;

typedef struct {
    uint32_t timestamp;
    float roll, pitch, yaw; /* degrees, pitch inverted */
} attitude_t;

typedef struct {
    uint32_t timestamp;
    float x, y, z;
} point_t, velocity_t, acc_t, jerk_t;

typedef struct {
    float x, y, z, w;
} quaternion_t;

typedef struct {
    Axis3f acc;  /* G */
    Axis3f gyro; /* degrees a second */
    Axis3f mag;
} sensorData_t;

typedef struct {
    attitude_t attitude;
    quaternion_t attitudeQuaternion; /* body to world */
    point_t position;                /* m */
    velocity_t velocity;             /* m/s, world */
    acc_t acc;
} state_t;

#define STABILIZER_NR_OF_MOTORS 4

typedef enum { controlModeLegacy = 0, controlModeForceTorque = 1, controlModeForce = 2 } control_mode_t;

typedef struct {
    union {
        struct {
            int16_t roll, pitch, yaw;
            float thrust;
        };
        struct {
            float thrustSi; /* N */
            union {
                float torque[3]; /* N m */
                struct {
                    float torqueX, torqueY, torqueZ;
                };
            };
        };
        float normalizedForces[STABILIZER_NR_OF_MOTORS]; /* 0 to 1 */
    };
    control_mode_t controlMode;
} control_t;

typedef enum { modeDisable = 0, modeAbs, modeVelocity } stab_mode_t;

typedef struct {
    stab_mode_t x, y, z, roll, pitch, yaw, quat;
} setpoint_mode_t;

typedef struct {
    uint32_t timestamp;
    attitude_t attitude, attitudeRate;
    quaternion_t attitudeQuaternion;
    float thrust;
    point_t position;
    velocity_t velocity;
    acc_t acceleration;
    jerk_t jerk;
    bool velocity_body;
    setpoint_mode_t mode;
} setpoint_t;

#define RATE_1000_HZ 1000
#define RATE_500_HZ 500
#define RATE_MAIN_LOOP RATE_1000_HZ
#define RATE_DO_EXECUTE(RATE_HZ, TICK) ((TICK % (RATE_MAIN_LOOP / RATE_HZ)) == 0)

#endif
