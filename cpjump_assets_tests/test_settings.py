"""Settings: defaults, parsing, one clear line for a bad value, and what they leave alone."""

from pathlib import Path

import pytest

from cpjump_assets.science.errors import SettingsError
from cpjump_assets.settings import Settings


def test_nothing_set_is_the_public_gallery_and_a_local_store() -> None:
    settings = Settings.from_environment({})
    assert settings == Settings()
    assert settings.gallery == "s3://cellpainting-gallery/cpg0000-jump-pilot/source_4"
    assert settings.s3_endpoint is None
    assert settings.reference.startswith("https://")


def test_every_setting_survives_the_way_to_a_child_process() -> None:
    settings = Settings(
        gallery="s3://mirror/root",
        s3_endpoint="http://127.0.0.1:9000",
        reference="/somewhere/reference",
        store=Path("/somewhere/store"),
        connections=3,
        plates_per_run=17,
        dask_scheduler="tcp://127.0.0.1:8786",
        refresh_cron="1 2 3 4 5",
        observe_cron="2 2 3 4 5",
        verify_cron="3 2 3 4 5",
        keep_days=30,
        fresh_days=2,
        alert_urls=("mailto://user:geheim@mail.example?to=a@b.example,c@d.example", "json://127.0.0.1:8000/"),
        alert_on="error",
        ui_url="https://cpjump.example",
        ui_token="sixteen-or-more-letters",
        postgres_url="postgresql://user:geheim@127.0.0.1:5432/cpjump",
        exclude=("seeding_failure", "stain_anomaly"),
        preset="paper_2021",
        home=Path("/somewhere/home"),
    )
    assert Settings.from_environment(settings.to_environment()) == settings
    assert Settings.from_environment(Settings().to_environment()) == Settings()


def test_a_store_in_s3_works_in_a_folder_of_this_machine() -> None:
    settings = Settings.from_environment({"CPJUMP_STORE": "s3://lab/cpjump/", "CPJUMP_WORK": "/scratch"})
    assert (settings.store_url, settings.folder) == ("s3://lab/cpjump", Path("/scratch"))
    assert settings.gallery_folder == Path("/scratch/gallery")
    assert settings.dagster_home == Path("/scratch/dagster_home")
    assert Settings.from_environment(settings.to_environment()) == settings
    assert Settings(store=Path("/store"), work=Path("/scratch")).folder == Path("/store")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CPJUMP_ALERT_URLS", "geheim@mail.example"),
        ("CPJUMP_UI_TOKEN", "geheim"),
        ("CPJUMP_POSTGRES_URL", "mysql://user:geheim@127.0.0.1/x"),
        ("CPJUMP_POSTGRES_URL", "postgres://user:geheim@127.0.0.1/x"),
        ("CPJUMP_STORE", "https://user:geheim@bucket.example"),
    ],
)
def test_a_bad_secret_is_refused_without_repeating_it(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name) as error:
        Settings.from_environment({name: value})
    assert "geheim" not in str(error.value)


def test_secrets_are_not_shown_with_the_settings() -> None:
    secret = Settings(
        alert_urls=("json://geheim",), ui_token="geheim", postgres_url="postgresql://u:geheim@127.0.0.1/x"
    )
    assert "geheim" not in repr(secret)


def test_another_preset_has_tables_and_a_history_of_its_own_and_shares_what_was_pulled() -> None:
    default, other = Settings(store=Path("/store")), Settings(store=Path("/store"), preset="paper_2021")
    assert (default.tables_folder, default.dagster_home) == (Path("/store"), Path("/store/dagster_home"))
    assert other.tables_folder == Path("/store/presets/paper_2021")
    assert other.dagster_home == Path("/store/presets/paper_2021/dagster_home")
    assert default.gallery_folder == other.gallery_folder == Path("/store/gallery")


def test_a_chosen_dagster_home_does_not_mix_the_histories_of_two_presets() -> None:
    environment = {"CPJUMP_PRESET": "paper_2021", "DAGSTER_HOME": "/home"}
    other = Settings.from_environment(environment)
    assert Settings.from_environment({"DAGSTER_HOME": "/home"}).dagster_home == Path("/home")
    assert other.dagster_home == Path("/home/presets/paper_2021")
    child = Settings.from_environment({**environment, "DAGSTER_HOME": str(other.dagster_home)})  # as ``export`` does
    assert child.dagster_home == other.dagster_home


def test_an_unknown_preset_is_refused_with_the_known_ones() -> None:
    with pytest.raises(SettingsError, match="CPJUMP_PRESET must be one of paper_2024, paper_2021, found 'paper_1999'"):
        Settings.from_environment({"CPJUMP_PRESET": "paper_1999"})


