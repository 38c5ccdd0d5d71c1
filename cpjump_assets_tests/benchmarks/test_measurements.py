import io

import numpy as np
import pytest
from PIL import Image

from benchmarks.p_values import z_scores
from benchmarks.peers import NULL_SIZE
from benchmarks.processes import in_fresh_process, median_run
from benchmarks.scaling import Row, plot


def allocate(megabytes):
    values = np.ones(megabytes * 2**17)
    return 1.5, float(values.sum())


def test_a_fresh_process_knows_its_own_peak_memory_alone():
    here = np.ones(600 * 2**17)  # 600 MB in this process must not show in the other
    small, large = in_fresh_process(allocate, 10), in_fresh_process(allocate, 300)
    assert here.size and small.megabytes < 400
    assert large.megabytes - small.megabytes == pytest.approx(290, abs=30)
    assert small.seconds == 1.5 and small.result == 10 * 2**17


def test_every_run_is_made_and_the_last_result_is_given():
    runs = iter(range(5))
    seconds, result = median_run(lambda: next(runs), 5)
    assert result == 4 and seconds >= 0


def test_counts_of_random_lists_are_standard_normal_where_p_is_right():
    probability = np.geomspace(1e-4, 0.5, 4_000)
    counts = np.random.default_rng(0).binomial(NULL_SIZE, probability)
    p = (1 + NULL_SIZE * probability) / (1 + NULL_SIZE)
    z = z_scores(counts, p)
    assert z.std() == pytest.approx(1, abs=0.04) and abs(z.mean()) < 0.06
    assert np.abs(z_scores(counts, 1.1 * p)).max() > 10


def test_the_plot_of_scaling_is_a_picture():
    rows = [
        Row(f"{wells} {precision}", wells, precision, wells / 1e5, 300, 100, 1.0)
        for precision in ("float64", "float32")
        for wells in (15_000, 30_000)
    ]
    assert Image.open(io.BytesIO(plot(rows))).size[0] > 300
