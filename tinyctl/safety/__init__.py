"""What watches a controller on board: the guard, how it is made and what it is tried with (docs/guard.md)."""
