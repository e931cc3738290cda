"""One request's way, given an engine: documents → units → passes → answers. Knows no platform and no job id."""
