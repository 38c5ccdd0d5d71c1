"""The web UI for those who look and change nothing.

Belongs here: a web server of Dagster that executes no mutation. Does not belong here: the permissions that grey out the
buttons, which are Dagster's own (``read_only`` of the workspace).

Dagster asks for a permission inside of each mutation, and some ask for none: a dry run of a schedule executes its code,
read-only or not. Here no mutation is executed at all. Websockets carry subscriptions alone.
"""

from collections.abc import Collection
from typing import Any

from dagster_webserver.webserver import DagsterWebserver
from graphql import ASTValidationRule, GraphQLError, OperationDefinitionNode, OperationType


class NoMutations(ASTValidationRule):
    """Refuses a document that holds a mutation, wherever in it."""

    def enter_operation_definition(self, node: OperationDefinitionNode, *_: Any) -> None:
        """Look at one operation of the document."""
        if node.operation is OperationType.MUTATION:
            self.report_error(GraphQLError("This web UI is read-only: it executes no mutation", node))


class ReadOnlyWebserver(DagsterWebserver):
    """Dagster's web server without mutations."""

    def build_graphql_validation_rules(self) -> Collection[type[ASTValidationRule]]:
        """Give the rules that a document must keep before it is executed."""
        return [*super().build_graphql_validation_rules(), NoMutations]
