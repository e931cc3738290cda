"""How the embedded model was made: its texts, its tokenizer, its training and what it scores."""
