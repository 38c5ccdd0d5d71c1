"""Runs on Kubernetes: the Helm values, and what dagster-k8s makes of them when a run is launched.

No cluster is there. The launcher is the real one; it talks to a server on loopback that answers like the API of
Kubernetes, checks each job by Kubernetes' own schema, and the worker's command is then executed as the pod would.
"""

import copy
import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import dagster as dg
import jsonschema
import kubernetes_validate
import pytest
import yaml
from dagster._core.definitions.reconstruct import ReconstructableRepository
from dagster._core.launcher import LaunchRunContext
from dagster._core.remote_origin import RemoteJobOrigin
from dagster._daemon.monitoring.run_monitoring import execute_run_monitoring_iteration

from cpjump_assets.build import build_defs
from cpjump_assets_tests.orchestration.lab import LAB_KEYS, Lab
from cpjump_assets_tests.orchestration.origins import repository_in
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
    misspelt["dagsterDaemon"]["runmonitoring"] = {}
    with pytest.raises(jsonschema.ValidationError, match="runmonitoring"):
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


class Kubernetes:
    """Answers the calls of the API that launch a job and look at one, on loopback.

    Attributes
    ----------
    asked
        Path and content of each job that was to be made.
    statuses
        Status of the jobs that there are, by name.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.statuses: dict[str, dict[str, int]] = {}
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                api.asked.append((self.path, body))
                self._answer(201, body)

            def do_GET(self) -> None:
                name = self.path.removesuffix("/status").rpartition("/")[2]
                if name in api.statuses:
                    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}}
                    self._answer(200, job | {"status": api.statuses[name]})
                else:
                    self._answer(404, {"apiVersion": "v1", "kind": "Status", "status": "Failure", "reason": "NotFound"})

            def _answer(self, status: int, content: dict[str, Any]) -> None:
                answer = json.dumps(content).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def kubernetes() -> Iterator[Kubernetes]:
    api = Kubernetes()
    Thread(target=api.server.serve_forever, daemon=True).start()
    yield api
    api.server.shutdown()
    api.server.server_close()


@pytest.fixture
def instance_in_a_cluster(
    lab: Lab, values: dict[str, Any], kubernetes: Kubernetes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dg.DagsterInstance]:
    """Give the instance of a lab with the launcher of the values, as the chart's ``dagster.yaml`` has it."""
    for name, value in environment_of(lab.settings).items():
        monkeypatch.setenv(name, value)  # the definitions of the launching process
    monkeypatch.setenv("DAGSTER_K8S_PIPELINE_RUN_NAMESPACE", "cpjump")
    launcher = copy.deepcopy(values["runLauncher"]["config"]["customRunLauncher"])
    launcher["config"] |= {
        "load_incluster_config": False,
        "kubeconfig_file": str(_kubeconfig(tmp_path, kubernetes.address)),
    }
    chosen = lab.settings.dagster_home / "dagster.yaml"
    chosen.write_text(yaml.safe_dump({**yaml.safe_load(chosen.read_text()), "run_launcher": launcher}))
    with lab.instance() as instance:
        yield instance


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


def _context_of_the_code_server(values: dict[str, Any]) -> dict[str, Any]:
    """Give what the chart tells the code server to say of its own pod, which then holds for the pods of runs."""
    (server,) = values["dagster-user-deployments"]["deployments"]
    included = server["includeConfigInLaunchedRuns"]["enabled"]
    return {"k8s": {"resources": server["resources"]}} if included else {}


def _launch_plates(instance: dg.DagsterInstance, lab: Lab, first: str, last: str, context: dict[str, Any]) -> str:
    """Launch a run over a range of plates as the daemon does; give its identifier."""
    repository = ReconstructableRepository.for_module(
        "cpjump_assets.definitions", "defs", container_image=IMAGE, container_context=context
    )
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
    lab: Lab, values: dict[str, Any], kubernetes: Kubernetes, instance_in_a_cluster: dg.DagsterInstance
) -> None:
    environment, asked = environment_of(lab.settings), kubernetes.asked
    context = _context_of_the_code_server(values)
    runs = [_launch_plates(instance_in_a_cluster, lab, plate, plate, context) for plate in LAB_KEYS[:2]]

    assert [path for path, _ in asked] == ["/apis/batch/v1/namespaces/cpjump/jobs"] * 2
    for (_, job), run_id in zip(asked, runs, strict=True):
        kubernetes_validate.validate(job, kubernetes_validate.latest_version(), strict=True)
        pod = job["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert container["image"] == IMAGE
        assert container["resources"]["limits"] == {"memory": "6Gi"}
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["serviceAccountName"] == "cpjump-dagster"
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


def _begin(
    instance: dg.DagsterInstance, lab: Lab, job: str, *, origin: RemoteJobOrigin | None = None, **tags: str
) -> str:
    """Put a run on record that is at work; give its identifier."""
    definition = build_defs(lab.settings).resolve_job_def(job)
    spelt = {tag.replace("_", "/", 1): value for tag, value in tags.items()}
    run = instance.create_run_for_job(definition, tags=spelt, remote_job_origin=origin)
    instance.report_dagster_event(dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, job_name=job), run.run_id)
    return run.run_id


def _monitor(instance: dg.DagsterInstance) -> None:
    """Let Dagster's daemon look once whether the runs at work have somebody who works."""
    context = SimpleNamespace(instance=instance, create_request_context=lambda: None)
    assert list(filter(None, execute_run_monitoring_iteration(context, logging.getLogger("monitoring")))) == []


def test_run_monitoring_knows_that_a_refresh_executes_its_runs_in_its_own_pod(
    lab: Lab, kubernetes: Kubernetes, instance_in_a_cluster: dg.DagsterInstance
) -> None:
    instance = instance_in_a_cluster
    refresh = _begin(instance, lab, "refresh")
    part = _begin(instance, lab, "metadata", cpjump_refresh=refresh[:8], cpjump_executed_by=refresh)
    of_a_terminal = _begin(instance, lab, "metadata", cpjump_refresh="12345678")
    without_pod = _begin(instance, lab, "batch")
    origin = RemoteJobOrigin(repository_in("cpjump_assets.definitions"), "metadata")
    again = _begin(instance, lab, "metadata", origin=origin, cpjump_refresh=refresh[:8], cpjump_executed_by=refresh)
    kubernetes.statuses[f"dagster-run-{again}"] = {"active": 1}

    def statuses() -> list[dg.DagsterRunStatus]:
        assert instance.get_run_by_id(again).status is started, "executed again from the web UI, it has its own pod"
        return [instance.get_run_by_id(run).status for run in (refresh, part, of_a_terminal, without_pod)]

    started, failure = dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.FAILURE
    kubernetes.statuses[f"dagster-run-{refresh}"] = {"active": 1}
    _monitor(instance)
    assert statuses() == [started, started, started, failure]
    kubernetes.statuses[f"dagster-run-{refresh}"] = {"failed": 1}
    _monitor(instance)
    assert statuses() == [failure, failure, started, failure]


def _annotated(plate: str) -> Any:
    from cpjump_assets.orchestration import tables

    return tables.ANNOTATED_PROFILES.key(plate)
