"""Pure functions over numpy arrays and pandas frames: what every number of the platform means.

Belongs here: rules, scores and their exceptions. Does not belong here: Dagster, S3, files, network, environment.
"""
