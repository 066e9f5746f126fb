"""pass@1, pass@k, cons@k and their intervals, as pure functions of arrays.

Of a problem with n judged samples, c of them correct:

    pass@1 = c / n                           the paper's protocol (DeepSeek-R1, evaluation setup)
    pass@k = 1 - C(n - c, k) / C(n, k)       unbiased; Chen et al. 2021 (2107.03374), section 2.1
    cons@k = is the most voted answer right  majority vote; Wang et al. 2022 (2203.11171)

and the figure of a set is the mean over its problems. A sample whose verifier failed has no
verdict: it is left out of n and of the vote (and counted elsewhere). A sample without a readable
answer is a wrong one that votes for nothing. A problem without a single verdict is NaN, left out
of means.

Intervals (r1.intervals) are over *problems*: bootstraps, each problem keeping all of its samples,
and exact ones where few problems differ from the rest. They cover which problems were asked and
which samples were drawn for them. They do not cover the training seed.

Shapes: P problems, K samples a problem.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from r1.intervals import Interval, share_interval

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

NO_VOTE = -1
UNKNOWN = Interval(float("nan"), float("nan"), float("nan"))
"""Where nothing could be measured."""


def pass_at_1(correct_PK: Bools, judged_PK: Bools) -> Floats:
    """Return each problem's share of correct samples among the judged ones, shape (P,).

    correct_PK: the verdicts; judged_PK: False where the verifier gave none. Its expectation does
    not depend on K: more samples narrow it and move it nowhere.
    """
    num_judged_P = judged_PK.sum(axis=1)
    num_correct_P = (correct_PK & judged_PK).sum(axis=1)
    return _divide(num_correct_P, num_judged_P)


def pass_at_k(correct_PK: Bools, judged_PK: Bools, k: int) -> Floats:
    """Return each problem's unbiased probability that one of k samples is right, shape (P,).

    NaN where fewer than k samples were judged. 1 - C(n - c, k) / C(n, k) is computed as
    1 - prod_{j < k} (n - c - j) / (n - j): no large binomials, and exactly c / n at k = 1.
    """
    if k < 1:
        raise ValueError(f"pass@k needs k of at least 1, got {k}")
    n_P = judged_PK.sum(axis=1).astype(np.float64)
    c_P = (correct_PK & judged_PK).sum(axis=1).astype(np.float64)
    all_wrong_P = np.ones_like(n_P)
    for j in range(k):
        all_wrong_P *= np.clip(_divide(n_P - c_P - j, n_P - j), 0.0, None)
    return np.where(n_P >= k, 1.0 - all_wrong_P, np.nan)


def cons_at_k(correct_PK: Bools, judged_PK: Bools, vote_PK: Ints) -> Floats:
    """Return whether each problem's most voted answer is right, shape (P,).

    vote_PK: equal answers share a number of at least 0; NO_VOTE where no answer could be read.
    A tie counts as the share of the tied answers that are right (the expectation of drawing one
    of them), so that nothing depends on the order of the samples and cons@1 equals pass@1.
    No vote at all is 0.
    """
    return np.array(
        [
            _vote(correct_K[judged_K], vote_K[judged_K]) if judged_K.any() else np.nan
            for correct_K, judged_K, vote_K in zip(correct_PK, judged_PK, vote_PK, strict=True)
        ],
        dtype=np.float64,
    )


def _vote(correct_N: Bools, vote_N: Ints) -> float:
    votes_N = vote_N[vote_N != NO_VOTE]
    if votes_N.size == 0:
        return 0.0
    answers, counts = np.unique(votes_N, return_counts=True)
    tied = answers[counts == counts.max()]
    # Equal answers can get different verdicts where equality is looser than the verifier: then
    # an answer is as right as its samples are on average.
    return float(np.mean([correct_N[vote_N == answer].mean() for answer in tied]))


def interval_of_shares(
    share_P: npt.ArrayLike, num_samples: int | None = None, seed: int = 0
) -> Interval:
    """Return the mean of share_P with its interval over problems; see r1.intervals.share_interval.

    NaN entries (problems without a verdict) are left out first; NaN throughout where that leaves
    none. The same values and seed give the same interval on every machine.
    """
    return share_interval(share_P, num_samples=num_samples, seed=seed) or UNKNOWN


def powers_of_two(limit: int) -> list[int]:
    """Return 1, 2, 4, ... up to limit: the k at which pass@k is reported."""
    return [1 << i for i in range(limit.bit_length()) if 1 << i <= limit]


def _divide(numerator: npt.ArrayLike, denominator: npt.ArrayLike) -> Floats:
    """Elementwise quotient, NaN where the denominator is not positive."""
    top, bottom = np.asarray(numerator, np.float64), np.asarray(denominator, np.float64)
    return np.divide(top, bottom, out=np.full_like(bottom, np.nan), where=bottom > 0)
