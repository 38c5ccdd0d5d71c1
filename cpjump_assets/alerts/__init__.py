"""Alerts: what is wrong or well again, told once, by every channel.

Belongs here: events, incidents, messages, channels, and delivery that loses nothing. Does not belong here: where events
come from (``orchestration.alerting``), the command line's words.
"""
