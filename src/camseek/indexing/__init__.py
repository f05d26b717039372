"""Bring pictures into a collection: find them, index runs, re-encoding."""
