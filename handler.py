"""Pinpoint's RunPod entry: `python handler.py` answers test_input.json; on the platform it serves jobs.

python handler.py                                           the job in test_input.json
python handler.py --test_input job.json                     the job in a file, or the JSON itself
python handler.py --rp_serve_api --rp_api_port 8123         the platform's calls on this machine
"""

import signal

from pinpoint.serving import signals

if __name__ == "__main__":  # before the imports below, which take a second: see there
    signals.leave_on(signal.SIGTERM)

from pinpoint.serving.start import Entry, start

handler = Entry()

if __name__ == "__main__":
    start(handler)
