"""Who may ask the service for what, from where and how often."""
