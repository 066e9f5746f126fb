"""Names of the scorers of steps that are no models."""

CONSTANT, ORACLE = "constant", "oracle"
BUILT_IN = (CONSTANT, ORACLE)
