"""Boards, one TOML each."""
