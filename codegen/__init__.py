"""Jinja templates and hand-written C. No Python logic."""
