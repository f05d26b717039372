"""One picture seen once: a source and a region to everything the stages need."""
