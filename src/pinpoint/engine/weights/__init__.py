"""What a matrix is in each precision, and how its products are computed."""
