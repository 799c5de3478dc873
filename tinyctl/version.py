"""The version, in one place for the package, the header of emitted files and the reports."""

VERSION = "0.1.0"
