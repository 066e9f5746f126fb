"""Search at test time: best-of-N, voting, guided beams and Monte Carlo trees, as an engine."""
