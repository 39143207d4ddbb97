"""What the doors call: each service decides, writes one transaction and sends its messages with it."""
