"""The course of a poll: what to ask a device, what its answers come to, what is learned of it. Pure."""
