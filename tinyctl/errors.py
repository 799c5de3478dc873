"""What a user can do wrong.

    Exception
    └── TinyctlError        a mistake in a call or an input: one line that says what, where and what to do
        ├── FileError       a file that is missing, damaged, too large or not what it claims to be
        └── ToolMissing     a compiler or optional package that is not installed, and how to get it

The command line prints the line and exits with status 2; `--debug` shows the traceback as well.
"""

from __future__ import annotations


class TinyctlError(Exception):
    """A user's mistake: `what` went wrong, `where`, and what to do (`fix`), told in one line."""

    def __init__(self, what: str, *, where: object = None, fix: str | None = None) -> None:
        text = what if where is None else f"{where}: {what}"
        super().__init__(_one_line(text if fix is None else f"{text}; {fix}"))


class FileError(TinyctlError):
    """A file cannot be read, or is not what it claims to be."""


class ToolMissing(TinyctlError):
    """A compiler or optional package is not installed."""


def _one_line(text: str, limit: int = 400) -> str:
    """Fold line breaks and drop control characters: parts of `text` can come from a hostile file."""
    clean = "".join(c if c.isprintable() else " " for c in text)
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"
