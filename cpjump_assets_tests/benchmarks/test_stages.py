import json

import pytest

from benchmarks import stages
from benchmarks.processes import Measured
from benchmarks.stages import PARTS, Stage, total
from cpjump_assets.science.plates import MAIN_PLATES
from cpjump_assets.simulate.config import Size

NAMES = [
    "aggregated_profiles",
    "annotated_profiles",
    "normalized_profiles",
    "normalized_profiles_whole_plate",
    "plate_selected_profiles",
    "feature_selection",
    "selected_profiles",
    "all",
]


def test_all_stages_run_on_a_simulated_gallery(monkeypatch, capsys):
    def in_this_process(work, *arguments, cores):
        assert cores == stages.CORES
        seconds, result = work(*arguments)
        return Measured(seconds, 100.0, result)

    monkeypatch.setattr(stages, "in_fresh_process", in_this_process)
    stages.main(["--json"], Size("tiny", n_features=60, plates=MAIN_PLATES[:2], levels=()))
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["name"] for row in rows] == NAMES
    assert all(set(row["parts"]) == set(PARTS) and row["processor_s"] >= 0 for row in rows)
    assert rows[-1]["wall_s"] == pytest.approx(sum(row["wall_s"] for row in rows[:-1]))


def test_the_total_is_the_sum_of_times_and_the_peak_of_memory():
    parts = [dict.fromkeys(PARTS, seconds) for seconds in (1.0, 2.0)]
    summed = total([Stage("a", 1.5, 2.5, parts[0], 400), Stage("b", 1.0, 1.0, parts[1], 300)])
    assert summed == Stage("all", 2.5, 3.5, dict.fromkeys(PARTS, 3.0), 400)
