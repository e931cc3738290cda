"""The wire contract: requests in, responses out; pure."""
