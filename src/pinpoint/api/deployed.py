"""Taxonomies that jobs name: what there is, and a job's task made of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pinpoint.api.build import prose
from pinpoint.api.limits import Limits, join
from pinpoint.api.restrict import restricted
from pinpoint.api.schema import TaskFields
from pinpoint.errors import RequestError
from pinpoint.prompting.taxonomy import Task


@dataclass(frozen=True, slots=True)
class Taxonomy:
    """A task that is asked for by name; `warnings` are about its labels."""

    name: str
    task: Task
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Deployed:
    """What jobs may name.

    Attributes:
        taxonomies: by name.
        refused: of files that are there and cannot be used, why, by name.
    """

    taxonomies: Mapping[str, Taxonomy] = field(default_factory=dict)
    refused: Mapping[str, RequestError] = field(default_factory=dict)

    def find(self, name: str, where: str) -> Taxonomy:
        """The taxonomy of a name. Raises RequestError `unknown_taxonomy`, which lists the names."""
        if name in self.taxonomies:
            return self.taxonomies[name]
        if name in self.refused:
            raise RequestError(
                "unknown_taxonomy",
                f"its file is there and was refused when the worker started: {self.refused[name].wire()}",
                where,
            )
        known = ", ".join(sorted(self.taxonomies)) or "none"
        raise RequestError("unknown_taxonomy", f"no taxonomy of this name is deployed here; there is: {known}", where)


NOTHING = Deployed()


def deployed_task(
    name: str, fields: TaskFields, deployed: Deployed, limits: Limits, parent: str
) -> tuple[Task, list[str]]:
    """The task of a job that names a taxonomy, with the job's mask, prior and instructions. Raises RequestError."""
    taxonomy = deployed.find(fields.taxonomy, join(parent, "taxonomy"))
    for given in TaskFields.model_fields:
        if given in fields.model_fields_set - {"taxonomy", "mask", "prior", "instructions"}:
            raise RequestError(
                "conflicting_fields",
                "beside `taxonomy` a task takes mask, prior and instructions; its labels are the taxonomy's",
                join(parent, given),
            )
    warnings = list(taxonomy.warnings)
    task = replace(taxonomy.task, name=name)
    said = prose(fields.instructions, join(parent, "instructions"), limits.max_instructions_chars, warnings)
    if said is not None:
        task = replace(task, instructions=said)
    return restricted(task, fields.mask, fields.prior, parent), warnings
