"""Runs on Kubernetes: the Helm values, and what dagster-k8s makes of them when a run is launched.

No cluster is there. The launcher is the real one; it talks to a server on loopback that answers like the API of
Kubernetes, checks each job by Kubernetes' own schema, and the worker's command is then executed as the pod would.
"""

import copy
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import dagster as dg
import jsonschema
import kubernetes_validate
import pytest
import yaml
from dagster._core.definitions.reconstruct import ReconstructableRepository
from dagster._core.launcher import LaunchRunContext

from cpjump_assets.build import build_defs
from cpjump_assets_tests.orchestration.lab import LAB_KEYS, Lab
from cpjump_assets_tests.processes import environment_of

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "kubernetes"
IMAGE = "registry.example.org/cpjump-assets:0.1.0"


@pytest.fixture(scope="module")
def values() -> dict[str, Any]:
    return yaml.safe_load((FOLDER / "values.yaml").read_text())


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return json.loads((FOLDER / "values.schema.json").read_text())


def test_the_values_keep_to_the_names_and_types_of_the_chart(values: dict[str, Any], schema: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(values, schema)
    misspelt = copy.deepcopy(values)
    misspelt["runLauncher"]["config"]["k8sRunLauncher"]["envConfigmaps"] = []
    with pytest.raises(jsonschema.ValidationError, match="envConfigmaps"):
        jsonschema.validate(misspelt, schema)


def _pod_of_the_code_server(values: dict[str, Any]) -> dict[str, Any]:
    """Put the parts of a deployment where the chart puts them."""
    (server,) = values["dagster-user-deployments"]["deployments"]
    container = {
        "name": server["name"],
        "image": f"{server['image']['repository']}:{server['image']['tag']}",
        "imagePullPolicy": server["image"]["pullPolicy"],
        "args": ["dagster", "api", "grpc", *server["dagsterApiGrpcArgs"]],
        "env": server["env"],
        "envFrom": [
            *({"configMapRef": source} for source in server["envConfigMaps"]),
            *({"secretRef": source} for source in server["envSecrets"]),
        ],
        **{name: server[name] for name in ("volumeMounts", "securityContext", "resources")},
    }
    specification = {
        "containers": [container],
        "volumes": server["volumes"],
        "securityContext": server["podSecurityContext"],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": server["name"]}, "spec": specification}


def test_the_pod_of_the_code_server_keeps_to_the_schema_of_kubernetes(values: dict[str, Any]) -> None:
    pod = _pod_of_the_code_server(values)
    kubernetes_validate.validate(pod, kubernetes_validate.latest_version(), strict=True)
    pod["spec"]["containers"][0]["volumeMounts"][0]["mountpath"] = "/elsewhere"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(pod, kubernetes_validate.latest_version(), strict=True)


def test_the_writable_web_server_of_the_chart_is_kept_from_other_pods(values: dict[str, Any]) -> None:
    """`enableReadOnly` adds a second server; the first one, `component: dagster-webserver`, stays writable."""
    policy = yaml.safe_load((FOLDER / "network-policy.yaml").read_text())
    kubernetes_validate.validate(policy, kubernetes_validate.latest_version(), strict=True)
    assert policy["spec"] == {
        "podSelector": {"matchLabels": {"app.kubernetes.io/instance": "cpjump", "component": "dagster-webserver"}},
        "policyTypes": ["Ingress"],
        "ingress": [],
    }
    assert values["dagsterWebserver"]["enableReadOnly"] is True
    assert values["ingress"]["enabled"] is False


def test_the_settings_of_the_example_can_be_used() -> None:
    from cpjump_assets.settings import Settings, given_variables

    lines = (FOLDER / "settings.example.env").read_text().splitlines()
    example = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    assert given_variables(example).keys() == example.keys()
    assert Settings.from_environment(example).store_url == "s3://lab-bucket/cpjump"


def _launcher_config(values: dict[str, Any], kubeconfig: Path) -> dict[str, Any]:
    """Write the launcher's configuration as the chart writes it, for a launcher outside of the cluster."""
    given = values["runLauncher"]["config"]["k8sRunLauncher"]
    run = given["runK8sConfig"]
    return {
        "load_incluster_config": False,
        "kubeconfig_file": str(kubeconfig),
        "job_namespace": "cpjump",
        "service_account_name": "cpjump-dagster",
        "dagster_home": "/opt/dagster/dagster_home",
        "instance_config_map": "cpjump-dagster-instance",
        "postgres_password_secret": "dagster-postgresql-secret",
        "job_image": IMAGE,
        "image_pull_policy": given["imagePullPolicy"],
        "env_config_maps": [source["name"] for source in given["envConfigMaps"]],
        "env_secrets": [source["name"] for source in given["envSecrets"]],
        "env_vars": given["envVars"],
        "volumes": given["volumes"],
        "volume_mounts": given["volumeMounts"],
        "labels": given["labels"],
        "fail_pod_on_run_failure": given["failPodOnRunFailure"],
        "resources": given["resources"],
        "security_context": given["securityContext"],
        "run_k8s_config": {
            "pod_spec_config": run["podSpecConfig"],
            "job_spec_config": run["jobSpecConfig"],
        },
    }


@contextmanager
def _kubernetes() -> Iterator[tuple[str, list[tuple[str, dict[str, Any]]]]]:
    """Serve the one call of the API that launches a job; give the address and what was asked for."""
    asked: list[tuple[str, dict[str, Any]]] = []

    class Api(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            asked.append((self.path, body))
            answer = json.dumps(body).encode()
            self.send_response(201)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


def _kubeconfig(folder: Path, address: str) -> Path:
    path = folder / "kubeconfig"
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "nobody"}}],
        "clusters": [{"name": "here", "cluster": {"server": address}}],
        "users": [{"name": "nobody", "user": {}}],
    }
    path.write_text(yaml.safe_dump(content))
    return path


