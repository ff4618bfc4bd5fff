"""What an operator sees of the running service: traces, metrics and logs. docs/monitoring.md."""
