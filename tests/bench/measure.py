"""Runs a program and says how long it took and how much memory it had at most."""

import os
import subprocess
import sys
import time


def measured(command):
    """Seconds of the clock and of the processor, the largest resident set in MiB, and what was printed."""
    words = [str(word) for word in command]
    begun = time.monotonic()
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as program:
        output = program.stdout.read()
        # Not wait(): only wait4 says what this one process used.
        _, status, used = os.wait4(program.pid, 0)
        program.returncode = os.waitstatus_to_exitcode(status)
    if program.returncode:
        sys.exit(f"{words[0]} ended with {program.returncode}")
    # Linux counts in KiB, macOS in bytes.
    scale = 1024 if sys.platform.startswith("linux") else 1024 * 1024
    return {"seconds": round(time.monotonic() - begun, 1), "processorSeconds": round(used.ru_utime + used.ru_stime, 1),
            "peakMiB": round(used.ru_maxrss / scale), "output": output}
