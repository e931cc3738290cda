"""From a job to its answer: the engine singleton, the classification of a job, the worker."""
