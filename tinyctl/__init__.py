"""Tiny learned controllers, from a laptop to a microcontroller."""
