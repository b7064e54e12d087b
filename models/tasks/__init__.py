"""What the head of a model learns: one package for each task, all with the same modules."""
