"""Edits of files in a model's response: read, checked, applied, and their failures told to it.

    blocks   the diff format: a path, then SEARCH/REPLACE blocks        replace  how a block applies
    whole    the whole format: a path, then the file in a fence         paths    which paths may be
    apply    edits to files, all in memory; what failed, in words for the model

The rules are those of Aider's two edit formats (Aider-AI/aider, editblock_coder and
wholefile_coder), which R1's figure on its polyglot benchmark rests on. The messages are our own.
Files are mappings from a relative path to a text; nothing here touches a disk.
"""
