"""``python -m cpjump_assets`` is the command line."""

from cpjump_assets.cli import main

main(prog_name="cpjump")
