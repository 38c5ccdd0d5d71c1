"""Commands of ``cpjump`` that take more than a few lines, one module for each.

Belongs here: options, their meaning in terms of the platform, and what is printed. Does not belong here: computing,
listing or pulling anything (``science``, ``gallery``); the group itself (``cli``).
"""
