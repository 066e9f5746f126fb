"""Problems from anywhere: load, check, decontaminate, and deal out a batch a step (torch-free)."""
