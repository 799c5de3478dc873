#ifndef ATTITUDE_CONTROLLER_H
#define ATTITUDE_CONTROLLER_H

void attitudeControllerResetAllPID(float rollActual, float pitchActual, float yawActual);

#endif
