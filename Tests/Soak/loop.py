"""One thread on epoll: calls handlers of ready sockets, and actions that are due."""

import heapq
import itertools
import select
import time

IN, OUT = select.EPOLLIN, select.EPOLLOUT


class Loop:
    def __init__(self):
        self._epoll = select.epoll()
        self._handlers = {}
        self._timers = []
        self._order = itertools.count()

    def watch(self, file, events, handler):
        """Calls `handler(events)` while the file is ready for one of them; errors and hang-ups are always told."""
        self._handlers[file.fileno()] = handler
        self._epoll.register(file.fileno(), events)

    def change(self, file, events):
        self._epoll.modify(file.fileno(), events)

    def forget(self, file):
        """Before the file is closed: its number may be another file's afterwards."""
        del self._handlers[file.fileno()]
        self._epoll.unregister(file.fileno())

    def after(self, seconds, action):
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._order), action))

    def every(self, seconds, action, makes_up=False):
        """With `makes_up` a call that is late is made up for, so that a rate is kept."""
        def run(due):
            due = due + seconds if makes_up else max(due + seconds, time.monotonic())
            heapq.heappush(self._timers, (due, next(self._order), lambda: run(due)))
            action()
        begin = time.monotonic() + seconds
        heapq.heappush(self._timers, (begin, next(self._order), lambda: run(begin)))

    def run_while(self, condition, seconds=float("inf")):
        """Until the condition is false or the time is over; whether the condition is false."""
        end = time.monotonic() + seconds
        while condition():
            now = time.monotonic()
            if now >= end:
                return False
            while self._timers and self._timers[0][0] <= now:
                heapq.heappop(self._timers)[2]()
            next_due = self._timers[0][0] - time.monotonic() if self._timers else 0.05
            ready = self._epoll.poll(min(max(next_due, 0), 0.05), 512)
            handlers = [self._handlers[number] for number, _ in ready]
            for (number, events), handler in zip(ready, handlers):
                # Closed by an earlier one of them, the number may already be another file's.
                if self._handlers.get(number) is handler:
                    handler(events)
        return True
