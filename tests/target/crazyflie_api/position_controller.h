#ifndef POSITION_CONTROLLER_H
#define POSITION_CONTROLLER_H

void positionControllerResetAllPID(float xActual, float yActual, float zActual);
void positionControllerResetAllfilters();

#endif
