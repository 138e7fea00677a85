"""What the lesson gave: words, measures, prompts and summaries, beside what is known of it."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from classweave.demonstration.stage_lesson import Stage, Teacher
from classweave.live.demo.lesson import DemoGroup
from classweave.speech.wer import word_errors

# Above this the recogniser did not do its work on clean read speech; measured: about 0.06.
_WORST_WORD_ERROR_RATE = 0.25

_KNOWN_AS = {
    "participation_equality": "participation_equality",
    "dominance": "dominance",
    "silent_members": "silent_members",
}

Report = dict[str, Any]


async def make_report(
    teacher: Teacher, stage: Stage, groups: Sequence[DemoGroup], cpu_seconds: float
) -> Report:
    """Read everything back through the JSON interface and compare it with what is known."""
    names = {stage.groups[group.key]: group for group in groups}
    heard: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for caption in stage.captions:
        heard[names[caption["group"]].key, caption["track"]].append(caption)
    measured = await teacher.call("GET", f"/sessions/{stage.session}/measures")
    summary = await teacher.call("GET", f"/sessions/{stage.session}/summary")
    prompts = await teacher.call("GET", f"/sessions/{stage.session}/prompts")
    summaries = {row["group"]: row for row in summary["groups"]}
    rates = {group.key: _word_error_rate(stage, group, heard) for group in groups}
    measures = [
        {
            "group": names[row["group"]].name,
            "name": measure["name"],
            "value": measure["value"],
            "n": measure["n"],
            "n_unit": measure["n_unit"],
            "coverage": measure["coverage"],
            "status": measure["status"],
            "known": names[row["group"]].known.get(_KNOWN_AS.get(measure["name"], "")),
        }
        for row in measured["groups"]
        if row["group"] in names
        for measure in row["measures"]
    ]
    return {
        "session": stage.session,
        "words": sum(len(caption["text"].split()) for caption in stage.captions),
        "utterances": len(stage.captions),
        "word_error_rate": rates.get("reference", next(iter(rates.values()))),
        "caption_latency_p50_s": _quantile(stage.latencies, 0.5),
        "caption_latency_p95_s": _quantile(stage.latencies, 0.95),
        "cpu_seconds": round(cpu_seconds, 2),
        "sound_seconds": round(sum(len(d.player.frames) for d in stage.devices) * 0.4, 1),
        "measures": measures,
        "prompts": [
            {
                "group": names[prompt["group"]].name if prompt["group"] in names else None,
                **{key: prompt[key] for key in ("category", "priority", "message", "status")},
            }
            for prompt in prompts
        ],
        "groups": [
            {
                "name": group.name,
                "words": sum(
                    len(caption["text"].split())
                    for (key, _track), captions in heard.items()
                    if key == group.key
                    for caption in captions
                ),
                "word_error_rate": rates[group.key],
                "licence": group.licence,
                "summary": summaries.get(stage.groups[group.key], {}).get("summary"),
            }
            for group in groups
        ],
    }


def _word_error_rate(
    stage: Stage, group: DemoGroup, heard: dict[tuple[str, str], list[dict[str, Any]]]
) -> float:
    """Errors over words of all tracks of a group together (pooled, not averaged)."""
    references: list[str] = []
    hypotheses: list[str] = []
    for device in stage.devices:
        if device.group != group.key:
            continue
        captions = sorted(heard[group.key, device.player.track or ""], key=lambda c: c["start"])
        references.append(group.reference_text(device.member))
        hypotheses.append(" ".join(caption["text"] for caption in captions))
    return round(word_errors(references, hypotheses).rate, 4)


def _quantile(values: Sequence[float], share: float) -> float:
    """The ``share`` quantile; 0 only when there were no captions at all."""
    if len(values) < 2:
        return round(values[0], 3) if values else 0.0
    return round(statistics.quantiles(sorted(values), n=100)[round(share * 100) - 1], 3)


def failures(report: Report) -> list[str]:
    """Every stage that did not do its work, in words; empty when all did."""
    found: list[str] = []
    for group in report["groups"]:
        if not group["words"]:
            found.append(f"no words were heard in {group['name']}")
        # A far microphone on a table may leave too little to quote; then the summary says so.
        summary: dict[str, Any] = group["summary"] or {}
        if not summary.get("what") and not summary.get("reason"):
            found.append(f"{group['name']} has no summary of what was said")
    if report["word_error_rate"] > _WORST_WORD_ERROR_RATE:
        found.append(f"the word error rate is {report['word_error_rate']:.0%}")
    if not report["caption_latency_p50_s"]:
        found.append("no caption reached the console")
    if not report["prompts"]:
        found.append("no prompt was made")
    for measure in report["measures"]:
        known, value = measure["known"], measure["value"]
        if measure["name"] == "participation_equality" and known is not None:
            if value is None:
                found.append(f"{measure['group']}: participation was not measured")
            elif abs(value - known) > 0.15:
                found.append(
                    f"{measure['group']}: participation equality {value:.2f}, known {known:.2f}"
                )
    if not any(measure["status"] == "ok" for measure in report["measures"]):
        found.append("no measure had enough to stand on")
    return found


def as_text(report: Report) -> str:
    """The report for a person."""
    lines = [
        f"{report['words']} words in {report['utterances']} utterances from "
        f"{report['sound_seconds']:.0f} s of sound, {report['cpu_seconds']:.0f} s of CPU",
        f"word error rate on known words: {report['word_error_rate']:.1%}",
        f"caption after {report['caption_latency_p50_s']:.2f} s (median), "
        f"{report['caption_latency_p95_s']:.2f} s (95 %)",
        "",
        f"{'group':<22}{'measure':<26}{'value':>9}{'known':>9}{'n':>7}  coverage",
    ]
    for m in report["measures"]:
        value = "-" if m["value"] is None else f"{m['value']:.2f}"
        known = "" if m["known"] is None else f"{m['known']:.2f}"
        lines.append(
            f"{m['group'][:21]:<22}{m['name']:<26}{value:>9}{known:>9}{m['n']:>7}"
            f"  {m['coverage']:.0%} {'' if m['status'] == 'ok' else m['status']}".rstrip()
        )
    lines.append("")
    lines += [
        f"prompt ({p['priority']}, {p['category']}, {p['status']}) {p['group'] or 'session'}: "
        f"{p['message']}"
        for p in report["prompts"]
    ]
    for group in report["groups"]:
        summary: dict[str, Any] = group["summary"] or {}
        what: list[dict[str, Any]] = summary.get("what", [])
        lines += ["", f"{group['name']}: {group['words']} words. {group['licence']}"]
        lines += [f"  “{quote['text']}”" for quote in what[:3]]
    return "\n".join(lines)
