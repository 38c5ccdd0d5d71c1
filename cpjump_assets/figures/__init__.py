"""Figures: tables in, a matplotlib figure out, which ``canvas`` turns into PNG or SVG.

Belongs here: drawing. Does not belong here: computing what is drawn (``science``), placing it in the UI or in a file
(``orchestration``).
"""
