"""Asset checks: what every stored table must be, and what each strategy promises.

Belongs here: reading a stored table again and turning findings into check results. Does not belong here: the rules
themselves (``science``).
"""

from collections.abc import Callable
from typing import Any

from cpjump_assets.orchestration.checks import (
    fitted,
    image_files,
    images,
    manifests,
    montages,
    profiles,
    quality,
    reports,
    reproduction,
    schemas,
)

all_checks: list[Callable[..., Any]] = [
    *schemas.checks,
    *manifests.checks,
    *profiles.checks,
    *quality.checks,
    *images.checks,
    *image_files.checks,
    *montages.checks,
    *fitted.checks,
    *reproduction.checks,
    *reports.checks,
]