def test_an_empty_value_counts_as_unset_and_foreign_variables_are_left_alone() -> None:
    assert Settings.from_environment({"CPJUMP_CONNECTIONS": " ", "AWS_ENDPOINT_URL": "http://x"}) == Settings()


@pytest.mark.parametrize(
    ("value", "exclude"),
    [
        ("", ()),
        ("stain_anomaly", ("stain_anomaly",)),
        (" stain_anomaly , seeding_failure,stain_anomaly,", ("seeding_failure", "stain_anomaly")),
    ],
)
def test_known_issues_to_exclude_are_named_in_any_order(value: str, exclude: tuple[str, ...]) -> None:
    assert Settings.from_environment({"CPJUMP_EXCLUDE": value}).exclude == exclude


@pytest.mark.parametrize(
    ("text", "amount"),
    [("500MB", 500_000_000), ("1.5 gb", 1_500_000_000), ("2TB", 2_000_000_000_000), ("12", 12), ("3B", 3), ("0", 0)],
)
def test_a_budget_is_an_amount_of_data(text: str, amount: int) -> None:
    settings = Settings.from_environment({"CPJUMP_PULL_BUDGET": text})
    assert settings.pull_budget == amount
    assert Settings.from_environment(settings.to_environment()) == settings


@pytest.mark.parametrize("name", ["CPJUMP_S3_ENDPOINT", "CPJUMP_REFERENCE"])
def test_an_address_with_a_password_is_refused_without_repeating_it(name: str) -> None:
    with pytest.raises(SettingsError, match=f"{name} must be an address without user name") as error:
        Settings.from_environment({name: "https://user:geheim@mirror.example/root"})
    assert "geheim" not in str(error.value)


@pytest.mark.parametrize("name", ["CPJUMP_GALLERY", "CPJUMP_S3_ENDPOINT", "CPJUMP_REFERENCE"])
@pytest.mark.parametrize("secret", ["?token=geheim", "#geheim"])
def test_an_address_with_a_query_is_refused_without_repeating_it(name: str, secret: str) -> None:
    scheme = "s3" if name == "CPJUMP_GALLERY" else "https"
    with pytest.raises(SettingsError, match=f"{name} must be an address without user name") as error:
        Settings.from_environment({name: f"{scheme}://mirror/root{secret}"})
    assert "geheim" not in str(error.value)


def test_an_address_that_cannot_be_read_is_one_line_and_a_folder_may_be_called_anything() -> None:
    with pytest.raises(SettingsError, match="CPJUMP_S3_ENDPOINT must be an address, found one that cannot be read"):
        Settings.from_environment({"CPJUMP_S3_ENDPOINT": "http://[::1"})
    assert Settings.from_environment({"CPJUMP_REFERENCE": "/data/a#b?c"}).reference == "/data/a#b?c"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CPJUMP_GALLERY", "https://cellpainting-gallery"),
        ("CPJUMP_GALLERY", "s3://"),
        ("CPJUMP_GALLERY", "s3://Bad_Bucket!/root"),
        ("CPJUMP_S3_ENDPOINT", "http://127.0.0.1:99999"),
        ("CPJUMP_S3_ENDPOINT", "127.0.0.1:9000"),
        ("CPJUMP_REFERENCE", "ftp://somewhere"),
        ("CPJUMP_STORE", "https://bucket/prefix"),
        ("CPJUMP_WORK", "s3://bucket/prefix"),
        ("CPJUMP_DASK_SCHEDULER", "127.0.0.1:8786"),
        ("CPJUMP_ALERT_ON", "everything"),
        ("CPJUMP_KEEP_DAYS", "0"),
        ("CPJUMP_CONNECTIONS", "many"),
        ("CPJUMP_CONNECTIONS", "0"),
        ("CPJUMP_PLATES_PER_RUN", "-1"),
        ("CPJUMP_PULL_BUDGET", "50 gigs"),
        ("CPJUMP_PULL_BUDGET", "-1GB"),
        ("CPJUMP_REFRESH_CRON", "weekly"),
        ("CPJUMP_EXCLUDE", "seeding"),
        ("CPJUMP_EXCLUDE", "seeding_failure stain_anomaly"),
        ("DAGSTER_HOME", "relative/home"),
    ],
)
def test_a_bad_value_is_one_line_that_names_the_variable_and_the_value(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as error:
        Settings.from_environment({name: value})
    message = str(error.value)
    assert message.startswith(name)
    assert repr(value) in message
    assert "\n" not in message
