"""Ours against the peers, on the same arrays, in one run.

Belongs here: scripts that print ours, the peer, the ratio, and whether the results agree. Does not belong here: tests.
"""
