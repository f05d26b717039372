"""Local features of pictures, visual words and geometry: arrays in, arrays out."""
