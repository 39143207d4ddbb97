"""What touches real things: hypervisors, volume stores, the host's network. A real one is a subclass like the others."""
