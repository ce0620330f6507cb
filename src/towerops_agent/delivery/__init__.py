"""From the buffer to the API: batches, retries, pace."""
