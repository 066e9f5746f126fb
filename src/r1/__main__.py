"""Run `python -m r1` as the command `r1`."""

from r1.cli import main

if __name__ == "__main__":  # vLLM starts its engine by importing this file again
    main()
