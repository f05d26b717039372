"""The version of this camseek."""

VERSION = "0.1.0"
