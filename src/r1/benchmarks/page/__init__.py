"""The page of `r1 bench show --page`: results of one or more models beside the paper's figures."""
