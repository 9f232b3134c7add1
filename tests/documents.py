"""What the pages of the documentation say, taken apart and compared with this repository."""

from __future__ import annotations

import argparse
import ast
import importlib
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from runtime.errors import UsageError

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("plugins", "runtime", "detectors", "export", "calibration", "benchmarks")
# Modules whose parser lives in another one.
PARSER_OF = {
    "runtime.stream": "runtime.options",
    "runtime.measure": "runtime.measure_arguments",
}

FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
SHELL = frozenset({"bash", "sh", "shell"})
CODE_SPAN = re.compile(r"`([^`]+)`")
LINK = re.compile(
    r"!?\[[^\]]*\]\(([^)\s]+)[^)]*\)|^\[[^\]]+\]: +(\S+)|src=\"([^\"]+)\"", re.MULTILINE
)
MACHINE_PATH = re.compile(r"(?<![\w.~/-])/(?:root|work|tmp|home|opt|mnt|Users)\b")
# Strings with less fixed text than this would explain nearly any message.
SHORTEST_MESSAGE = 20
EXPLAINED_SHARE = 0.8
ASSIGNMENT = re.compile(r"(\w+)=(\S+)(?: +#.*)?")
SEPARATORS = frozenset({"|", "||", "&", "&&", ";", ">", ">>", "<"})


def fenced_commands(text: str) -> list[str]:
    """Return the command lines of all shell blocks, continued lines joined."""
    blocks = [body for _, language, body in FENCE.findall(text) if language in SHELL]
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    commands = [line.strip() for line in lines]
    return expand_variables([line for line in commands if line and not line.startswith("#")])


def expand_variables(lines: list[str]) -> list[str]:
    """Return command lines with the page's own variables, set on lines of their own, filled in."""
    values: dict[str, str] = {}
    expanded = []
    for line in lines:
        if match := ASSIGNMENT.fullmatch(line):
            values[match[1]] = match[2]
        expanded.append(re.sub(r"\$(\w+)", lambda found: values.get(found[1], found[0]), line))
    return expanded


def inline_commands(text: str) -> list[str]:
    """Return the code spans of running text that start like one of our commands."""
    spans = CODE_SPAN.findall(FENCE.sub("", text))
    return [span for span in spans if re.match(r"(\S+=\S* )*(make|\S*python3?) ", span)]


def calls_of(line: str) -> list[list[str]]:
    """Split a command line at pipes and the like; without leading variables and comments."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    calls: list[list[str]] = [[]]
    for word in lexer:
        if word in SEPARATORS:
            calls.append([])
        elif calls[-1] or not re.match(r"\w+=", word):
            calls[-1].append(word)
    return [call for call in calls if call]


def make_targets(makefile: str) -> set[str]:
    """Return the names of the Makefile's rules."""
    return set(re.findall(r"^([a-z][\w-]*):(?!=)", makefile, re.MULTILINE))


def complaint_about_make(words: list[str], makefile: str) -> str | None:
    """Say what is wrong with the arguments of make: a target or variable that is not there."""
    for word in words:
        name, equals, _ = word.partition("=")
        if equals and not re.search(rf"^{name} [?:]?=|\$\({name}\)", makefile, re.MULTILINE):
            return f"the Makefile has no variable {name}"
        if not equals and not word.startswith("-") and word not in make_targets(makefile):
            return f"the Makefile has no target {word}"
    return None


def module_of_call(words: list[str]) -> tuple[str, list[str]] | None:
    """Return our module that a call of Python runs, and its arguments; None for other modules."""
    if words[:1] == ["-m"] and len(words) > 1:
        module, arguments = words[1], words[2:]
    elif words and words[0].endswith(".py"):
        module, arguments = words[0].removesuffix(".py").replace("/", "."), words[1:]
    else:
        return None
    return (module, arguments) if module.split(".")[0] in PACKAGES else None


def complaint_about_python(words: list[str], is_complete: bool) -> str | None:
    """Say what is wrong with the arguments of Python: a module or option that is not there.

    Args:
        words: What follows the interpreter's name.
        is_complete: Whether the call must parse as it stands; a mention in running text need not
            give the required options.
    """
    called = module_of_call(words)
    if called is None:
        return None
    name, arguments = called
    try:
        parser = importlib.import_module(PARSER_OF.get(name, name)).build_parser()
    except (ModuleNotFoundError, AttributeError) as error:
        return f"{name} is no command ({error})"
    if not is_complete:
        unknown = [w for w in arguments if w.startswith("--") and not has_option(parser, w)]
        return f"{name} has no option {unknown[0]}" if unknown else None
    try:
        _, unknown = parser.parse_known_args(arguments)
    except (SystemExit, UsageError) as stop:
        if isinstance(stop, SystemExit) and not stop.code:
            return None  # --help
        return f"{name} does not take {shlex.join(arguments)} ({stop})"
    return f"{name} has no option {unknown[0]}" if unknown else None


