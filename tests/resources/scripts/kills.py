"""Kill a program that replaces a file over and over, many times: kills.py HOW TARGET KILLS. Says how many files lay beside the target at most."""

import os
import random
import signal
import sys
import time

if sys.argv[1] == "named":
    vars(os).pop("O_TMPFILE", None)
from safemem.resources.files import managed_file

target, kills, size = sys.argv[2], int(sys.argv[3]), 300_000


def write_for_ever():
    number = 0
    while True:
        number += 1
        with managed_file(target, "wb") as file:
            for _ in range(10):
                file.write(bytes([97 + number % 26]) * (size // 10))


seen, left = set(), 0
for _ in range(kills):
    child = os.fork()
    if child == 0:
        write_for_ever()
    time.sleep(random.uniform(0.002, 0.02))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with open(target, "rb") as file:
        content = file.read()
    assert content == b"old" or (len(content) == size and content == content[:1] * size), (len(content), set(content))
    seen.add(content[:1])
    left = max(left, len(os.listdir(os.path.dirname(target))) - 1)
assert len(seen) > 1, "nothing was ever replaced"
print(left)
