"""``cpjump prune``: forget old runs.

Belongs here: options. Does not belong here: which runs must stay and how others are deleted
(``orchestration.pruning``), how it looks (``terminal.prune``).
"""

import click

from cpjump_assets.settings import Settings


@click.command()
@click.option(
    "--keep-days",
    type=click.IntRange(min=0),
    help="Days for which runs are kept; 0 deletes all that can go. Default: CPJUMP_KEEP_DAYS.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be deleted, and delete nothing.")
def prune(keep_days: int | None, dry_run: bool) -> None:
    """Delete old runs with their events, and what killed processes left in the store.

    However old, a run stays by which the state of an asset or check is told: the one that holds the latest
    materialization or observation of a partition, what that was made from, or the latest evaluation of a check. So
    nothing looks as if it was never made, and nothing becomes stale.

    \b
    Examples:
      cpjump prune --dry-run
      cpjump prune --keep-days 30
    """
    from cpjump_assets.build import build_defs
    from cpjump_assets.orchestration import pruning
    from cpjump_assets.orchestration.resources import Platform
    from cpjump_assets.terminal.prune import pruned, would_be_pruned
    from cpjump_assets.web import open_instance

    settings = Settings.from_environment()
    days = settings.keep_days if keep_days is None else keep_days
    checks = build_defs(settings).resolve_asset_graph().asset_check_keys
    with open_instance(settings) as instance:
        if dry_run:
            would_be_pruned(pruning.find_old_runs(instance, checks, before=pruning.days_ago(days)), days=days)
            return
        report = pruning.prune(instance, checks, before=pruning.days_ago(days))
    pruned(report, swept=pruning.sweep(Platform.from_settings(settings)), days=days)