def has_option(parser: argparse.ArgumentParser, word: str) -> bool:
    known = {option for action in parser._actions for option in action.option_strings}
    return word.partition("=")[0] in known


def complaint_about(line: str, is_complete: bool = True) -> str | None:
    """Say what is wrong with a command line, None if nothing is."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for program, *words in calls_of(line):
        if program == "make":
            complaint = complaint_about_make(words, makefile)
        elif re.fullmatch(r"python3?", Path(program).name):
            complaint = complaint_about_python(words, is_complete)
        else:
            complaint = None
        if complaint:
            return f"{line!r}: {complaint}"
    return None


def anchors_of(text: str) -> set[str]:
    """Return the names under which a page's headings can be linked, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", h.strip().lower()).replace(" ", "-") for h in headings}


def broken_links(page: Path, text: str) -> list[str]:
    """Return the links and images of a page that lead nowhere in a fresh clone."""
    links = ["".join(groups) for groups in LINK.findall(FENCE.sub("", text))]
    own = [link for link in links if not re.match(r"https?://|mailto:", link)]
    return [link for link in own if leads_nowhere(page, text, link)]


def leads_nowhere(page: Path, text: str, link: str) -> bool:
    path, _, anchor = link.partition("#")
    if not path:
        return anchor not in anchors_of(text)
    target = (page.parent / path).resolve()
    in_clone = target.is_relative_to(ROOT) and not target.is_relative_to(ROOT / "build")
    if path.startswith("/") or not in_clone or not target.exists():
        return True
    return bool(anchor) and anchor not in anchors_of(target.read_text("utf-8"))


@dataclass(frozen=True)
class MessagePattern:
    """A string of the code, with a wildcard for every value in it.

    Attributes:
        fixed: What stands between the values; looked for first, which takes far less time.
        pattern: All of it.
    """

    fixed: tuple[str, ...]
    pattern: re.Pattern[str]

    def search(self, message: str) -> re.Match[str] | None:
        """Return where a message holds the string."""
        if all(text in message for text in self.fixed):
            return self.pattern.search(message)
        return None


def message_patterns() -> list[MessagePattern]:
    """Return every string of the code as a pattern."""
    patterns = []
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
            inner = {id(p) for n in nodes if isinstance(n, ast.JoinedStr) for p in n.values}
            for node in (node for node in nodes if id(node) not in inner):
                parts = node.values if isinstance(node, ast.JoinedStr) else [node]
                fixed = [part.value for part in parts if isinstance(part, ast.Constant)]
                if sum(len(text) for text in fixed if isinstance(text, str)) < SHORTEST_MESSAGE:
                    continue
                texts = (re.escape(p.value) if isinstance(p, ast.Constant) else ".*" for p in parts)
                words = tuple(text for text in fixed if isinstance(text, str))
                patterns.append(MessagePattern(words, re.compile("".join(texts))))
    return patterns


def unknown_messages(text: str, patterns: list[MessagePattern]) -> list[str]:
    """Return the quoted error messages that are not, but for a path before them, the code's own."""
    unknown = []
    for message in re.findall(r"^error: (.+)$", text, re.MULTILINE):
        found = [match.span() for pattern in patterns if (match := pattern.search(message))]
        explained = {place for start, end in found for place in range(start, end)}
        if len(explained) < EXPLAINED_SHARE * len(message):
            unknown.append(message)
    return unknown


def missing_files(text: str) -> list[str]:
    """Return the Python files and folders that a page names and the repository does not have."""
    names = [span for span in CODE_SPAN.findall(FENCE.sub("", text)) if "<" not in span]
    files = [name for name in names if re.fullmatch(r"[\w/]+\.py", name)]
    folders = [name for name in names if re.fullmatch(rf"(?:{'|'.join(PACKAGES)}|tests)/", name)]
    known = {path.name for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    missing = [name for name in files if not ((ROOT / name).is_file() or name in known)]
    return missing + [name for name in folders if not (ROOT / name).is_dir()]
