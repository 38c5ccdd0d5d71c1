"""Alerts from Dagster's records: what failed, what is overdue, and what is well again.

Belongs here: reading checks, runs, freshness and ticks from the instance, the sensor that tells them, and the place in
the instance where the state of alerts is kept. Does not belong here: incidents, messages and channels (``alerts``).
"""
