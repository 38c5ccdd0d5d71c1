"""Single-cell files: the CellProfiler backend of a plate, and the tables of each site.

Belongs here: reading them by wells in bounded memory. Does not belong here: aggregating cells (``science.aggregate``).
"""
