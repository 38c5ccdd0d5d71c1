"""The demonstration: the whole sequence on a small gallery, and what it sums up."""

from pathlib import Path

import pytest

from cpjump_assets import demo
from cpjump_assets.orchestration import tables
from cpjump_assets.science.errors import StoreError
from cpjump_assets.science.plates import MAIN_PLATES
from cpjump_assets.science.strategies import REPRESENTATION, STRATEGIES
from cpjump_assets.simulate.config import Size
from cpjump_assets.storage.store import Store

# The four replicate plates of two conditions, so that most strong perturbations can be told from the controls.
PLATES = MAIN_PLATES[:4]


def test_the_demo_makes_everything_and_finds_what_was_planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The user's own instance must not learn of simulated data.
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "own"))
    stages: list[tuple[str, bool]] = []
    plan = demo.DemoPlan(folder=tmp_path / "demo", size=Size("tiny", n_features=60, plates=PLATES))
    outcome = demo.run(plan, on_stage=lambda title, success: stages.append((title, success)))

    store = Store(tmp_path / "demo" / "store")
    assert all(success for _, success in stages)
    assert stages[0][0] == "simulate a gallery of 4 plates x 60 features"
    assert set(outcome.subsets) == set(outcome.audits) == set(STRATEGIES)
    assert {len(manifest) for manifest in outcome.subsets.values()} == {12_729}
    assert all((audit.loc[audit["promised"], "verdict"] == "ok").all() for audit in outcome.audits.values())
    share = outcome.recovery.set_index("planted")["share"]
    assert share["strong"] > 0.9
    assert share["inactive"] < 0.05
    # Of compounds alone there is neither a guide nor a pair of modalities; what can be scored is.
    assert set(outcome.scores["task"]) == {"detection", "sister_compounds"}
    assert (outcome.percents.loc[outcome.percents["wells"] == "all", "percent"] > 30).all()
    assert outcome.directions["odds_ratio"].isna().all()
    assert outcome.directions["note"].notna().all()
    # Compounds do not train under the representation split: nothing is fitted there, and the refresh goes on.
    selected = {strategy for strategy in STRATEGIES if store.exists(tables.TRAIN_SELECTED_PROFILES.key(strategy))}
    sphered = {strategy for strategy in STRATEGIES if store.exists(tables.TRAIN_SPHERIZED_PROFILES.key(strategy))}
    assert selected == sphered == set(STRATEGIES) - {REPRESENTATION}
    assert outcome.peak_bytes > 100e6
    assert (tmp_path / "demo" / "store" / "dagster_home" / "dagster.yaml").is_file()
    assert not (tmp_path / "own").exists()
    with demo.served(tmp_path / "demo") as settings:
        assert settings.store == tmp_path / "demo" / "store"
        assert Path(settings.reference).is_dir()


def test_a_folder_without_a_demo_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="run `cpjump demo --folder"), demo.served(tmp_path / "empty"):
        pass
