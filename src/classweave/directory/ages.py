"""Who counts as under 13; the database decides by the same rule (``directory.under_13``)."""

from __future__ import annotations


def under_13(birth_year: int | None, verified: bool, in_year: int) -> bool:
    """Whether a student counts as under 13 in the calendar year ``in_year``.

    ``verified`` is a teacher's word that the student is 13 or older. It settles an unknown year of
    birth and the year in which the birthday falls; it never contradicts the year of birth.
    """
    if birth_year is None:
        return not verified
    turning = in_year - birth_year
    return turning < 13 or (turning == 13 and not verified)
