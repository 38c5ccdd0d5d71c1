"""Published scores, typed by us as facts: a row is a figure, its value, its source and the run that gave it.

Belongs here: small CSV tables of numbers that the authors printed, and their reading (``tables``). Does not belong
here: scores of ours, or data of the authors beyond what a citation would hold.
"""
