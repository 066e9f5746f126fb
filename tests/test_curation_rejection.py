"""Rejection sampling: who is kept, what is counted, and that a kill changes nothing."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from curation_world import (
    FakeEngine,
    FakeScorer,
    files_of,
    problems_of,
    prose,
    random_text,
    response,
    sample_into,
    settings_of,
)
from kills import num_kills
from r1.curation.store import read_rows, verify
from r1.errors import UserError
from r1.files.shapes import read_json
from r1.types import Problem


class StopError(Exception):
    """What stands for an interruption."""


GOOD = "First add the two numbers. Then check whether the result fits."
OTHER = "Count up once from the first number, and compare with what was asked for."
MIXED = GOOD + " 然后我们再检查一遍这个结果是不是正确的因为每一步都要核对清楚"
CODE = GOOD + "\n```python\nx = 1\ny = x + 1\nprint(y)\n```\n"
LONG = " ".join(["we add one more number to the sum and go on"] * 40)
LOOP = GOOD + " so again and again" * 30


def scripted(texts):
    """An engine whose sample g of every prompt is texts[g]."""

    def text_of(request, seed):
        place = request.seeds.index(seed)
        found = texts[place]
        return found if isinstance(found, tuple) else (found, "stop")

    return FakeEngine(text_of)


def test_every_reason_by_hand(tmp_path):
    texts = [
        response(GOOD, "1"),
        response(GOOD.replace(" ", "  "), "1"),  # equal but for white space
        response(OTHER, "1"),
        response(prose(random.Random(1), 30), "1"),  # a third: beyond the cap of 2
        (response(GOOD, "1"), "length"),
        response(GOOD, "2"),
        f"{GOOD} 1",
        response(GOOD + " [crash]", "1"),
        response(MIXED, "1"),
        response(CODE, "1"),
        response(LONG, "1"),
        response(LOOP, "1"),
        response(prose(random.Random(2), 600), "1"),  # more than max_tokens
    ]
    settings = settings_of(
        num_samples=len(texts),
        keep={"cap": 2, "order": "first"},
        filters={"max_tokens": 460, "min_tokens": 3},
    )
    card = sample_into(tmp_path, problems_of(1), settings, scripted(texts))
    assert card.total.dropped == {
        "duplicate": 1,
        "beyond the cap": 1,
        "cut at the token limit": 1,
        "wrong answer": 1,
        "malformed": 1,
        "verifier without verdict": 1,
        "mixed languages": 1,
        "code block": 1,
        "long paragraph": 1,
        "ends in a loop": 1,
        "too long": 1,
    }
    rows = list(read_rows(tmp_path))
    assert [row["sample"] for row in rows] == [0, 2]
    first = rows[0]
    assert (first["id"], first["answer"], first["summary"]) == ("sums-0/0", "1", "1")
    assert (first["thinking"], first["origin"]) == (GOOD, "rejection")
    assert first["response"] == f"<think>\n{GOOD}\n</think>\n\n<answer>\n1\n</answer>"
    assert (first["reward/accuracy"], first["reward/format"], first["reward"]) == (1.0, 1.0, 1.0)
    assert first["num_tokens"] == len(texts[0].split())
    assert (card.total.sampled, card.total.samples) == (13, 2)
    assert card.total.mean_tokens == pytest.approx(
        (len(texts[0].split()) + len(texts[2].split())) / 2
    )


def test_another_pattern_is_written(tmp_path):
    settings = settings_of(
        num_samples=1,
        written={"opening": "|special|", "closing": "|special|", "inside": "", "between": " "},
    )
    sample_into(tmp_path, problems_of(1), settings, scripted([response(GOOD, "1")]))
    (row,) = read_rows(tmp_path)
    assert row["response"] == f"|special|{GOOD}|special| 1"


def test_a_pattern_of_other_tokens_is_read_and_judged(tmp_path):
    """The scorer, which reads <think>, finds the answer behind the pattern's own tokens."""
    settings = settings_of(num_samples=2, sampled={"opening": "|s|", "closing": "|s|"})
    texts = [f"|s| {GOOD} |s| The sum is \\boxed{{1}}.", f"|s| {GOOD} It is \\boxed{{1}}."]
    scorer = FakeScorer(answer_from="boxed")
    card = sample_into(tmp_path, problems_of(1), settings, scripted(texts), scorer)
    (row,) = read_rows(tmp_path)
    assert (row["answer"], row["thinking"]) == ("1", GOOD)
    assert card.total.dropped == {"malformed": 1}


