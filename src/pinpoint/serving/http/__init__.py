"""The HTTP server: the routes of both decision formats, of our own contract, and of those who watch it.

It is what a load-balancing endpoint of RunPod sends requests to, and what runs on a laptop. Requests go through the
same `Worker` as the jobs of a queue do: the same batcher, deadline and refusals.
"""
