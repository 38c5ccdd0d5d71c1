"""The tables and files that the platform writes: one small store with atomic writes.

Belongs here: where a table lies, how it is written and read back whole. Does not belong here: what a table means
(``science``), what is pulled (``gallery``), when it is made (``orchestration``).
"""
