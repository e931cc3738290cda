"""The platform: jobs, the queue of their passes, the engine singleton, start and end, the worker."""
