"""Settings of curation: which samples are kept, how data sets are written (torch-free).

The paper names the filters but no thresholds (§2.3.3); the defaults are this project's.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from r1.config import Settings, dump
from r1.curation.pattern import PatternSettings
from r1.rollout.settings import SamplingSettings
from r1.text.readability import ReadabilitySettings


class ShardSettings(Settings):
    """How a data set is cut into Parquet files."""

    rows: int = Field(
        10_000,
        ge=1,
        description="rows of a file; a prompt's rows stay together, and 64 million characters fill "
        "a file too",
    )


class CallSettings(Settings):
    """How many prompts go to the engine together, and which are asked again after a kill."""

    prompts: int = Field(256, ge=1, description="prompts of one call of the engine")
    resume: Literal["call", "prompt"] = Field(
        "call",
        description='what a resumed run samples again: "call", the whole call that was under way, '
        'which gives equal bytes on every engine; "prompt", only what is missing, which costs less '
        "and does so where numbers do not depend on the batch",
    )


class FilterSettings(Settings):
    """Which correct samples are fit to learn from."""

    readability: ReadabilitySettings = ReadabilitySettings()
    max_tokens: int | None = Field(
        None, ge=1, description="longest response, in tokens; by default no limit"
    )
    min_tokens: int | None = Field(
        None, ge=1, description="shortest response, in tokens; by default no limit"
    )
    min_summary_share: float | None = Field(
        None,
        ge=0.0,
        le=1.0,
        description="least share of a summary's words in the question's language; left out: any",
    )
    summary_holds: str | None = Field(
        None, description='text that every summary must hold, such as "\\boxed{"; left out: none'
    )
    num_workers: int = Field(
        0, ge=0, description="processes that check readability; 0: the run's own process does"
    )


class KeepSettings(Settings):
    """Which of a prompt's good samples are kept: duplicates go first, then the cap applies."""

    cap: int | None = Field(
        4, ge=1, description="samples kept of one prompt; with a large number, all"
    )
    order: Literal["random", "shortest", "longest", "first"] = Field(
        "random",
        description="which samples are taken first: drawn with the seed, by number of tokens, or "
        "in the order in which they were sampled",
    )
    near_duplicate: float | None = Field(
        0.8,
        gt=0.0,
        le=1.0,
        description="similarity (Jaccard, of runs of 5 words) from which two samples of a prompt "
        "are duplicates; 1: only if all their runs are equal",
    )


class DecontaminationSettings(Settings):
    """Which prompts overlap evaluation problems; they are not sampled."""

    ngram: int | None = Field(
        10,
        ge=2,
        description="so many words in a row (in Chinese, characters) in common are an overlap; "
        "a number above any prompt's length finds copies of whole prompts only",
    )
    common_share: float = Field(
        0.05,
        gt=0.0,
        le=1.0,
        description="wording in a larger share of evaluation prompts is their template and no "
        "overlap; 1 is the literal n-gram rule",
    )


class RejectionSettings(Settings):
    """Rejection sampling from one checkpoint (paper, section 2.3.3)."""

    seed: int = Field(0, ge=0, description="decides the samples, and which are kept")
    num_samples: int = Field(16, ge=1, description="samples of each prompt")
    sampling: SamplingSettings = SamplingSettings()
    sampled: PatternSettings = Field(
        PatternSettings(), description="the form that samples must have"
    )
    written: PatternSettings | None = Field(
        None, description="the form of the responses written; by default that of the samples"
    )
    filters: FilterSettings = FilterSettings()
    keep: KeepSettings = KeepSettings()
    decontamination: DecontaminationSettings = DecontaminationSettings()
    call: CallSettings = CallSettings()
    shards: ShardSettings = ShardSettings()
    domains: dict[str, str] = Field(
        {}, description='domain of each family in the data card, such as { cups = "logic" }'
    )


class SourceOfMixture(Settings):
    """One data set of a mixture: Parquet or JSONL with messages, or with prompt and response."""

    path: str = Field(
        description="file, or folder of *.parquet files, relative to the recipe's folder; or a "
        'stage: "@NAME"'
    )
    name: str | None = Field(
        None, description="what the data card calls the source; by default its path"
    )
    family: str = Field("general", description="kind of problem, for rows that name none")
    language: str = Field("en", description="language's code, for rows that name none")
    count: int | None = Field(
        None, ge=0, description="rows to take; by default all, or a share by weight"
    )
    weight: float | None = Field(
        None, gt=0.0, description="share of the mixture's total, relative to the other weights"
    )
    repeat: bool = Field(
        False, description="take rows more than once where there are too few of them"
    )
    chain_of_thought: Literal["as_is", "prompted"] = Field(
        "as_is",
        description='"as_is": responses stay as they are; "prompted": the general model writes a '
        "chain of thought for those whose question is not a simple one",
    )

    @model_validator(mode="after")
    def _one_amount(self) -> SourceOfMixture:
        if self.count is not None and self.weight is not None:
            raise ValueError("give count or weight, not both")
        return self


