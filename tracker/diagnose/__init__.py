"""Where the time is going now, as advice with figures, in the layers people reason in. Pure.

A figure that is not known is named with what it needs; it is never judged.
"""

from __future__ import annotations

from dataclasses import dataclass

from tracker.diagnose.rule import LAYERS, Advice, Facts, judge
from tracker.diagnose.table import RULES

__all__ = ["LAYERS", "RULES", "Advice", "Diagnosis", "Facts", "diagnose", "judge"]


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What is beyond its limit, what keeps to it, and what is not known.

    Attributes:
        advice: The findings, by layer.
        fine: Names of conditions that were looked for and are not there.
        unknown: Names of conditions with the fact that is missing.
    """

    advice: tuple[Advice, ...]
    fine: tuple[str, ...]
    unknown: tuple[tuple[str, str], ...]


def diagnose(facts: Facts) -> Diagnosis:
    """Return every rule's answer to the facts."""
    answers = [judge(rule, facts) for rule in RULES]
    advice = [answer.advice for answer in answers if answer.advice is not None]
    return Diagnosis(
        tuple(sorted(advice, key=lambda item: LAYERS.index(item.layer))),
        tuple(a.rule.name for a in answers if a.figure is not None and a.advice is None),
        tuple((a.rule.name, a.rule.needs) for a in answers if a.figure is None),
    )
