"""Training algorithms, one self-contained file each."""
