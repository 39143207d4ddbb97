"""What touches real things. A real driver is a subclass like the simulated ones."""
