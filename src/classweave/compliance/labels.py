"""How kinds, states, methods and policies are called on pages. Marked here, translated there."""

from __future__ import annotations

from collections.abc import Mapping

from classweave.compliance.models import (
    ConsentKind,
    ConsentMethod,
    ConsentState,
    PolicyType,
    RequestKind,
    RequestStatus,
)
from classweave.compliance.proof import Fault
from classweave.web.i18n import mark

KINDS: Mapping[ConsentKind, str] = {
    ConsentKind.TAKE_PART: mark("Take part"),
    ConsentKind.RECORDING: mark("Recording"),
    ConsentKind.ANALYSIS: mark("Analysis"),
    ConsentKind.DATA_SHARING: mark("Sharing data"),
    ConsentKind.EMAIL: mark("E-mail"),
    ConsentKind.DISCLOSURE: mark("Disclosure"),
    ConsentKind.AI_TRAINING: mark("Training of AI"),
}

EXPLAINED: Mapping[ConsentKind, str] = {
    ConsentKind.TAKE_PART: mark(
        "The student joins discussions with a device. Kept: name, class, who sat in which group."
    ),
    ConsentKind.RECORDING: mark(
        "The device sends the student’s voice while a discussion runs, so that it becomes text."
    ),
    ConsentKind.ANALYSIS: mark(
        "The student’s words are measured: how much they spoke, which questions they asked, which"
        " words of the lesson they used."
    ),
    ConsentKind.DATA_SHARING: mark(
        "Results may be shared within the district or university, beyond the school itself."
    ),
    ConsentKind.EMAIL: mark("The school may keep and use the student’s e-mail address."),
    ConsentKind.DISCLOSURE: mark(
        "Data may be given to a third party that the school names. It stands apart from the rest."
    ),
    ConsentKind.AI_TRAINING: mark(
        "The student’s words or voice may be used to train computer models."
    ),
}

STATES: Mapping[ConsentState, str] = {
    ConsentState.GIVEN: mark("Given"),
    ConsentState.REFUSED: mark("Refused"),
    ConsentState.WITHDRAWN: mark("Withdrawn"),
    ConsentState.EXPIRED: mark("Expired"),
}

METHODS: Mapping[ConsentMethod, str] = {
    ConsentMethod.PAPER_FORM: mark("Signed paper form"),
    ConsentMethod.IN_PERSON: mark("In person"),
    ConsentMethod.PHONE: mark("By phone"),
    ConsentMethod.E_MAIL: mark("By e-mail"),
    ConsentMethod.STUDENT_OF_AGE: mark("The student is of age"),
}

POLICIES: Mapping[PolicyType, tuple[str, str]] = {
    PolicyType.SOUND: (mark("Sound"), mark("Recorded voices of discussions.")),
    PolicyType.WORDS: (mark("Words"), mark("Transcripts and the summaries made of them.")),
    PolicyType.MEASURES: (mark("Measures"), mark("What was measured of groups and students.")),
    PolicyType.PROMPTS: (mark("Prompts"), mark("Advice to teachers and what became of it.")),
    PolicyType.MESSAGES: (mark("Messages"), mark("What teachers sent to groups.")),
    PolicyType.EVENTS: (
        mark("Technical events"),
        mark("What lets an open page catch up after a lost connection."),
    ),
    PolicyType.SIGN_IN_SESSIONS: (
        mark("Sign-ins"),
        mark("When and where somebody was signed in, counted from its end."),
    ),
    PolicyType.CONSENT_HISTORY: (
        mark("Past consents"),
        mark("Decisions that a newer one has replaced. Those that stand are kept."),
    ),
    PolicyType.AUDIT: (
        mark("Audit trail"),
        mark("Who saw or changed which record. Kept whole; never deleted by a nightly run."),
    ),
}

REQUESTS: Mapping[RequestKind, str] = {
    RequestKind.EXPORT: mark("Export"),
    RequestKind.ERASE: mark("Erasure"),
}

STATUSES: Mapping[RequestStatus, str] = {
    RequestStatus.REQUESTED: mark("Requested"),
    RequestStatus.COMPLETED: mark("Completed"),
}

FAULTS: Mapping[Fault, str] = {
    Fault.MISSING: mark("A line is missing, or one was put in between."),
    Fault.CHANGED: mark("A line was changed after it was written."),
    Fault.UNLINKED: mark("A line does not continue the one before it."),
    Fault.CUT: mark("The end of the trail does not match its recorded end: lines were cut off."),
    Fault.ANCHOR: mark("The trail is not the one whose end was noted before."),
}
