"""What a worker shows of itself: metrics, logs, health. It never decides anything."""
