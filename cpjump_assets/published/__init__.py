"""Published scores, typed by us as facts: a row is a figure, its value, its source and the run that gave it.

Belongs here: one small CSV table of numbers that the authors printed, and its reading (``tables``). Does not belong
here: scores of ours, or data of the authors beyond what a citation would hold.
"""
