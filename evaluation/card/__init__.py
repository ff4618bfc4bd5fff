"""The accuracy card: every figure with its count of cases, on one page, from one command."""
