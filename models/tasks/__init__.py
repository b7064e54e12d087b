"""Tasks, what the head of a model learns: one package per task, all with the same modules."""
