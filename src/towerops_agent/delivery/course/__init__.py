"""The course of a delivery: what to send next, and what follows from an answer. Pure."""
