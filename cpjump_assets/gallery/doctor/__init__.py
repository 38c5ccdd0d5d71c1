"""Looking a set-up over before anything is pulled: what will be used, what is missing, what to do.

Belongs here: examinations of the gallery, the reference root and the store that are configured, each ending in
findings. Does not belong here: how findings look (``terminal.doctor``), curing anything: a doctor only looks.
"""
