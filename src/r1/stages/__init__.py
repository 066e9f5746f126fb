"""Stage kinds: one file each, which registers itself; protocol.py describes their parts."""
