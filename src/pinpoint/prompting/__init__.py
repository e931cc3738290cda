"""From a taxonomy and a document to spans of tokens; pure and free of torch."""
