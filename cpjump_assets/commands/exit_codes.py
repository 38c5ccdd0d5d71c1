"""How commands end.

Belongs here: the numbers that a shell sees. Does not belong here: when a command ends with which (the commands).
"""

FOUND = 1
"""The command found what it looks for: wells that cross, a failed refresh, objects that could not be pulled."""
FAILED = 2
"""The command could not be carried out; one line says why."""
INTERRUPTED = 130
"""Somebody pressed Ctrl-C."""
