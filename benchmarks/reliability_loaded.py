"""Imports what a refresh works with; the server that processes are forked from loads this once.

Belongs here: nothing but that. A refresh spends a fifth of its time importing, which is not what is disturbed.
"""

import importlib
import pkgutil

import cpjump_assets

_RUN_WHEN_IMPORTED = ("cpjump_assets.__main__", "cpjump_assets.definitions")

for _module in pkgutil.walk_packages(cpjump_assets.__path__, "cpjump_assets."):
    if _module.name not in _RUN_WHEN_IMPORTED:
        importlib.import_module(_module.name)
