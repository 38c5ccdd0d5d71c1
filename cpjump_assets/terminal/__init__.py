"""What the commands print: progress while they work, tables when they are done, within 80 columns.

Belongs here: rich output. Does not belong here: what the numbers are (``science``, ``gallery``), what may be asked for
(``commands``).
"""
