"""Deleting what has outlived its purpose: rooms declare, policies decide, a daily run deletes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.compliance.file_deletion import delete_files_later
from classweave.compliance.models import PolicyType, RetentionPolicy, RetentionRun
from classweave.core import audit, clock
from classweave.core.database import Database
from classweave.core.model import Base
from classweave.core.problems import Invalid, NotFound
from classweave.core.tenancy import Actor, system_actor
from classweave.core.text import clean
from classweave.web.i18n import mark

BATCH_ROWS = 1000


@dataclass(frozen=True, slots=True)
class RetentionRule:
    """One table whose rows fall under ``policy_type``.

    A row's age counts from ``timestamp_column``; ``where`` is SQL that a row must meet besides.
    ``files`` is an SQL expression over the row: the name of a stored file that goes with it, or
    null. The table has an ``organization_id``.
    """

    policy_type: PolicyType
    table: str
    timestamp_column: str
    where: str = "true"
    files: str = "NULL"


_rules: list[RetentionRule] = []


def declare(*rules: RetentionRule) -> None:
    """Put a room's tables under the retention policies, its most dependent tables first."""
    _rules.extend(rule for rule in rules if rule not in _rules)


def declared() -> Sequence[RetentionRule]:
    """All rules; those of rooms declared last come first, for they depend on the others."""
    return tuple(reversed(_rules))


async def policies_of(session: AsyncSession, organization: UUID) -> Sequence[RetentionPolicy]:
    """The organisation's policies, in a fixed order."""
    rows = await session.scalars(
        select(RetentionPolicy)
        .where(RetentionPolicy.organization_id == organization)
        .order_by(RetentionPolicy.policy_type)
    )
    return rows.all()


@dataclass(frozen=True, slots=True)
class RetentionTerms:
    """What an administrator may set in a policy. Days; see :class:`RetentionPolicy`."""

    retention_days: int
    delete_after_days: int
    legal_basis: str
    auto_delete_enabled: bool


async def change_policy(
    session: AsyncSession, organization: UUID, policy_type: PolicyType, terms: RetentionTerms
) -> RetentionPolicy:
    """Set the terms of one policy. Raises :class:`NotFound` and :class:`Invalid`."""
    policy = await session.scalar(
        select(RetentionPolicy)
        .where(
            RetentionPolicy.organization_id == organization,
            RetentionPolicy.policy_type == policy_type,
        )
        .with_for_update()
    )
    if policy is None:
        raise NotFound(mark("There is no such policy here."))
    if errors := check_terms(policy_type, terms):
        raise Invalid(
            mark("The policy was not changed."),
            errors=[{"field": field, "message": message} for field, message in errors.items()],
        )
    before = policy.delete_after_days
    policy.retention_days = terms.retention_days
    policy.delete_after_days = terms.delete_after_days
    policy.legal_basis = terms.legal_basis.strip()
    policy.auto_delete_enabled = terms.auto_delete_enabled
    audit.record(
        session,
        "retention.changed",
        resource="retention_policy",
        resource_id=policy.id,
        description=f"{policy_type.value}: deleted after {terms.delete_after_days} days"
        f" (was {before})",
        compliance_basis="retention schedule (COPPA 16 CFR 312.10)",
        organization=organization,
    )
    return policy


def check_terms(policy_type: PolicyType, terms: RetentionTerms) -> dict[str, str]:
    """What is wrong with ``terms``, by field; empty when nothing is."""
    errors: dict[str, str] = {}
    if not 0 <= terms.retention_days <= 36500:
        errors["retention_days"] = mark("Give a number of days from 0 to 36,500.")
    if not terms.retention_days <= terms.delete_after_days <= 36500:
        errors["delete_after_days"] = mark("Deletion cannot come before the retention ends.")
    if not clean(terms.legal_basis):
        errors["legal_basis"] = mark("Say why this data is kept; the notice to families states it.")
    if policy_type is PolicyType.AUDIT and terms.auto_delete_enabled:
        errors["auto_delete_enabled"] = mark("The audit trail is kept whole; it proves the rest.")
    return errors


async def retain(database: Database, organization: UUID) -> RetentionRun:
    """Delete what passed its policy, in batches, each its own transaction; returns the run.

    A run that is cut off leaves a right count of what it deleted; the next one does the rest.
    """
    actor = system_actor(organization)
    async with database.transaction(actor) as session:
        run = RetentionRun(organization_id=organization)
        session.add(run)
        await session.flush()
        policies = {
            policy.policy_type: policy for policy in await policies_of(session, organization)
        }
    for rule in declared():
        policy = policies.get(rule.policy_type)
        if policy is None or not policy.auto_delete_enabled:
            continue
        while await _delete_batch(database, actor, run.id, rule, policy.delete_after_days):
            pass
    async with database.transaction(actor) as session:
        run = await session.get_one(RetentionRun, run.id)
        run.completed_at = clock.now()
        audit.record(
            session,
            "retention.run",
            resource="retention_run",
            resource_id=run.id,
            description="Deleted what passed its retention policy",
            data_accessed={"rows": run.counts, "files": run.files},
            compliance_basis="retention schedule (COPPA 16 CFR 312.10)",
        )
    return run


async def _delete_batch(
    database: Database, actor: Actor, run_id: UUID, rule: RetentionRule, days: int
) -> bool:
    """Delete at most one batch; says whether there may be more."""
    async with database.transaction(actor) as session:
        deleted = await session.execute(
            text(deletion(rule)),
            {
                "organization": actor.home,
                "before": clock.now() - timedelta(days=days),
                "rows": BATCH_ROWS,
            },
        )
        paths = deleted.scalars().all()
        if not paths:
            return False
        files = [path for path in paths if path is not None]
        await delete_files_later(session, files)
        await session.execute(
            text(
                "UPDATE compliance.retention_runs SET files = files + :files, counts = counts ||"
                " jsonb_build_object(CAST(:table AS text),"
                " coalesce((counts->>:table)::bigint, 0) + :rows) WHERE id = :run"
            ),
            {"files": len(files), "table": rule.table, "rows": len(paths), "run": run_id},
        )
        return len(paths) == BATCH_ROWS


def deletion(rule: RetentionRule) -> str:
    """The statement that deletes one batch of ``rule`` and returns each row's file.

    Rows are named by their primary key, which stays right for partitioned tables too.
    Raises ``KeyError`` for a table that does not exist.
    """
    key = [column.name for column in Base.metadata.tables[rule.table].primary_key]
    columns = ", ".join(key)
    due = ", ".join(f"due.{name}" for name in key)
    doomed = ", ".join(f"doomed.{name}" for name in key)
    return (
        f"DELETE FROM {rule.table} AS doomed USING ("
        f"SELECT {columns} FROM {rule.table}"
        f" WHERE organization_id = :organization AND {rule.timestamp_column} < :before"
        f" AND ({rule.where}) ORDER BY {rule.timestamp_column} LIMIT :rows"
        f" FOR UPDATE SKIP LOCKED) AS due"
        f" WHERE ({doomed}) = ({due}) RETURNING {rule.files}"
    )
