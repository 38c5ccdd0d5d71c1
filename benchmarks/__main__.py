"""``python -m benchmarks`` runs every comparison and every measurement, one after the other, on one thread."""

import os
import subprocess
import sys

COMPARISONS = tuple(
    f"benchmarks.{name}"
    for name in (
        "profiles",
        "stored_layout",
        "stages",
        "retrieval",
        "p_values",
        "scaling",
        "all_pairs",
        "pull",
        "scale_out",
    )
)


def main() -> None:
    """Run each comparison in a process of its own, so that none inherits another's memory or caches."""
    for module in COMPARISONS:
        print(f"# {module}", flush=True)
        subprocess.run(
            [sys.executable, "-m", module, *sys.argv[1:]], env=os.environ | {"OMP_NUM_THREADS": "1"}, check=True
        )


if __name__ == "__main__":
    main()
