"""The core decides: functions over data, synchronous and pure. It reads no clock, file, socket or random number."""
