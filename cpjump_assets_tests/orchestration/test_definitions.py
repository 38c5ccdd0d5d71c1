"""The definitions: complete, described, cheap to load, and built from nothing but settings."""

import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from cpjump_assets.build import build_defs
from cpjump_assets.orchestration.refresh import refresh_plan
from cpjump_assets.science.leakage import AUDIT_RULES
from cpjump_assets.settings import Settings
from cpjump_assets.web import instance_settings, open_instance

SINGLE_CELLS = {"cell_median_profiles", "cell_mean_profiles"}
"""A default refresh leaves them out: a real plate has 23 GB of cells."""

ASSETS = {
    "sources": {"reference_tables", "gallery_profiles", "gallery_cells", "gallery_images"},
    "metadata": {"experiment_metadata", "perturbations", "wells", "known_issues"},
    "splits": {"split_manifest", "leakage_audit"},
    "profiles": {
        "aggregated_profiles",
        "annotated_profiles",
        "normalized_profiles",
        "normalized_profiles_whole_plate",
        "plate_selected_profiles",
        "well_quality",
        "feature_selection",
        "selected_profiles",
        "spherized_profiles",
        "profile_reproduction",
        *SINGLE_CELLS,
        "train_fit_wells",
        "train_feature_selection",
        "train_selected_profiles",
        "train_spherized_profiles",
        "plate_quality",
    },
    "images": {"image_index", "images", "image_quality", "montages"},
    "benchmark": {
        "overall_classes",
        "overall_scores",
        "benchmark_classes",
        "benchmark_scores",
        "overall_percent_scores",
        "benchmark_percent_scores",
        "overall_directionality",
        "overall_directional_pairs",
        "benchmark_directionality",
        "published_comparison",
        "benchmark_figures",
    },
}


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    return build_defs(Settings())


