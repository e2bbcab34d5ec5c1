"""Command lines on run folders that fail in one sentence."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from records.failures import sentence


class CommandLine(argparse.ArgumentParser):
    """Arguments of a command on run folders; a mistake is one sentence and exit code 2.

    A command on other files says what they are: their name in the parsed arguments, in the help
    text, and the help. With `default`, they may be left out.
    """

    def __init__(
        self,
        prog: str,
        description: str,
        name: str = "runs",
        metavar: str = "RUN",
        help: str = "a run's folder, or a folder that holds run folders at any depth",
        default: Path | None = None,
    ) -> None:
        super().__init__(prog=prog, description=description)
        by_default = "" if default is None else f" (default: {default})"
        self.add_argument(
            name,
            metavar=metavar,
            nargs="+" if default is None else "*",
            type=Path,
            default=None if default is None else [default],
            help=help + by_default,
        )

    def add_figure(self, default: str | None = None, beside: str = "") -> None:
        """Add `--out FIGURE`; without `default` it may be left out. `beside`: what else comes."""
        self.add_argument(
            "--out",
            metavar="FIGURE",
            type=Path,
            default=None if default is None else Path(default),
            help=f"figure to write: .png, .pdf or .svg{beside}"
            + ("" if default is None else " (default: %(default)s)"),
        )

    def error(self, message: str) -> NoReturn:
        """Print `message` without the usage block that argparse would put before it."""
        self.exit(2, f"{self.prog}: {message}\n")

    def execute(self, command: Callable[[argparse.Namespace], None], argv: list[str] | None) -> int:
        """Run `command` on the parsed arguments; return the exit code.

        Bad input becomes a sentence and 2; Ctrl-C a line and 130.
        """
        arguments = self.parse_args(argv)
        try:
            command(arguments)
        except (ValueError, OSError) as error:
            print(f"{self.prog}: {sentence(error)}", file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            print("Ended by SIGINT.", file=sys.stderr)
            return 130
        return 0
