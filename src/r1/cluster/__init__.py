"""Engine and Learner over several processes: an FSDP2 learner and engines placed by Ray."""
