"""Choose one patch: regression tests, a reproduction test, and the vote.

    regression      tests that pass before any patch, without those that the model says must change
    reproduction    a script that prints that the issue is there on the old code; of all that do,
                    the most frequent normal form
    vote            fewest regressions -> passes the reproduction (if any does) -> most frequent
                    normal form -> first seen

The data set's own lists of tests are not looked at.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from r1.agents.ask import AskModel, OpenConversation, Turn, require_replies
from r1.agents.swe.patches import apply_patch
from r1.agents.swe.repair import CandidatePatch, normal_form
from r1.agents.swe.status import PASSES
from r1.agents.swe.tests import run_script, run_suite
from r1.sandbox import SandboxSettings

REPRODUCED, RESOLVED = "Issue reproduced", "Issue resolved"
_MAX_LISTED = 400
_MAX_TRIED = 40
_CODE = re.compile(r"```(?:python)?\n(.*?)```", re.DOTALL)


def regression_tests(
    ask: AskModel,
    name: str,
    issue: str,
    files: Mapping[str, str],
    settings: SandboxSettings | None = None,
) -> list[str]:
    """Tests that pass now and should go on to pass, by the model's word."""
    before = run_suite(files, ["."], settings).statuses
    passing = [test for test, status in before.items() if status in PASSES]
    if not passing:
        return []
    prompt = (
        f"An issue of a Python project:\n\n{issue}\n\nThese tests pass now:\n\n"
        + "\n".join(passing[:_MAX_LISTED])
        + "\n\nWhich of them must fail once the issue is resolved, as they test the wrong "
        "behaviour? Name them, one a line between ``` fences; an empty fence for none."
    )
    (said,) = ask([OpenConversation(f"{name}/regression", (Turn("user", prompt),), greedy=True)])
    (answer,) = require_replies(said)
    named = {line.strip() for line in (answer or "").splitlines()}
    return [test for test in passing if test not in named]


def reproduction_script(
    ask: AskModel,
    name: str,
    issue: str,
    files: Mapping[str, str],
    num_samples: int,
    settings: SandboxSettings | None = None,
) -> str | None:
    """A script that shows the issue on the old code; None where no sample gives one."""
    if num_samples < 1:
        return None
    prompt = (
        f"An issue of a Python project:\n\n{issue}\n\nWrite a Python script, run from the "
        f"project's folder, that "
        f'prints "{REPRODUCED}" where the issue is there, "{RESOLVED}" where it is '
        'not, and "Other issues" where anything else fails. Give it in one ```python block.'
    )
    (answers,) = ask([OpenConversation(f"{name}/reproduce", (Turn("user", prompt),), num_samples)])
    forms: dict[str, str] = {}
    votes: Counter[str] = Counter()
    for answer in require_replies(answers):
        code = _CODE.findall(answer or "")
        form = normal_form(code[-1]) if code else None
        if form is None:
            continue
        votes[form] += 1
        forms.setdefault(form, code[-1])
    for form, _ in votes.most_common():
        if REPRODUCED in run_script(files, forms[form], settings):
            return forms[form]
    return None


def vote(
    candidates: Sequence[CandidatePatch],
    files: Mapping[str, str],
    regression: Sequence[str],
    script: str | None,
    settings: SandboxSettings | None = None,
) -> str:
    """The chosen patch; "" where there is no candidate. A normal form is tested once."""
    counts = Counter(candidate.normal for candidate in candidates)
    first: dict[str, CandidatePatch] = {}
    for candidate in candidates:
        first.setdefault(candidate.normal, candidate)
    tried = sorted(first.values(), key=lambda each: -counts[each.normal])[:_MAX_TRIED]
    ranked = []
    for order, candidate in enumerate(tried):
        after = apply_patch(files, candidate.patch)
        if after is None:
            continue
        statuses = run_suite(after, ["."], settings).statuses if regression else {}
        broken = sum(statuses.get(test) not in PASSES for test in regression)
        shows = script is not None and RESOLVED in run_script(after, script, settings)
        ranked.append((broken, not shows, -counts[candidate.normal], order, candidate.patch))
    return min(ranked)[-1] if ranked else ""
