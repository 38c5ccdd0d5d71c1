"""The guarded web UI of Dagster, and the Dagster home that every command shares.

Belongs here: that home (``home``), who may send what to the web server (``addresses``, ``guard``, ``sign_in``,
``read_only``), the server with the daemon beside it (``launcher``). Does not belong here: definitions (``build``), the
command line's words (``commands.ui``).

Dagster's own web server has no sign-in and executes a mutation from any web page that the same browser has open: a form
that posts to ``/graphql?query=...`` is enough. The guard lets through only what the UI itself sends.
"""

from cpjump_assets.web.addresses import HOST
from cpjump_assets.web.guard import guard
from cpjump_assets.web.home import instance_settings, open_instance, prepare_home
from cpjump_assets.web.launcher import DEFAULT_PORT, serve

__all__ = ["DEFAULT_PORT", "HOST", "guard", "instance_settings", "open_instance", "prepare_home", "serve"]
