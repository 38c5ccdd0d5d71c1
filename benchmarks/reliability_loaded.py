"""Imports what a refresh works with; the server that processes are forked from loads this once.

Belongs here: nothing but that. A refresh spends a fifth of its time importing, which is not what is disturbed.
"""

import gc
import importlib
import pkgutil

import cpjump_assets

_IMPORTED_LATE = ("boto3.session", "matplotlib.pyplot", "rich.status", "s3transfer.manager", "scipy.stats", "upath")
"""What libraries and our own functions import when they first need it."""
_RUN_WHEN_IMPORTED = ("cpjump_assets.__main__", "cpjump_assets.definitions")

for _module in pkgutil.walk_packages(cpjump_assets.__path__, "cpjump_assets."):
    if _module.name not in _RUN_WHEN_IMPORTED:
        importlib.import_module(_module.name)
for _name in _IMPORTED_LATE:
    importlib.import_module(_name)
gc.freeze()  # nor does it look through all of that for garbage
