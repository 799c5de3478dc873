"""Signal temporal logic: what a flight shall do, how far it is from failing that, and a monitor of it in C."""
