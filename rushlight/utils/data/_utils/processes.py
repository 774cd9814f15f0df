"""Worker processes, built so that they cannot deadlock, leak or outlive the program.

One socket pair per worker carries tasks and answers; nothing is shared between workers, so one that dies takes no
lock with it. In the worker a thread always drains the socket: the program's writes cannot block on a worker that
itself waits to write. The end of the socket is the signal to stop. The same thread sees the program die (the socket
ends, or the parent's number changes) and then ends the worker, whatever the data set is doing. SIGINT is blocked
while workers start and ignored by them: Ctrl-C is the program's affair, which closes the sockets.
"""

import multiprocessing.connection
import os
import queue
import select
import signal
import socket
import threading
import time

from . import transport
from .worker import GRACE, Worker

POLL = 1.0  # seconds between two looks at whether the program is still there


class WorkerDied(Exception):
    """Workers ended without being told to; ``args[0]`` lists their ids."""


class ProcessPool:
    """``job.num_workers`` processes started by ``context``."""

    def __init__(self, job, context):
        self.progress = context.RawArray("q", [-1] * (2 * job.num_workers))
        self.workers, self._sockets, self._program = [], [], os.getpid()
        in_main_thread = threading.current_thread() is threading.main_thread()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if in_main_thread else None
        try:
            for id in range(job.num_workers):
                self._start(job, id, context)
        except BaseException:
            self.close(prompt=True)
            raise
        finally:
            if before is not None:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _start(self, job, id, context):
        ours, theirs = socket.socketpair()
        with theirs:
            self._sockets.append(ours)
            # A forked worker inherits our ends; an end that it kept open would hide our death from the worker on the
            # other side.
            inherited = [s.fileno() for s in self._sockets] if context.get_start_method() == "fork" else []
            process = context.Process(
                target=_main, args=(job, id, self.progress, theirs, inherited, os.getpid(), context.get_start_method()),
                name=f"rushlight-loader-{id}", daemon=True,
            )  # fmt: skip
            process.start()
            self.workers.append(process)

    def send(self, id, task):
        """Give ``task`` to worker ``id``."""
        try:
            transport.send(self._sockets[id], task)
        except OSError:
            raise WorkerDied([id]) from None

    def receive(self, timeout):
        """``(worker id, answer)``, or None after ``timeout`` seconds (None: no limit). WorkerDied if one has ended."""
        sentinels = [process.sentinel for process in self.workers]
        ready = multiprocessing.connection.wait([*self._sockets, *sentinels], timeout)
        if not ready:
            return None
        for id, connection in enumerate(self._sockets):
            if connection in ready:  # answers first: a worker may have answered, then died
                try:
                    return id, transport.receive(connection)
                except (OSError, EOFError):
                    raise WorkerDied([id]) from None
        raise WorkerDied([id for id, sentinel in enumerate(sentinels) if sentinel in ready])

    def describe(self, id):
        """The worker, in words, with the way it ended if it has."""
        process = self.workers[id]
        process.join(0.5)
        code = process.exitcode
        if code is None:
            return f"worker process {id} (pid {process.pid})"
        if code == -signal.SIGKILL:
            how = "was killed; the system does so when memory runs out"
        elif code < 0:
            how = f"was ended by signal {signal.Signals(-code).name}"
        else:
            how = f"ended with exit code {code}"
        return f"worker process {id} (pid {process.pid}) {how}"

    def close(self, prompt=False):
        """End the workers: they see the end of their sockets; whoever is not gone after ``GRACE`` is killed.

        A process forked off the program has copies of our ends, not the workers: it gives its copies up.
        """
        if os.getpid() != self._program:
            for connection in self._sockets:
                connection.close()
            return
        for connection in self._sockets:
            try:
                connection.shutdown(socket.SHUT_RDWR)  # seen by the worker even if another process holds this end too
            except OSError:
                pass
            connection.close()
        deadline = time.monotonic() + (0.2 if prompt else GRACE)
        for process in self.workers:
            process.join(max(0.0, deadline - time.monotonic()))
        for process in self.workers:
            if process.exitcode is None:
                process.kill()
                process.join()


def _main(job, id, progress, connection, inherited, program, start_method):
    """The worker's process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    for descriptor in inherited:
        os.close(descriptor)
    if start_method != "forkserver" and os.getppid() != program:
        return  # the program ended while this process was starting
    inbox = _Inbox(connection)
    worker = Worker(job, id, progress, lambda: inbox.closed)
    worker.set_up_process()
    try:
        worker.run(inbox.tasks.get, lambda *answer: transport.send(connection, answer))
    except (OSError, EOFError):
        pass  # nobody listens any more


class _Inbox:
    """Tasks as they arrive. Ends the process when the program is gone."""

    def __init__(self, connection):
        self.closed = False
        self.tasks = queue.SimpleQueue()
        self._connection, self._parent = connection, os.getppid()
        threading.Thread(target=self._read, name="rushlight-loader-inbox", daemon=True).start()

    def _read(self):
        try:
            while os.getppid() == self._parent:
                if select.select([self._connection], [], [], POLL)[0]:
                    self.tasks.put(transport.receive(self._connection))
        except (OSError, EOFError):
            pass
        self.closed = True
        self.tasks.put(None)
        time.sleep(GRACE)
        os._exit(1)
