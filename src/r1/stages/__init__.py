"""The stage kinds: one file each, which registers itself; protocol.py says what one consists of."""
