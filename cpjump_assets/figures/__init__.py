"""Figures: tables in, PNG out.

Belongs here: drawing. Does not belong here: computing what is drawn (``science``), placing it in the UI
(``orchestration``).
"""
