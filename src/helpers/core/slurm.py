"""SLURM's programs, asked."""

import subprocess

from helpers.core.errors import TransientError

ANSWER_S = 60.0


def ask(*command: str) -> str:
    """Run a program of SLURM and return what it prints.

    Raises:
        TransientError: one line where the program is missing, does not answer, or refuses.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=ANSWER_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TransientError(
            f"SLURM: {command[0]} does not answer ({type(error).__name__}), expected the cluster; run this where jobs are "
            "submitted"
        ) from None
    if done.returncode != 0:
        reason = " ".join(done.stderr.split())[:200]
        raise TransientError(f"SLURM: {command[0]} failed: {reason}; try again when the cluster answers")
    return done.stdout
