"""Students at risk by the organisation's own rule, and the rule itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from classweave.attend.models import RiskRule
from classweave.attend.rates import Counted, Rule
from classweave.attend.report_attendance import rules_of, taught_classes
from classweave.core import audit
from classweave.core.problems import Invalid
from classweave.core.tenancy import Actor
from classweave.directory.service import access_organization, local_today
from classweave.web.i18n import mark

PAGE = 100

# The rule's defaults stand here as they do in the table. Who has left the class is not at risk.
_AT_RISK = """
SELECT p.student_id, st.display_name, p.class_id, c.name AS class_name, c.code,
  o.name AS organization, p.held, p.present, p.late, p.excused, p.left_early,
  coalesce(r.excused_counts, true) AS excused_counts, count(*) OVER () AS total
FROM attend.standings p
  JOIN directory.classes c ON c.id = p.class_id AND c.deleted_at IS NULL AND c.archived_at IS NULL
  JOIN directory.students st ON st.id = p.student_id AND st.deleted_at IS NULL
  JOIN directory.organizations o ON o.id = p.organization_id
  LEFT JOIN attend.risk_rules r ON r.organization_id = p.organization_id
WHERE p.held >= coalesce(r.at_least, 5)
  AND 100 * (p.present + p.late + p.left_early
    + CASE WHEN coalesce(r.excused_counts, true) THEN p.excused ELSE 0 END)
    < coalesce(r.below, 75) * p.held
  AND p.organization_id = ANY (:organizations) AND (:every OR p.class_id = ANY (:classes))
  AND EXISTS (SELECT FROM directory.enrollments e WHERE e.class_id = p.class_id
    AND e.student_id = p.student_id AND e.starts_on <= :today
    AND (e.ends_on IS NULL OR e.ends_on > :today))
ORDER BY (p.present + p.late + p.left_early
    + CASE WHEN coalesce(r.excused_counts, true) THEN p.excused ELSE 0 END) * 1.0 / p.held,
  st.display_name, c.name, p.student_id, p.class_id
LIMIT :limit OFFSET :skip
"""


@dataclass(frozen=True, slots=True)
class AtRisk:
    """A student at risk in a class."""

    student_id: UUID
    name: str
    class_id: UUID
    class_name: str
    code: str | None
    organization: str
    counted: Counted
    rate: float


@dataclass(frozen=True, slots=True)
class AtRiskList:
    """Some of the students at risk, the lowest rates first, of ``total``."""

    students: Sequence[AtRisk]
    total: int
    skipped: int


async def find_at_risk(
    session: AsyncSession,
    actor: Actor,
    organization: UUID | None = None,
    *,
    skip: int = 0,
    limit: int | None = PAGE,
) -> AtRiskList:
    """Students at risk in the classes that the actor teaches or administers; audited.

    ``limit=None`` reads all of them.
    """
    own = await taught_classes(session, actor)
    rows = (
        await session.execute(
            text(_AT_RISK),
            {
                "organizations": [o for o in actor.organizations if organization in (None, o)],
                "every": own is None,
                "classes": own or [],
                "today": local_today(actor),
                "limit": limit,
                "skip": skip,
            },
        )
    ).all()
    found: list[AtRisk] = []
    for row in rows:
        counted = Counted(row.held, row.present, row.late, row.excused, row.left_early)
        found.append(
            AtRisk(
                row.student_id, row.display_name, row.class_id, row.class_name, row.code,
                row.organization, counted, counted.rate(row.excused_counts) or 0.0,
            )
        )  # fmt: skip
    if found:
        audit.record(
            session, "attendance.read", resource="attend.risk",
            description="Read the list of students at risk",
            students=[one.student_id for one in found],
        )  # fmt: skip
    return AtRiskList(found, int(rows[0].total) if rows else 0, skip)


async def rule_of(session: AsyncSession, organization: UUID) -> Rule:
    """The rule that holds in an organisation."""
    return (await rules_of(session)).get(organization, Rule())


async def change_rule(
    session: AsyncSession, actor: Actor, organization_id: UUID, rule: Rule
) -> Rule:
    """Set the rule of an organisation. Raises :class:`Invalid` by field."""
    home = await access_organization(session, actor, organization_id)
    errors: list[dict[str, str]] = []
    if not 0 <= rule.below <= 100:
        errors.append({"field": "below", "message": mark("Give a percentage from 0 to 100.")})
    if not 1 <= rule.at_least <= 1000:
        errors.append({"field": "at_least", "message": mark("Give a number from 1 to 1,000.")})
    if errors:
        first_said = errors[0]["message"]
        raise Invalid(first_said, errors=errors)
    values = {
        "below": rule.below, "at_least": rule.at_least, "excused_counts": rule.excused_counts,
    }  # fmt: skip
    await session.execute(
        insert(RiskRule)
        .values(organization_id=home.id, **values)
        .on_conflict_do_update(index_elements=["organization_id"], set_=values)
    )
    audit.record(
        session, "attendance.rule_changed", resource="organization", resource_id=home.id,
        description="Changed when a student counts as at risk", data_accessed=values,
        organization=home.id,
    )  # fmt: skip
    return rule
