"""Runs as pods of Kubernetes, some of which are executed in the pod of another run.

Belongs here: the run launcher that Dagster's instance is given in a cluster (``deploy/kubernetes``); nothing else
imports it, as dagster-k8s is an extra. Does not belong here: what a refresh runs (``refresh``).
"""

import dagster as dg
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
from dagster_k8s import K8sRunLauncher

from cpjump_assets.orchestration.refreshed_store import is_of_refresh
from cpjump_assets.orchestration.tables import EXECUTED_BY_TAG


class RunPods(K8sRunLauncher):
    """Dagster's launcher of a pod for each run, which knows that a refresh executes its runs in its own pod.

    Dagster's run monitoring asks it of every run that is at work, and marks one as failed of which there is no pod.
    """

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Tell how the pod does that executes a run."""
        if not is_of_refresh(run):
            return super().check_run_worker_health(run)
        if EXECUTED_BY_TAG not in run.tags:
            # Of a command line, which may be anywhere; if it was killed, the sensor ``abandoned_runs`` closes the run.
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        refresh = self._instance.get_run_by_id(run.tags[EXECUTED_BY_TAG])
        if refresh is None or refresh.is_finished:
            return CheckRunHealthResult(WorkerStatus.FAILED, "the refresh that executed this run has ended")
        return super().check_run_worker_health(refresh)
