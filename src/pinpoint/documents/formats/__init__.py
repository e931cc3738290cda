"""One file for each format: bytes in, pages out. Imported where they run, inside a reading process, and only then."""
