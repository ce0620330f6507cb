"""The command `towerops-agent`: one function a command, lazy imports."""


def main() -> None:
    """Run the command line."""
