"""Worker threads, for data sets that bear concurrent reading: nothing is copied, pickled or forked."""

import queue
import threading
import time

from .worker import GRACE, Worker


class ThreadPool:
    """``job.num_workers`` threads with a queue of tasks each and one queue of answers.

    The threads are daemons: a sample that never comes cannot keep the program from ending.
    """

    def __init__(self, job):
        self.progress = [-1] * (2 * job.num_workers)
        self._closed = False
        self._answers = queue.SimpleQueue()
        self._tasks = [queue.SimpleQueue() for _ in range(job.num_workers)]
        self.workers = [
            threading.Thread(target=self._run, args=(job, id), name=f"rushlight-loader-{id}", daemon=True)
            for id in range(job.num_workers)
        ]
        for thread in self.workers:
            thread.start()

    def _run(self, job, id):
        worker = Worker(job, id, self.progress, lambda: self._closed)
        worker.set_up_thread()
        worker.run(self._tasks[id].get, lambda *answer: self._answers.put((id, answer)))

    def send(self, id, task):
        """Give ``task`` to worker ``id``."""
        self._tasks[id].put(task)

    def receive(self, timeout):
        """``(worker id, answer)``, or None after ``timeout`` seconds (None: no limit)."""
        try:
            return self._answers.get(timeout=timeout)
        except queue.Empty:
            return None

    def describe(self, id):
        """The worker, in words."""
        return f"worker thread {id}"

    def close(self, prompt=False):
        """Let the threads end after the sample that they are reading, and wait a little for it."""
        self._closed = True
        for tasks in self._tasks:
            tasks.put(None)
        deadline = time.monotonic() + (0.2 if prompt else GRACE)
        for thread in self.workers:
            thread.join(max(0.0, deadline - time.monotonic()))
