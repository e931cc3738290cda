"""Bulk runs: from files and tables of documents to one file of results, which goes on after any end."""
