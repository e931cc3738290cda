"""What a model needs of a card, before anything is loaded: arithmetic, torch-free."""
