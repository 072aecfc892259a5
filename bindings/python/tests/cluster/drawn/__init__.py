"""Random tables and random writes to them, for clients that are to agree."""