class ThoughtSettings(Settings):
    """Chains of thought for responses that have none (paper: "for certain non-reasoning tasks")."""

    share: float = Field(
        1.0, ge=0.0, le=1.0, description="share of the questions that get one; simple ones never do"
    )
    families: tuple[str, ...] = Field((), description="families that get any; by default all")
    readability: ReadabilitySettings = ReadabilitySettings()
    empty_thinking: bool = Field(
        False,
        description="begin responses without a thought by the two special tokens, nothing between",
    )
    prompt: str | None = Field(
        None,
        description="your own prompt for the general model; {question}, {answer} and {language} "
        "are filled in",
    )


class MixtureSettings(Settings):
    """Reasoning and general data in one set (paper: about 600k and 200k)."""

    seed: int = Field(
        0, ge=0, description="decides which rows are taken and which get a chain of thought"
    )
    sources: tuple[SourceOfMixture, ...] = Field(
        min_length=1, description="the data sets that are mixed"
    )
    total: int | None = Field(
        None, ge=1, description="rows that all sources with a weight give together"
    )
    thoughts: ThoughtSettings = ThoughtSettings()
    pattern: PatternSettings = PatternSettings()
    call: CallSettings = CallSettings()
    shards: ShardSettings = ShardSettings()
    domains: dict[str, str] = Field(
        {}, description='domain of each family in the data card, such as { cups = "logic" }'
    )

    @model_validator(mode="after")
    def _weights_have_a_total(self) -> MixtureSettings:
        weighted = [source for source in self.sources if source.weight is not None]
        if weighted and self.total is None:
            raise ValueError("sources have weights; add total, the rows that they share")
        if self.total is not None and not weighted:
            raise ValueError("total is for sources with a weight, and none has one; remove it")
        return self


class PromptedSettings(Settings):
    """Traces written by a general model for a prompt: the paper's first two sources."""

    num_samples: int = Field(2, ge=1, description="replies asked for each problem")
    num_examples: int = Field(2, ge=1, description="worked examples in a few-shot prompt")
    prompt: str | None = Field(
        None,
        description="your own prompt; {question}, {language}, {opening}, {closing} and, for "
        "few-shot, {examples} are filled in",
    )
    example: str | None = Field(
        None,
        description="your own form of one worked example; {question} and {response} are filled in",
    )


class RefinedSettings(Settings):
    """Readable R1-Zero samples, rewritten by a general model: the paper's third source.

    It is asked twice: for the reasoning, then for a summary of it.
    """

    reasoning_prompt: str | None = Field(
        None,
        description="your own prompt for the reasoning; {question}, {reasoning}, {answer} and "
        "{language} are filled in",
    )
    summary_prompt: str | None = Field(
        None,
        description="your own prompt for the summary; {question}, {reasoning}, {answer} and "
        "{language} are filled in",
    )


class ColdStartSettings(Settings):
    """Cold-start traces (paper, section 2.3.1 and the supplement's procedure)."""

    seed: int = Field(0, ge=0, description="decides all that is asked of the general model")
    pattern: PatternSettings = PatternSettings()
    filters: FilterSettings = FilterSettings(min_summary_share=0.9, summary_holds="\\boxed{")
    keep: KeepSettings = KeepSettings(cap=1)
    call: CallSettings = CallSettings(prompts=64)
    shards: ShardSettings = ShardSettings()
    domains: dict[str, str] = Field(
        {}, description='domain of each family in the data card, such as { cups = "logic" }'
    )


class PromptedTraceSettings(ColdStartSettings):
    """Traces by few-shot or direct prompting."""

    settled: ClassVar = {"refined": dump(RefinedSettings())}

    few_shot: PromptedSettings = Field(
        PromptedSettings(), description="how few-shot traces are asked for"
    )
    direct: PromptedSettings = Field(
        PromptedSettings(), description="how traces are asked for without examples"
    )
    decontamination: DecontaminationSettings = DecontaminationSettings()


class RefinedTraceSettings(ColdStartSettings):
    """Readable samples, rewritten."""

    settled: ClassVar = {
        "few_shot": dump(PromptedSettings()),
        "direct": dump(PromptedSettings()),
        "decontamination": dump(DecontaminationSettings()),
    }

    refined: RefinedSettings = RefinedSettings()


class ReviewSettings(Settings):
    """What happens to an edit that does not pass its checks, and to a trace that is not there."""

    faulty: Literal["refuse", "original", "drop"] = Field(
        "refuse",
        description='what to do with an edit that fails its checks: "refuse" imports nothing until '
        'all are mended, "original" takes the trace as it was exported, "drop" leaves it out',
    )
    missing: Literal["refuse", "original", "drop"] = Field(
        "refuse",
        description="what to do with a trace that the edited file no longer holds, in the same "
        "words",
    )
    readability: ReadabilitySettings | None = Field(
        None, description="limits that edited traces must keep; left out: none"
    )
    verify_unchanged: bool = Field(
        False, description="check traces that nobody edited once more, too"
    )
