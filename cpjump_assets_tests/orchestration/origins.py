"""Where Dagster's daemon finds definitions, as it writes that down."""

from dagster._core.remote_origin import ManagedGrpcPythonEnvCodeLocationOrigin, RemoteRepositoryOrigin
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin


def repository_in(module: str) -> RemoteRepositoryOrigin:
    """Give the origin of the definitions of a module, which the daemon loads in a process of their own."""
    target = LoadableTargetOrigin(module_name=module)
    location = ManagedGrpcPythonEnvCodeLocationOrigin(loadable_target_origin=target, location_name=module)
    return RemoteRepositoryOrigin(location, "__repository__")
