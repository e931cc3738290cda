"""What is said about a worker: health, metrics, records of passes and jobs, and what a log line may hold."""
