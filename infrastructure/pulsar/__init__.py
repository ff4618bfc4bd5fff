"""Domain events and match events on Apache Pulsar."""