def test_other_tokens_with_a_stop_string(tmp_path):
    """The stop string is put back before the tokens are exchanged for those that rewards read."""
    pattern = {"opening": "|s|", "closing": "|s|", "answer_tags": True}
    settings = settings_of(
        num_samples=2, sampled=pattern, sampling={"stop": ["</answer>"]}, keep={"order": "first"}
    )
    texts = [f"|s|{GOOD}|s| <answer> 1", f"|s|{OTHER}|s| <answer> 3"]
    card = sample_into(tmp_path, problems_of(1), settings, scripted(texts))
    (row,) = read_rows(tmp_path)
    assert (row["answer"], row["response"][-9:]) == ("1", "</answer>")
    assert card.total.dropped == {"wrong answer": 1}


def test_near_duplicates_and_the_order_of_keeping(tmp_path):
    base = prose(random.Random(3), 120)
    almost = base.replace(base.split()[50], "Otherwise", 1)
    texts = [response(almost + " Done now.", "1"), response(base, "1"), response(OTHER, "1")]
    for order, kept in (("first", [0, 2]), ("shortest", [1, 2]), ("longest", [0, 2])):
        settings = settings_of(num_samples=3, keep={"cap": 2, "order": order})
        card = sample_into(tmp_path / order, problems_of(1), settings, scripted(texts))
        assert card.total.dropped == {"near-duplicate": 1}
        assert [row["sample"] for row in read_rows(tmp_path / order)] == kept
    settings = settings_of(num_samples=3, keep={"cap": 2, "near_duplicate": None})
    card = sample_into(tmp_path / "exact", problems_of(1), settings, scripted(texts))
    assert card.total.dropped == {"beyond the cap": 1}


def test_random_keeping_follows_the_seed_and_is_fair(tmp_path):
    texts = [response(prose(random.Random(g), 40), "1") for g in range(4)]
    counts = Counter()
    for seed in range(12):
        settings = settings_of(num_samples=4, seed=seed, keep={"cap": 1})
        problems = [Problem(f"p-{i}", "What is 0 plus 1?", "1", "exact") for i in range(10)]
        sample_into(tmp_path / str(seed), problems, settings, scripted(texts))
        counts.update(row["sample"] for row in read_rows(tmp_path / str(seed)))
    assert sum(counts.values()) == 120
    assert all(12 <= counts[g] <= 50 for g in range(4)), counts  # 30 each, 4.7 deviations


def test_contaminated_prompts_are_not_sampled(tmp_path):
    problems = problems_of(3)
    engine = scripted([response(GOOD, "1")])
    settings = settings_of(num_samples=1)
    card = sample_into(tmp_path, problems, settings, engine, heldout=[problems[1]])
    assert engine.calls == [["sums-0", "sums-2"]]
    assert (card.total.contaminated, card.total.prompts) == (1, 3)


def test_rows_do_not_depend_on_workers_calls_or_the_order_groups_end(tmp_path):
    problems = problems_of(40)
    sample_into(tmp_path / "a", problems, settings_of())
    sample_into(
        tmp_path / "b",
        problems,
        settings_of(call={"prompts": 7}, filters={"num_workers": 2}),
    )
    first, second = files_of(tmp_path / "a"), files_of(tmp_path / "b")
    first.pop("job.json"), second.pop("job.json")
    assert first == second
    verify(tmp_path / "a")


def test_the_shards_are_cut_and_described(tmp_path):
    card = sample_into(tmp_path, problems_of(60), settings_of())
    manifest = read_json(tmp_path / "manifest.json")
    shards = manifest["shards"]
    assert manifest["complete"]
    assert len(shards) > 2
    assert all(40 <= shard["rows"] < 43 for shard in shards[:-1])
    assert sum(shard["rows"] for shard in shards) == card.total.samples == manifest["rows"]
    first = pq.read_table(tmp_path / shards[0]["path"])
    assert first.num_rows == shards[0]["rows"]
    assert "reward/accuracy" in first.column_names
    assert not (tmp_path / "journal.jsonl").exists()
    assert card.total.sampled == 360
    assert card.total.sampled == card.total.samples + sum(card.total.dropped.values())
    (tmp_path / shards[1]["path"]).write_bytes(b"x" * shards[1]["bytes"])
    with pytest.raises(UserError, match="shard-00001"):
        verify(tmp_path)