def _launch_plates(instance: dg.DagsterInstance, lab: Lab, first: str, last: str) -> str:
    """Launch a run over a range of plates as the daemon does; give its identifier."""
    repository = ReconstructableRepository.for_module("cpjump_assets.definitions", "defs", container_image=IMAGE)
    job = build_defs(lab.settings).resolve_job_def("profiles")
    run = instance.create_run_for_job(
        job,
        tags={"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last},
        job_code_origin=repository.get_reconstructable_job("profiles").get_python_origin(),
        asset_selection=frozenset({dg.AssetKey("annotated_profiles")}),
    )
    instance.run_launcher.launch_run(LaunchRunContext(dagster_run=run, workspace=None))
    return run.run_id


def test_each_launched_run_is_a_job_of_kubernetes_and_its_command_makes_the_plates(
    lab: Lab, values: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = environment_of(lab.settings)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)  # the definitions of the launching process
    home = Path(environment["DAGSTER_HOME"])
    plain = yaml.safe_load((home / "dagster.yaml").read_text())
    with _kubernetes() as (address, asked):
        config = _launcher_config(values, _kubeconfig(tmp_path, address))
        launcher = {"module": "dagster_k8s", "class": "K8sRunLauncher", "config": config}
        (home / "dagster.yaml").write_text(yaml.safe_dump({**plain, "run_launcher": launcher}))
        with dg.DagsterInstance.from_config(str(home)) as instance:
            runs = [_launch_plates(instance, lab, plate, plate) for plate in LAB_KEYS[:2]]

    assert [path for path, _ in asked] == ["/apis/batch/v1/namespaces/cpjump/jobs"] * 2
    for (_, job), run_id in zip(asked, runs, strict=True):
        kubernetes_validate.validate(job, kubernetes_validate.latest_version(), strict=True)
        pod = job["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert container["image"] == IMAGE
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert job["spec"]["ttlSecondsAfterFinished"] == 86_400
        assert {"configMapRef": {"name": "cpjump-settings"}} in container["envFrom"]
        assert {"secretRef": {"name": "cpjump-secrets"}} in container["envFrom"]
        assert {"name": "CPJUMP_WORK", "value": "/work"} in container["env"]
        assert job["metadata"]["labels"]["dagster/run-id"] == run_id
        assert run_id in json.dumps(container["args"])

    folder = lab.store.path(_annotated(LAB_KEYS[0])).parent
    shutil.rmtree(folder)
    program, *arguments = asked[0][1]["spec"]["template"]["spec"]["containers"][0]["args"]
    assert program == "dagster"
    done = subprocess.run(
        [sys.executable, "-m", "dagster", *arguments],
        env=os.environ | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    with lab.instance() as instance:
        assert instance.get_run_by_id(runs[0]).status is dg.DagsterRunStatus.SUCCESS
        assert instance.get_run_by_id(runs[1]).status is not dg.DagsterRunStatus.SUCCESS
    assert [path.stem for path in folder.glob("*.parquet")] == [LAB_KEYS[0]]


def _annotated(plate: str) -> Any:
    from cpjump_assets.orchestration import tables

    return tables.ANNOTATED_PROFILES.key(plate)
