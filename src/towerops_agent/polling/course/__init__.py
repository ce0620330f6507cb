"""The course of a poll: what to ask a device, what its answers mean, what to learn from them. Pure."""
