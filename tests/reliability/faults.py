"""What may go wrong in an Ollama, each under a name that serves as the name of a model.

A fault that can happen before the first line and after some has two names, the second one ending in `-late`: there
it gives `TEXT` in three lines first.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from o2o.practice.gojson import encode
from o2o.practice.server import JSON
from tests.reliability.answering import Answer

PIECES = ("It ", "begins ", "well. ")
TEXT = "".join(PIECES)

Fault = Callable[[Answer], None]
FAULTS: dict[str, Fault] = {}


def _fault(*names: str) -> Callable[[Fault], Fault]:
    """Give a fault its names; under one that ends in `-late` it happens after three lines."""

    def add(fault: Fault) -> Fault:
        for name in names:
            FAULTS[name] = _late(fault) if name.endswith("-late") else fault
        return fault

    return add


def _late(fault: Fault) -> Fault:
    def after_three_lines(answer: Answer) -> None:
        answer.say(*PIECES)
        fault(answer)

    return after_three_lines


def _words(status: int, text: str) -> Fault:
    return lambda answer: answer.error(status, text)


LONG = "a long complaint, " * 60
WORDS: dict[str, tuple[int, str]] = {
    "missing": (404, "model 'missing' not found"),
    "wrong": (400, f"something about the request is wrong: {LONG}"),
    "wrong-option": (500, 'option "temperature" must be of type float32'),
    "unauthorized": (401, "unauthorized"),
    "cloud-off": (403, "ollama cloud is disabled: remote model is unavailable"),
    "no-memory": (500, "model requires more system memory (9.3 GiB) than is available (2.1 GiB)"),
    "bad-template": (500, "template error: template: :3: unexpected EOF"),
    "crashed": (500, "model runner has unexpectedly stopped, this may be due to resource limitations"),
    "odd-error": (500, 'open /root/.ollama/models/blobs/x: dial tcp 10.1.2.3:99: "http://secret.internal/a"'),
    "busy": (503, "server busy, please try again.  maximum pending requests exceeded"),
    "too-many": (429, "you have reached your limit"),
}
for _name, _said in WORDS.items():
    FAULTS[_name] = _words(*_said)

ERROR_LINES = ("no-memory", "crashed", "odd-error", "wrong-option")
"""Those that also come as a line of a stream that has begun: `{"error": …}`."""


def _error_line(name: str) -> Fault:
    def fault(answer: Answer) -> None:
        answer.line({"error": WORDS[name][1]})
        answer.end()

    return fault


for _name in ERROR_LINES:
    FAULTS[f"{_name}-line"] = _error_line(_name)
    FAULTS[f"{_name}-late"] = _late(_error_line(_name))


@_fault("forbidden")
def _forbidden(answer: Answer) -> None:
    answer.page(403, b"", JSON)


@_fault("key-wanted")
def _key_wanted(answer: Answer) -> None:
    answer.page(401, b"<html>Sign in</html>", "text/html")


@_fault("busy-long")
def _busy_long(answer: Answer) -> None:
    answer.error(503, WORDS["busy"][1], Retry_After="7")


@_fault("html")
def _html(answer: Answer) -> None:
    answer.page(200, b"<html><body>Welcome to nginx!</body></html>", "text/html")


@_fault("html-502")
def _html_502(answer: Answer) -> None:
    answer.page(502, b"<html><body>502 Bad Gateway</body></html>", "text/html")


@_fault("no-json", "no-json-late")
def _no_json(answer: Answer) -> None:
    answer.raw(b"{this is not JSON}\n")
    answer.done()
    answer.end()


@_fault("no-object", "no-object-late")
def _no_object(answer: Answer) -> None:
    answer.raw(b'["a", "list"]\n')
    answer.done()
    answer.end()


@_fault("nonsense")
def _nonsense(answer: Answer) -> None:
    answer.handler.send_raw(b"220 mail.example.com ESMTP ready\r\n\r\n")
    answer.hang_up()


@_fault("bad-chunk", "bad-chunk-late")
def _bad_chunk(answer: Answer) -> None:
    answer.raw(b"")
    answer.handler.send_raw(b"zz\r\nwhat\r\n")
    answer.wait(1)


for _status in (301, 302, 303, 307, 308):

    def _moved(answer: Answer, status: int = _status) -> None:
        answer.page(status, b"", "text/html", Location="/api/delete")

    FAULTS[f"moved-{_status}"] = _moved


@_fault("unfinished", "unfinished-late")
def _unfinished(answer: Answer) -> None:
    answer.raw(b"")
    answer.end()


@_fault("closed", "closed-late")
def _closed(answer: Answer) -> None:
    answer.raw(b"")
    answer.hang_up()


@_fault("unframed")
def _unframed(answer: Answer) -> None:
    """End a body that only its connection ends, in the middle of the answer: nothing in HTTP is wrong with it."""
    answer.begin(Connection="close")
    answer.say(*PIECES)
    answer.hang_up()


@_fault("cut-line-late")
def _cut_line(answer: Answer) -> None:
    answer.raw(encode(answer.text_line("never whole"))[:-9])
    answer.hang_up()


@_fault("nothing")
def _nothing(answer: Answer) -> None:
    answer.hang_up()


@_fault("silent", "silent-late")
def _silent(answer: Answer) -> None:
    answer.wait()


@_fault("silent-after-head")
def _silent_after_head(answer: Answer) -> None:
    answer.raw(b"")
    answer.wait()


@_fault("dripping")
def _dripping(answer: Answer) -> None:
    """Send a line that never ends: something comes, and no answer in it."""
    answer.raw(b'{"model":"')
    for _ in range(36000):
        answer.wait(0.1)
        answer.raw(b"x")


@_fault("slow")
def _slow(answer: Answer) -> None:
    """Take a second for the first line, as a model that is being loaded."""
    answer.wait(1.0)
    _good(answer)


@_fault("slow-late")
def _slow_late(answer: Answer) -> None:
    answer.wait(1.0)
    answer.say("And ends well.")
    answer.done(4)
    answer.end()


@_fault("thinking")
def _thinking(answer: Answer) -> None:
    """Think for a second, a thought every 50 ms, and then speak."""
    for number in range(20):
        answer.line(
            {
                **answer.text_line(""),
                "message": {"role": "assistant", "content": "", "thinking": f"{number} "},
            }
        )
        answer.wait(0.05)
    _good(answer)


@_fault("endless")
def _endless(answer: Answer) -> None:
    """Say a word every 50 ms, for ever."""
    for number in range(72000):
        answer.say(f"{number} ")
        answer.wait(0.05)


STEADY = " ".join(str(number) for number in range(20)) + " "


@_fault("steady")
def _steady(answer: Answer) -> None:
    """Say twenty words in two seconds, and end well."""
    for number in range(20):
        answer.say(f"{number} ")
        answer.wait(0.1)
    answer.done(20)
    answer.end()


@_fault("reset", "reset-late")
def _reset(answer: Answer) -> None:
    answer.raw(b"")
    answer.wait(0.1)  # what was sent arrives before the reset, which would overtake it
    answer.hang_up(reset=True)


@_fault("reset-at-once")
def _reset_at_once(answer: Answer) -> None:
    answer.hang_up(reset=True)


@_fault("long-line", "long-line-late")
def _long_line(answer: Answer) -> None:
    answer.raw(b'{"model":"')
    for _ in range(17):
        answer.raw(b"x" * (1 << 20))
    answer.raw(b'"}\n')
    answer.done()
    answer.end()


@_fault("twice")
def _twice(answer: Answer) -> None:
    answer.say(*PIECES)
    data = encode({**answer.text_line(""), "done": True, "done_reason": "stop", "eval_count": 3}) + b"\n"
    answer.raw(data + data + encode(answer.text_line("a ghost")) + b"\nand bytes\n")
    answer.done(99)
    answer.end()


@_fault("empty")
def _empty(answer: Answer) -> None:
    answer.done(0)
    answer.end()


@_fault("bad-utf8", "bad-utf8-late")
def _bad_utf8(answer: Answer) -> None:
    answer.raw(encode(answer.text_line("#")).replace(b"#", b"caf\xe9 \xc3(") + b"\n")
    answer.done()
    answer.end()


LETTERS = "Ein Äffchen\u2028 äße 🍌 中文字 \u0085 e\u0301"


@_fault("split")
def _split(answer: Answer) -> None:
    """Send every byte in a piece of its own, so that characters are cut."""
    data = encode(answer.text_line(LETTERS)) + b"\n"
    for at in range(len(data)):
        answer.raw(data[at : at + 1])
    answer.done()
    answer.end()


@_fault("good")
def _good(answer: Answer) -> None:
    if answer.path == "/api/embed":
        given = answer.body["input"]
        rows = [[0.6, 0.8]] * (len(given) if isinstance(given, list) else 1)
        answer.page(200, encode({"model": answer.model, "embeddings": rows, "prompt_eval_count": 5}), JSON)
        return
    answer.say(*PIECES)
    answer.done()
    answer.end()


@_fault("reused")
def _reused(answer: Answer) -> None:
    """Close a connection that has served before; a fresh one is served."""
    if answer.reused:
        answer.hang_up()
    else:
        _good(answer)


@_fault("flood")
def _flood(answer: Answer) -> None:
    """Say 50 MB, as fast as they are taken."""
    line = encode(answer.text_line("x" * 10_000)) + b"\n"
    for _ in range(5000):
        answer.raw(line)
    answer.done(5000)
    answer.end()


# --- streams made by chance


class Made:
    """What a stream made from a seed says before it ends, and whether it ends well."""

    def __init__(self, seed: int) -> None:
        chance = random.Random(seed)
        alphabet = 'abc \n"\\é\u2028🍌中\u0000'
        self.texts = [
            "".join(chance.choices(alphabet, k=chance.randint(1, 40))) for _ in range(chance.randint(0, 25))
        ]
        self.fault = chance.choice(
            ("", "", "close", "reset", "cut", "no json", "error", "unfinished", "bad utf8")
        )
        self.chance = chance

    @property
    def good(self) -> bool:
        """Tell whether `done:true` is sent."""
        return not self.fault

    @property
    def text(self) -> str:
        """What is said in whole lines."""
        return "".join(self.texts)


def _random(answer: Answer) -> None:
    made = Made(int(answer.model.partition(":")[2]))
    lines = [encode(answer.text_line(text)) + b"\n" for text in made.texts]
    if made.good:
        lines.append(
            encode({**answer.text_line(""), "done": True, "done_reason": "stop", "eval_count": 9}) + b"\n"
        )
    data = b"".join(lines)
    answer.raw(b"")
    for piece in _pieces(data, made.chance):
        answer.raw(piece)
    _end_badly(answer, made)


def _pieces(data: bytes, chance: random.Random) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        size = chance.choice((1, 7, 100, 1000))
        yield data[at : at + size]
        at += size


def _end_badly(answer: Answer, made: Made) -> None:
    if made.fault == "close":
        answer.hang_up()
    elif made.fault == "reset":
        answer.wait(0.05)
        answer.hang_up(reset=True)
    elif made.fault == "cut":
        answer.raw(encode(answer.text_line("never whole"))[:-5])
        answer.hang_up()
    elif made.fault == "no json":
        answer.raw(b"{]\n")
    elif made.fault == "error":
        answer.line({"error": "model runner has unexpectedly stopped"})
    elif made.fault == "bad utf8":
        answer.raw(encode(answer.text_line("#")).replace(b"#", b"\xff") + b"\n")
    if made.fault not in ("close", "reset", "cut"):
        answer.end()


FAULTS["random"] = _random
