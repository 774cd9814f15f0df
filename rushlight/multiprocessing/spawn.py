"""Starting several processes with one function, and waiting for all of them."""

import multiprocessing
import multiprocessing.connection
import pickle
import signal
import sys
import tempfile
import time
import traceback

__all__ = [
    "ProcessContext", "ProcessException", "ProcessExitedException", "ProcessRaisedException", "SpawnContext", "spawn", "start_processes",
]  # fmt: skip


class ProcessException(Exception):
    """A process failed. error_index: its number; error_pid: its id."""

    def __init__(self, msg, error_index, pid):
        super().__init__(msg)
        self.msg, self.error_index, self.pid = msg, error_index, pid
        self.error_pid = pid

    def __reduce__(self):
        return type(self), (self.msg, self.error_index, self.pid)


class ProcessRaisedException(ProcessException):
    """A process failed because its function raised."""


class ProcessExitedException(ProcessException):
    """A process was ended by a signal or left with an exit code."""

    def __init__(self, msg, error_index, error_pid, exit_code, signal_name=None):
        super().__init__(msg, error_index, error_pid)
        self.exit_code, self.signal_name = exit_code, signal_name

    def __reduce__(self):
        return type(self), (self.msg, self.error_index, self.pid, self.exit_code, self.signal_name)


def _run(fn, i, args, error_file):
    """In the process: calls the function; an exception is left in a file for the parent."""
    try:
        fn(i, *args)
    except KeyboardInterrupt:
        pass
    except Exception:
        with open(error_file, "wb") as file:
            pickle.dump(traceback.format_exc(), file)
        sys.exit(1)


class ProcessContext:
    """Processes that were started together."""

    def __init__(self, processes, error_files):
        self.processes, self.error_files = processes, error_files
        self.sentinels = {process.sentinel: i for i, process in enumerate(processes)}

    def pids(self):
        """The ids of the processes."""
        return [process.pid for process in self.processes]

    def join(self, timeout=None, grace_period=None):
        """Waits for one or more of them to end; True if all have. Raises if one failed, after ending the others.

        timeout: seconds to wait, None without end; grace_period: seconds that the others get before they are killed.
        """
        if not self.sentinels:
            return True
        failed = None
        for sentinel in multiprocessing.connection.wait(list(self.sentinels), timeout=timeout):
            i = self.sentinels.pop(sentinel)
            self.processes[i].join()
            if self.processes[i].exitcode != 0:
                failed = i
                break
        if failed is None:
            return not self.sentinels
        self._end_all(grace_period)
        raise self._failure(failed)

    def _end_all(self, grace_period):
        for process in self.processes:
            if process.is_alive():
                process.terminate()
        deadline = time.monotonic() + (30 if grace_period is None else grace_period)
        for process in self.processes:
            process.join(max(0, deadline - time.monotonic()))
            if process.is_alive():
                process.kill()
                process.join()

    def _failure(self, i):
        process = self.processes[i]
        with open(self.error_files[i], "rb") as file:
            report = file.read()
        if report:
            text = f"\n\n-- Process {i} terminated with the following error:\n{pickle.loads(report)}"
            return ProcessRaisedException(text, i, process.pid)
        if process.exitcode < 0:
            name = signal.Signals(-process.exitcode).name
            return ProcessExitedException(f"process {i} terminated with signal {name}", i, process.pid, process.exitcode, name)
        return ProcessExitedException(f"process {i} terminated with exit code {process.exitcode}", i, process.pid, process.exitcode)


SpawnContext = ProcessContext


def start_processes(fn, args=(), nprocs=1, join=True, daemon=False, start_method="spawn"):
    """Runs ``fn(i, *args)`` in ``nprocs`` processes, i from 0. join: wait for them, else return a ProcessContext.

    Raises ProcessRaisedException with the traceback, or ProcessExitedException, when one fails.
    """
    mp = multiprocessing.get_context(start_method)
    processes, error_files, kept = [], [], []
    for i in range(nprocs):
        kept.append(tempfile.NamedTemporaryFile(prefix="rushlight-errorfile-", suffix=".pickle"))
        process = mp.Process(target=_run, args=(fn, i, args, kept[-1].name), daemon=daemon)
        process.start()
        processes.append(process)
        error_files.append(kept[-1].name)
    context = ProcessContext(processes, error_files)
    context._kept = kept
    if not join:
        return context
    while not context.join():
        pass
    return None


def spawn(fn, args=(), nprocs=1, join=True, daemon=False, start_method="spawn"):
    """:func:`start_processes` in fresh interpreters."""
    return start_processes(fn, args, nprocs, join, daemon, start_method="spawn")