def test_other_settings_or_problems_are_refused(tmp_path):
    def text_of(request, seed):
        if request.id == "sums-35":
            raise StopError
        return random_text(request, seed)

    settings = settings_of(shards={"rows": 20})
    with pytest.raises(StopError):
        sample_into(tmp_path, problems_of(50), settings, FakeEngine(text_of))
    assert read_json(tmp_path / "manifest.json")["items"] > 0
    assert (tmp_path / "journal.jsonl").exists()
    with pytest.raises(UserError, match="another settings"):
        sample_into(tmp_path, problems_of(50), settings_of(seed=1))
    with pytest.raises(UserError, match="another source"):
        sample_into(tmp_path, problems_of(50), settings, source="fake@1")
    with pytest.raises(UserError, match=r"item \d+ .* not what this data set was begun with"):
        sample_into(tmp_path, problems_of(50)[::-1], settings)
    with pytest.raises(UserError, match="more than the 3 items"):
        sample_into(tmp_path, problems_of(3), settings)
    card = sample_into(tmp_path, problems_of(50), settings)
    assert card.total.prompts == 50


def test_only_missing_prompts_are_sampled_again(tmp_path):
    def text_of(request, seed):
        if len(done) == 10:
            raise StopError
        done.append(request.id)
        return random_text(request, seed)

    for resume, again in (("prompt", 6), ("call", 16)):
        done: list[str] = []
        settings = settings_of(num_samples=1, call={"prompts": 16, "resume": resume})
        with pytest.raises(StopError):
            sample_into(tmp_path / resume, problems_of(16), settings, FakeEngine(text_of))
        engine = FakeEngine(random_text)
        sample_into(tmp_path / resume, problems_of(16), settings, engine)
        assert [len(call) for call in engine.calls] == [again]
    assert files_of(tmp_path / "prompt") == files_of(tmp_path / "call")


@pytest.mark.parametrize("damage", [b"", b"0000", b"\x00" * 64, b'00000000 {"index": 3}\n'])
def test_a_damaged_end_of_the_journal_is_cut_off(tmp_path, damage):
    def text_of(request, seed):
        if request.id == "sums-9":
            raise StopError
        return random_text(request, seed)

    settings = settings_of(shards={"rows": 1000}, call={"prompts": 4})
    with pytest.raises(StopError):
        sample_into(tmp_path / "hurt", problems_of(20), settings, FakeEngine(text_of))
    with (tmp_path / "hurt" / "journal.jsonl").open("ab") as file:
        file.write(damage)
    sample_into(tmp_path / "hurt", problems_of(20), settings)
    sample_into(tmp_path / "whole", problems_of(20), settings)
    assert files_of(tmp_path / "hurt") == files_of(tmp_path / "whole")


def kill_and_resume(folder: Path, num_problems: int, kills: int, resume: str, seed: int) -> int:
    """Kill -9 the script at random moments, then let it end; return how many kills hit."""
    script = Path(__file__).parent / "curation_world.py"
    command = [sys.executable, str(script), str(folder), str(num_problems), "0.004", resume]
    rng = random.Random(seed)
    hits = 0
    for _ in range(kills):
        process = subprocess.Popen(command)
        begun = time.monotonic()
        while not folder.exists() and process.poll() is None and time.monotonic() < begun + 60:
            time.sleep(0.02)
        time.sleep(rng.uniform(0.05, 0.35))
        process.send_signal(signal.SIGKILL)
        hits += process.wait() == -signal.SIGKILL
    subprocess.run(command, check=True)
    return hits


def check_kills(tmp_path, num_problems, kills, resume, seed):
    hits = kill_and_resume(tmp_path / "killed", num_problems, kills, resume, seed)
    sample_into(tmp_path / "whole", problems_of(num_problems), settings_of())
    assert hits >= kills // 2
    killed, whole = files_of(tmp_path / "killed"), files_of(tmp_path / "whole")
    assert killed == whole
    assert len(killed) > 5


@pytest.mark.slow
def test_two_kills_change_no_byte(tmp_path):
    check_kills(tmp_path, 100, 2, "prompt", seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("resume", ["prompt", "call"])
def test_many_kills_change_no_byte(tmp_path, resume):
    kills = num_kills(8)
    check_kills(tmp_path, 30 * kills, kills, resume, seed=2)


def test_two_writers_of_one_folder_are_refused(tmp_path):
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time; from pathlib import Path; from r1.run_dir import lock\n"
            "Path(sys.argv[1]).mkdir(); lock.acquire(Path(sys.argv[1]))\n"
            "print('held', flush=True); time.sleep(60)",
            str(tmp_path / "x"),
        ],
        stdout=subprocess.PIPE,
    )
    try:
        assert holder.stdout.readline().strip() == b"held"
        with pytest.raises(UserError, match="another process"):
            sample_into(tmp_path / "x", problems_of(2), settings_of())
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
