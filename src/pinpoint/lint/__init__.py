"""What is wrong with a taxonomy before it is deployed: by its words, by the model's tokens, and by the model itself."""
