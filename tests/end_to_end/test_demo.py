"""`make demo`: every reply of the example assistant is the one that it should give."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WHEN = {
    "hello there": "Welcome to the Corner Café!",
    "are dogs allowed?": "Dogs are welcome, and there is a bowl of water by the door.",
    "is there oat milk?": "Oat and soy milk come at no extra charge.",
    "I'd like a big cappuccino": "How many cups?",
    "20 cups": "Please give me a number from 1 to 12.",
    "do you take credit cards?": "Cards, phones and coins are all fine.",
    "2 cups": "2 × large cappuccino: that makes €8.32.",
    "qwertz asdf uiop": "Sorry, I did not get that.",
    "thanks a lot": "You're welcome.",
    "bye": "See you at the counter.",
}
"""What the first reply to a message begins with."""


def test_the_demo_says_what_it_should() -> None:
    command = [sys.executable, "scripts/demo.py"]
    done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = dict(re.findall(r"^you  > (.+)\ncafé > (.+)$", done.stdout, re.MULTILINE))
    assert {said: told.get(said, "")[: len(reply)] for said, reply in WHEN.items()} == WHEN
