"""SWE-bench Verified without an agent: the phases of Agentless 1.5 (Xia et al. 2024).

    instance   a task, and its repository at the base commit      localise   files, elements, lines
    repair     SEARCH/REPLACE edits from many samples             tests      runs in the sandbox
    select     regression and reproduction tests, and the vote    phases     all of it, resumable
    status     the harness's rules for logs and `resolved`        patches    diffs of files

Left out: retrieval by embeddings (words in common with the issue stand in for it), and the
official harness's containers: predictions are written in its format.
"""
