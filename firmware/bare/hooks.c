/* What a board without sensors, actuators and link does about them. A definition elsewhere takes the place of each. */
#include "firmware.h"

__attribute__((weak)) void tinyctl_sensors_read(float *observation)
{
    (void)observation;
}

__attribute__((weak)) void tinyctl_actuators_apply(const float *action)
{
    (void)action;
}

__attribute__((weak)) void tinyctl_actuators_stop(void)
{
}

__attribute__((weak)) void tinyctl_report_fault(void)
{
}

__attribute__((weak)) void tinyctl_usart_received(void)
{
    tinyctl_fault(); /* nothing enabled it */
}
