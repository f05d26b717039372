"""The paper's stages, pure NumPy: activation maps, pooling, whitening, aggregation, regions, encodings."""
