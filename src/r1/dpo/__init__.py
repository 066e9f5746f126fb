"""Direct preference optimisation: pairs of responses -> a policy, without a reward model.

`loss` has the family of losses, `learner` the update, `train` the run. docs/dpo.md shows their use.
"""
