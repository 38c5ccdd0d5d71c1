"""A Dagster data platform for CPJUMP1, the JUMP Cell Painting pilot.

Data flows one way: ``science`` <- ``storage`` <- ``gallery`` <- ``simulate`` <- ``figures`` <- ``orchestration`` <-
``build`` <- ``definitions``, ``web``, ``cli``. This file stays free of imports, so that ``import
cpjump_assets.science`` loads neither Dagster nor boto3.
"""
