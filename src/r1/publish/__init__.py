"""Out of r1: a checkpoint as a plain Hugging Face folder with a card that says where it is from."""
