"""DeepMind Lab's folder of temporary files, removed however the process ends."""

import subprocess
import tempfile
import weakref


class TempFolder:
    """A new folder in the system's one for temporary files; gone once this is closed.

    DeepMind Lab removes its own when it is closed, but an error in a level's script ends the
    process on the spot, and a worker that hangs is killed. So the folder belongs to a shell that
    outlives this process: it waits for the end of a pipe, which the system closes in any case.
    """

    def __init__(self) -> None:
        self.path = tempfile.mkdtemp(prefix="dmlab_temp_folder_")
        shell = subprocess.Popen(
            ["/bin/sh", "-c", 'read _; rm -rf -- "$0"', self.path],
            stdin=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is not for it
        )
        self.close = weakref.finalize(self, _close, shell)


def _close(shell: "subprocess.Popen[bytes]") -> None:
    """Let the shell do its work; return when it is done."""
    shell.communicate()
