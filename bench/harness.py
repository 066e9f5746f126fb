"""`r1 bench` against lm-evaluation-harness with transformers: the same questions, in one run.

    python -m venv harness && harness/bin/pip install lm_eval
    .venv/bin/python bench/harness.py --model models/smollm2 --data ../shared/benchmarks \\
        --harness harness/bin/python --json

GSM8K's first questions, k samples each at temperature 0.6 and top-p 0.95 with the model's own chat
template and the same limit of tokens; both sides load the model, sample and judge in processes of
their own that are timed whole. The harness takes its prompts from what `r1 bench` stored, so that
both models see the same text. Batches of the harness: `--harness-batch` (try several; its best is
meant). Also tokens generated a second, since samples differ: both counts are of the same tokenizer.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet

TASK = """
task: r1_gsm8k
dataset_path: json
dataset_kwargs: {{data_files: {{test: {questions}}}}}
test_split: test
output_type: generate_until
doc_to_text: "{{{{prompt}}}}"
doc_to_target: "{{{{reference}}}}"
repeats: {samples}
generation_kwargs:
  until: []
  do_sample: true
  temperature: 0.6
  top_p: 0.95
  max_gen_toks: {max_new_tokens}
filter_list:
  - name: last_number
    filter:
      - function: regex
        regex_pattern: "(-?[0-9][0-9.,]*)"
        group_select: -1
metric_list:
  - metric: exact_match
    aggregation: mean
    higher_is_better: true
"""


def main() -> None:
    arguments = parse_arguments()
    with tempfile.TemporaryDirectory() as folder:
        ours = time_ours(arguments, Path(folder, "ours"))
        questions = Path(folder, "questions.jsonl")
        questions.write_text("".join(json.dumps(each) + "\n" for each in ours.pop("questions")))
        harness = time_harness(arguments, questions, Path(folder))
    result = {
        "model": Path(arguments.model).name,
        "questions": arguments.limit,
        "samples": arguments.samples,
        "max_new_tokens": arguments.max_new_tokens,
        "threads": arguments.threads,
        "ours": ours,
        "harness": harness,
        "times_faster": round(harness["seconds"] / ours["seconds"], 2),
        "times_tokens_per_s": round(ours["tokens_per_s"] / harness["tokens_per_s"], 2),
    }
    print(json.dumps(result, indent=2) if arguments.json else result)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True, help="folder that holds gsm8k/test.jsonl")
    parser.add_argument("--harness", required=True, help="a Python that has lm_eval")
    parser.add_argument("--limit", type=int, default=100, help="questions")
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--max-new-tokens", type=int, default=256)
    parser.add_argument("--harness-batch", default="32")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def run(command: list[str], arguments: argparse.Namespace) -> float:
    """Run one side to its end and return the seconds it took."""
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": str(arguments.threads),
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
    }
    began = time.perf_counter()
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def time_ours(arguments: argparse.Namespace, out: Path) -> dict[str, Any]:
    command = [
        *(str(Path(sys.executable).parent / "r1"), "bench", "run", arguments.model, "gsm8k"),
        *("--data", arguments.data, "--limit", str(arguments.limit), "--no-think"),
        *("--samples", str(arguments.samples), "--out", str(out)),
        *("--max-new-tokens", str(arguments.max_new_tokens)),
    ]
    seconds = run(command, arguments)
    rows = [
        row
        for file in sorted(out.rglob("*.parquet"))
        for row in pyarrow.parquet.read_table(file).to_pylist()
    ]
    questions = {row["problem_id"]: row for row in rows}
    tokens = sum(row["num_tokens"] for row in rows)
    assert len(rows) == arguments.limit * arguments.samples
    return {
        "questions": [
            {"prompt": row["prompt"], "reference": row["reference"]} for row in questions.values()
        ],
        "seconds": round(seconds, 1),
        "tokens": tokens,
        "tokens_per_s": round(tokens / seconds, 1),
    }


def time_harness(arguments: argparse.Namespace, questions: Path, folder: Path) -> dict[str, Any]:
    tasks = folder / "tasks"
    tasks.mkdir()
    task = TASK.format(
        questions=questions, samples=arguments.samples, max_new_tokens=arguments.max_new_tokens
    )
    (tasks / "r1_gsm8k.yaml").write_text(task)
    command = [
        *(arguments.harness, "-m", "lm_eval", "--model", "hf", "--tasks", "r1_gsm8k"),
        *("--model_args", f"pretrained={arguments.model},dtype=float32", "--device", "cpu"),
        *("--include_path", str(tasks), "--batch_size", arguments.harness_batch),
        *("--apply_chat_template", "--log_samples", "--output_path", str(folder / "harness")),
    ]
    seconds = run(command, arguments)
    texts = [
        text
        for file in (folder / "harness").rglob("samples_*.jsonl")
        for line in file.read_text().splitlines()
        for responses in json.loads(line)["resps"]
        for text in responses
    ]
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    tokens = sum(len(tokenizer(text)["input_ids"]) + 1 for text in texts)
    assert len(texts) == arguments.limit * arguments.samples, len(texts)
    return {
        "seconds": round(seconds, 1),
        "tokens": tokens,
        "tokens_per_s": round(tokens / seconds, 1),
        "batch": arguments.harness_batch,
    }


if __name__ == "__main__":
    main()
