"""A loopback S3 server over a folder, with faults that can be switched on.

Belongs here: the S3 protocol, read-only and anonymous, and what may go wrong with it. Does not belong here: what the
folder holds (the other modules of ``simulate``).
"""
