"""Chaos: a whole cloud under load while its processes, its broker and its database are killed.

``python -m tests.services.chaos --help``; ``members`` is what runs and is killed, ``clients`` is who works with it and
notes what was promised, ``audit`` compares the promises with what is there afterwards.
"""
