"""What is done with documents whose labels are known: parts, figures, reports."""