def test_all_assets_of_the_design_are_there_in_their_groups(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    found: dict[str, set[str]] = {}
    for node in graph.asset_nodes:
        found.setdefault(node.group_name, set()).add(node.key.to_user_string())
    assert found == ASSETS


def test_every_asset_says_what_a_row_is_and_who_owns_it(definitions: dg.Definitions) -> None:
    for node in definitions.resolve_asset_graph().asset_nodes:
        first_line = (node.description or "").splitlines()[0]
        assert first_line.startswith(("A row is ", "A partition is ")), node.key
        assert len(first_line) < 120, node.key
        assert node.kinds, node.key
        if node.is_materializable:
            assert node.owners == ["team:cpjump"], node.key
            assert node.code_version, node.key


def _ancestors(definitions: dg.Definitions, asset: str) -> set[str]:
    graph = definitions.resolve_asset_graph()
    names: set[str] = set()
    ahead = [dg.AssetKey(asset)]
    while ahead:
        key = ahead.pop()
        names.add(key.to_user_string())
        ahead.extend(graph.get(key).parent_keys)
    return names


@pytest.mark.parametrize(
    ("asset", "between"),
    [
        ("benchmark_scores", {"split_manifest", "selected_profiles", "perturbations"}),
        ("benchmark_percent_scores", {"split_manifest", "plate_selected_profiles"}),
        ("benchmark_directionality", {"split_manifest", "selected_profiles", "perturbations"}),
        ("benchmark_figures", {"overall_classes", "overall_percent_scores", "overall_directional_pairs"}),
        ("published_comparison", {"overall_scores", "overall_percent_scores", "overall_directionality"}),
    ],
)
def test_lineage_reaches_from_the_scores_back_to_the_gallery(
    definitions: dg.Definitions, asset: str, between: set[str]
) -> None:
    found = _ancestors(definitions, asset)
    assert {"gallery_profiles", "reference_tables", "wells", "normalized_profiles"} | between <= found


def test_every_asset_but_those_that_pull_much_is_made_by_one_job_of_the_refresh(definitions: dg.Definitions) -> None:
    made: list[str] = []
    for job in {run.job for run in refresh_plan(["2020_11_04_CPJUMP1.BR00116991"])}:
        layer = definitions.resolve_job_def(job).asset_layer
        made += [key.to_user_string() for key in layer.executable_asset_keys]
    left_out = ASSETS["sources"] | ASSETS["images"] | SINGLE_CELLS
    assert sorted(made) == sorted(set().union(*ASSETS.values()) - left_out)


def test_the_images_have_a_job_of_their_own(definitions: dg.Definitions) -> None:
    layer = definitions.resolve_job_def("plate_images").asset_layer
    assert {key.to_user_string() for key in layer.executable_asset_keys} == ASSETS["images"]


def test_every_table_of_metadata_splits_images_and_benchmark_has_a_schema_check(definitions: dg.Definitions) -> None:
    checked = {
        key.asset_key.to_user_string()
        for key in definitions.resolve_asset_graph().asset_check_keys
        if key.name.endswith("_schema")
    }
    assert checked == ASSETS["metadata"] | ASSETS["splits"] | ASSETS["images"] | ASSETS["benchmark"] | {
        "feature_selection",
        "train_fit_wells",
        "train_feature_selection",
        "well_quality",
        "plate_quality",
    }


def test_partitions_are_the_107_plates_and_the_three_strategies(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    plates = graph.get(dg.AssetKey("aggregated_profiles")).partitions_def.get_partition_keys()
    assert len(plates) == 107
    assert plates[0] == "2020_11_04_CPJUMP1.BR00116991"
    strategies = graph.get(dg.AssetKey("split_manifest")).partitions_def.get_partition_keys()
    assert strategies == [
        "cpjump1_official_representation",
        "cpjump1_official_gene_compound",
        "cellclip_cpjump_style",
    ]


def test_another_strategy_is_refused(definitions: dg.Definitions) -> None:
    job = definitions.resolve_job_def("strategy")
    with dg.DagsterInstance.ephemeral() as instance, pytest.raises(dg.DagsterUnknownPartitionError):
        job.execute_in_process(instance=instance, partition_key="random_split")


def test_checks_that_guard_a_promise_block(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    of_manifest = [key for key in graph.asset_check_keys if key.asset_key == dg.AssetKey("split_manifest")]
    blocking = {key.name for key in of_manifest if graph.get_check_spec(key).blocking}
    assert {
        "promise_well",
        "promise_broad_sample",
        "promise_broad_sample_in_slice",
        "promise_target",
        "promise_guide_pair",
        "promise_one_name_one_target",
        "manifest_keys_unique",
        "every_eligible_well_accounted_for",
        "split_manifest_schema",
    } <= blocking
    assert len(of_manifest) < 50, "the web UI is made for fewer checks of one asset"


def _loaded_after(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_science_loads_neither_dagster_nor_boto3() -> None:
    folder = Path(__file__).parents[2] / "cpjump_assets" / "science"
    paths = [path.relative_to(folder).with_suffix("") for path in folder.rglob("*.py") if path.stem != "__init__"]
    modules = [".".join(("cpjump_assets", "science", *path.parts)) for path in paths]
    assert len(modules) > 40
    loaded = _loaded_after(f"import cpjump_assets.science, {', '.join(modules)}")
    assert not loaded & {"dagster", "boto3", "botocore", "urllib3", "matplotlib"}


def test_definitions_load_without_the_heavy_libraries() -> None:
    loaded = _loaded_after("import cpjump_assets.definitions")
    assert not loaded & {"boto3", "matplotlib", "scipy.stats", "uvicorn"}


def test_the_instance_of_the_project_sends_nothing_home(tmp_path: Path) -> None:
    assert instance_settings(Settings()).name == "dagster.yaml"
    with open_instance(Settings(store=tmp_path)) as instance:
        assert not instance.telemetry_enabled
        assert not instance.nux_enabled
        assert (tmp_path / "dagster_home" / "dagster.yaml").is_file()


def test_the_schedule_waits_to_be_turned_on(definitions: dg.Definitions) -> None:
    schedule = definitions.resolve_schedule_def("refresh_schedule")
    assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED
    assert (schedule.cron_schedule, schedule.job_name) == ("0 3 * * 1", "refresh")


def test_the_readme_names_every_asset_and_setting() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    names = set().union(*ASSETS.values()) | set(Settings().to_environment())
    assert {name for name in names if f"`{name}`" not in readme} == set()


def test_the_readme_names_every_check_but_those_of_a_rule_or_schema(definitions: dg.Definitions) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    checks = {check.name for check in definitions.resolve_asset_graph().asset_check_keys}
    families = {name for name in checks if name.endswith("_schema") or name.startswith("promise_")}
    families |= {rule.name for rule in AUDIT_RULES}
    assert {name for name in checks - families if f"`{name}`" not in readme} == set()
