"""What every test relies on."""

import signal
import threading

# A shell that runs the tests in the background (`make test &`) lets them ignore Ctrl-C, and their children too; some of
# them show what Ctrl-C leaves behind.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN and threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)
