"""What importers share: readers of file formats, and the growing network."""
