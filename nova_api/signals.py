"""Signals that a process waits for, whatever it waits with."""

import os
import signal


def listen(*numbers: int) -> int:
    """Take note of signals from now on, without any other effect.

    The system may hand a signal to any thread (after SIGSTOP it does), and Python leaves it to the main thread, once
    that wakes up. Neither a lock nor an event loop that sleeps in the kernel would wake it: this descriptor does.

    :param numbers: of the signals
    :returns: a descriptor that a byte comes from for each signal, its number; those of others may be among them
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in numbers:
        signal.signal(number, lambda _number, _frame: None)
    return reader
