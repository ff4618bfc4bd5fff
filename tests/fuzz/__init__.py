"""Damaged at random, in numbers: `make fuzz`, and a small sample in tests/test_fuzz.py."""
