"""Peak memory of one policy update at a large vocabulary: our GRPO and PPO, TRL's GRPOTrainer.

    .venv/bin/pip install -e '.[bench]'
    .venv/bin/python bench/memory.py --json

A random Qwen2 of width 128 with a vocabulary of 151,936; one prompt of 64 tokens and 16 responses
of 1,024 tokens; fp32, no KL term, AdamW, one update. The logits of all response tokens alone are
10 GB. PPO's critic is a value head, and its update is the first after the warm-up. Each side runs
in a process of its own: on a CPU the figure is the peak resident set of that process (libraries
included; the same after imports and loading is given beside it), on CUDA
torch.cuda.max_memory_allocated.

TRL's update is the training step of its GRPOTrainer on completions that are handed to it, so that
no generation is measured; its micro-batch is all 16 responses (`--trl-microbatch`). A side that
does not fit into `--limit-gb` is reported as such instead of exhausting the machine; TRL is then
measured on shorter responses (`--trl-tokens`) and extended linearly, which the result says.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

VOCAB, WIDTH, PROMPT = 151_936, 128, 64
GIB = 2**30


def main() -> None:
    arguments = parse_arguments()
    if arguments.side:
        side = {"ours": update_ours, "ppo": update_ours, "trl": update_trl}[arguments.side]
        print(json.dumps(side(arguments)))
        return
    with tempfile.TemporaryDirectory() as folder:
        save_random_model(Path(folder))
        result = compare(arguments, folder)
    print(json.dumps(result, indent=2) if arguments.json else describe(result))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--responses", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=1024, help="tokens of a response")
    parser.add_argument("--microbatch", type=int, default=16_384, help="our row, in tokens")
    parser.add_argument("--logits-mb", type=int, default=256)
    parser.add_argument("--trl-tokens", type=int, nargs=2, default=(32, 96))
    parser.add_argument("--skip-trl", action="store_true")
    parser.add_argument(
        "--limit-gb", type=float, default=None, help="default: 80 %% of free memory"
    )
    parser.add_argument("--device", default="auto")
    parser.add_argument("--side", choices=["ours", "ppo", "trl"], help=argparse.SUPPRESS)
    parser.add_argument("--model", help=argparse.SUPPRESS)
    return parser.parse_args()


def compare(arguments: argparse.Namespace, folder: str) -> dict[str, Any]:
    """Run each side alone; TRL at full size only where twice its logits could fit."""
    limit = arguments.limit_gb or 0.8 * free_gib()
    logits = arguments.responses * arguments.tokens * VOCAB * 4 / GIB
    result: dict[str, Any] = {
        "model": f"random Qwen2, width {WIDTH}, vocabulary {VOCAB}",
        "responses": arguments.responses,
        "tokens_per_response": arguments.tokens,
        "logits_gib": round(logits, 2),
        "ours": run_side("ours", arguments.tokens, arguments, folder),
        "ppo": run_side("ppo", arguments.tokens, arguments, folder),
    }
    if arguments.skip_trl:
        return result
    if 3.2 * logits < limit:
        result["trl"] = run_side("trl", arguments.tokens, arguments, folder)
        return result
    short, long = arguments.trl_tokens
    small, large = (run_side("trl", n, arguments, folder) for n in (short, long))
    slope = (large["peak_gib"] - small["peak_gib"]) / (long - short)
    result["trl"] = {
        "peak_gib": round(large["peak_gib"] + slope * (arguments.tokens - long), 2),
        "extended_linearly_from": {str(short): small, str(long): large},
        "reason": f"its update needs more than the {limit:.1f} GiB allowed here",
    }
    return result


def run_side(side: str, tokens: int, arguments: argparse.Namespace, folder: str) -> dict[str, Any]:
    command = [sys.executable, __file__, "--side", side, "--model", folder]
    for name in ("responses", "microbatch", "logits_mb", "device"):
        command += [f"--{name.replace('_', '-')}", str(getattr(arguments, name))]
    done = subprocess.run([*command, "--tokens", str(tokens)], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{side} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def save_random_model(folder: Path) -> None:
    import torch
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=VOCAB,
        hidden_size=WIDTH,
        intermediate_size=384,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
    )
    Qwen2ForCausalLM(config).save_pretrained(folder)
    words = {"<pad>": 0, "<eos>": 1} | {f"w{i}": i for i in range(2, 2000)}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(WordLevel(words, unk_token="<pad>")),
        pad_token="<pad>",
        eos_token="<eos>",
    )
    tokenizer.save_pretrained(folder)


def update_ours(arguments: argparse.Namespace) -> dict[str, Any]:
    """One update of LocalLearner, by GRPO or PPO."""
    import random

    from r1.algorithms.grpo import GRPO, GRPOSettings
    from r1.algorithms.ppo import PPO, PPOSettings
    from r1.learner.local import LocalLearner
    from r1.learner.settings import LearnerSettings, OptimizerSettings
    from r1.types import TrainBatch, TrainGroup, TrainResponse

    LearnerSettings.logits_budget_mb = arguments.logits_mb

    learner = LocalLearner(
        arguments.model,
        LearnerSettings(
            device=arguments.device,
            tokens_per_microbatch=arguments.microbatch,
        ),
        OptimizerSettings(),
        PPO(PPOSettings(kl_weight=0.0, value_warmup=0))
        if arguments.side == "ppo"
        else GRPO(GRPOSettings(kl_weight=0.0)),
    )
    draw = random.Random(0)
    sizes = arguments.responses, arguments.tokens
    group = TrainGroup(
        tuple(draw.randrange(2, VOCAB) for _ in range(PROMPT)),
        [
            TrainResponse(
                [draw.randrange(2, VOCAB) for _ in range(sizes[1])],
                [-11.9] * sizes[1],
                [1.0 if i % 2 else -1.0] * sizes[1],
            )
            for i in range(sizes[0])
        ],
    )
    before = peak_gib()
    metrics = learner.update(TrainBatch([group], sizes[0], sizes[0] * sizes[1]))
    return figures(before, metrics["seconds"])


def update_trl(arguments: argparse.Namespace) -> dict[str, Any]:
    """One training step of GRPOTrainer on completions made up beforehand."""
    import time

    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast
    from trl import GRPOConfig, GRPOTrainer

    def reward(completions: list[str], **_: Any) -> list[float]:
        return [float(i % 2) for i in range(len(completions))]

    on_cpu = arguments.device == "cpu" or not torch.cuda.is_available()
    responses, tokens = arguments.responses, arguments.tokens
    with tempfile.TemporaryDirectory() as output:
        config = GRPOConfig(
            output_dir=output,
            use_cpu=on_cpu,
            bf16=False,
            use_vllm=False,
            gradient_checkpointing=False,
            num_generations=responses,
            per_device_train_batch_size=responses,
            max_completion_length=tokens,
            loss_type="grpo",
            beta=0.0,
            max_steps=1,
            report_to="none",
            save_strategy="no",
            top_k=0,
            disable_tqdm=True,
        )
        model = AutoModelForCausalLM.from_pretrained(arguments.model, dtype=torch.float32)
        trainer = GRPOTrainer(
            model=model,
            reward_funcs=reward,
            args=config,
            train_dataset=Dataset.from_dict({"prompt": ["w5 " * PROMPT] * responses}),
            processing_class=PreTrainedTokenizerFast.from_pretrained(arguments.model),
        )
        trainer.create_optimizer()
        device = next(model.parameters()).device
        ids = torch.randint(2, VOCAB, (responses, PROMPT + tokens), device=device)
        inputs = {
            "prompt_ids": ids[:, :PROMPT],
            "prompt_mask": torch.ones_like(ids[:, :PROMPT]),
            "completion_ids": ids[:, PROMPT:],
            "completion_mask": torch.ones_like(ids[:, PROMPT:]),
            "advantages": torch.tensor([1.0 if i % 2 else -1.0 for i in range(responses)]).to(
                device
            ),
            "num_items_in_batch": torch.tensor(responses * tokens, device=device),
        }
        trainer._prepare_inputs = lambda given: given
        trainer.current_gradient_accumulation_steps = 1
        before, start = peak_gib(), time.perf_counter()
        trainer.training_step(trainer.model, inputs, inputs["num_items_in_batch"])
        trainer.optimizer.step()
        return figures(before, time.perf_counter() - start)


def figures(before: float, seconds: float) -> dict[str, Any]:
    return {
        "peak_gib": round(peak_gib(), 3),
        "before_update_gib": round(before, 3),
        "seconds": round(seconds, 1),
        "measure": measure(),
    }


def measure() -> str:
    import torch

    if torch.cuda.is_available():
        return f"allocated on {torch.cuda.get_device_name()}"
    return "resident set of the process"


def peak_gib() -> float:
    """The process's peak so far."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / GIB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIB


def free_gib() -> float:
    import torch

    if torch.cuda.is_available():
        return torch.cuda.mem_get_info()[0] / GIB
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / GIB


def describe(result: dict[str, Any]) -> str:
    lines = [f"{result['model']}; logits alone {result['logits_gib']} GiB"]
    for side in ("ours", "ppo", "trl"):
        if side in result:
            lines.append(f"{side:5} {result[side]['peak_gib']:.2f} GiB")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
