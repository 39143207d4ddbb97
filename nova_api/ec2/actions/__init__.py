"""The actions of CloudController, one resource per module; each has its rows of the action table."""
