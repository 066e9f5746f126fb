"""`python -m r1` is the command `r1`."""

from r1.cli import main

main()
