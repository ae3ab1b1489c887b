"""What operators see: metrics, logs, health. Nothing here decides or carries."""
