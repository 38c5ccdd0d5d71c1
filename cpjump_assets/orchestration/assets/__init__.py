"""The assets, one module for each group.

Belongs here: functions that load, call science, store and describe. Does not belong here: rules, scores, plots.
"""
