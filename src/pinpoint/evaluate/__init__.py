"""What is done with documents whose labels are known: parts, fits, promises, figures, reports."""
