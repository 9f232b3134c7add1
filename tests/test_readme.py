"""README.md and docs/ tell the truth: commands, links and quoted messages exist here."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from detectors.registry import DETECTORS
from runtime.contract import contract_path, read_contract
from runtime.geometry import Letterbox
from tests.documents import (
    FENCE,
    MACHINE_PATH,
    ROOT,
    MessagePattern,
    broken_links,
    calls_of,
    complaint_about,
    fenced_commands,
    inline_commands,
    message_patterns,
    missing_files,
    unknown_messages,
)

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def page_ids(pages: list[Path]) -> list[str]:
    return [page.relative_to(ROOT).as_posix() for page in pages]


@pytest.fixture(scope="module")
def patterns() -> list[MessagePattern]:
    return message_patterns()


def test_the_readme_exists() -> None:
    assert (ROOT / "README.md").is_file()


@pytest.mark.parametrize("page", PAGES, ids=page_ids(PAGES))
def test_commands_exist_and_take_their_options(page: Path) -> None:
    text = page.read_text("utf-8")
    wrong = [complaint_about(line) for line in fenced_commands(text)]
    wrong += [complaint_about(span, is_complete=False) for span in inline_commands(text)]
    assert not any(wrong), "\n".join(filter(None, wrong))


@pytest.mark.parametrize("page", PAGES, ids=page_ids(PAGES))
def test_links_and_images_lead_somewhere(page: Path) -> None:
    assert broken_links(page, page.read_text("utf-8")) == []


@pytest.mark.parametrize("page", PAGES, ids=page_ids(PAGES))
def test_no_page_names_a_path_of_one_machine(page: Path) -> None:
    assert MACHINE_PATH.findall(page.read_text("utf-8")) == []


@pytest.mark.parametrize("page", PAGES, ids=page_ids(PAGES))
def test_quoted_messages_are_the_codes_own(page: Path, patterns: list[MessagePattern]) -> None:
    assert unknown_messages(page.read_text("utf-8"), patterns) == []


@pytest.mark.parametrize("page", PAGES, ids=page_ids(PAGES))
def test_named_files_exist(page: Path) -> None:
    assert missing_files(page.read_text("utf-8")) == []


def test_the_worked_example_of_the_letterbox_is_right() -> None:
    text = (ROOT / "docs/conventions.md").read_text("utf-8")
    (block,) = [body for _, language, body in FENCE.findall(text) if language == "python"]
    letterbox = Letterbox.fit((480, 640), (320, 320))
    assert "letterbox = Letterbox.fit((480, 640), (320, 320))" in block
    values = re.findall(r"(\w+)=(\([^)]+\))", block)
    calls = re.findall(r"letterbox\.(\w+)\((.+?)\) +# (.+)", block)
    assert (len(values), len(calls)) == (3, 2)
    for name, value in values:
        assert getattr(letterbox, name) == ast.literal_eval(value)
    for method, given, result in calls:
        got = getattr(letterbox, method)(ast.literal_eval(given)).tolist()
        assert got == ast.literal_eval(result)


def test_the_contract_that_is_shown_can_be_read(tmp_path: Path) -> None:
    text = (ROOT / "docs/architecture.md").read_text("utf-8")
    (block,) = [body for _, language, body in FENCE.findall(text) if language == "json"]
    artifact = tmp_path / "model.onnx"
    artifact.write_bytes(b"any")
    contract_path(artifact).write_text(block, "utf-8")
    contract = read_contract(artifact, verify=False)
    assert [step.step for step in contract.provenance] == [
        "weights",
        "export",
        "calibrate",
        "build",
    ]
    assert contract.decode == DETECTORS[contract.name].decode
    assert contract.size_hw == DETECTORS[contract.name].default_size_hw


def test_the_readme_shows_the_two_commands_first() -> None:
    commands = fenced_commands((ROOT / "README.md").read_text("utf-8"))
    assert commands[:2] == ["make demo", "make test"]


def test_commands_are_found_in_shell_blocks_and_code_spans_only() -> None:
    text = (
        "Run `make demo`, or `python -m export.compare`; `make` alone is prose.\n"
        "```bash\n# a comment\nmake engine \\\n  PRECISION=int8\n\n```\n"
        "```text\nmake nothing of this\n```\n```sh\nmake test\n```\n"
    )
    assert [line.split() for line in fenced_commands(text)] == [
        ["make", "engine", "PRECISION=int8"],
        ["make", "test"],
    ]
    assert inline_commands(text) == ["make demo", "python -m export.compare"]


def test_a_line_is_split_into_calls() -> None:
    line = "A=1 make demo PYTHON=python3.12 | tee 'a b'; python3 x.py --n=1  # why"
    assert calls_of(line) == [
        ["make", "demo", "PYTHON=python3.12"],
        ["tee", "a b"],
        ["python3", "x.py", "--n=1"],
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("make everything", "no target everything"),
        ("make demo engines", "no target engines"),
        ("make demo && make tests", "no target tests"),
        ("X=1 make build", "no target build"),
        ("make engine PRECISON=int8", "no variable PRECISON"),
        ("make engine MODE=int8", "no variable MODE"),
        ("python -m export.exportonnx --help", "export.exportonnx is no command"),
        ("python -m export.onnx_graph", "export.onnx_graph is no command"),
        ("python runtime/streams.py --camera 0", "runtime.streams is no command"),
        ("python runtime/stream.py --camera 0 --fast", "no option --fast"),
        ("python runtime/stream.py --score 2", "does not take --score 2"),
        (".venv/bin/python runtime/stream.py --camera 0 --backend gpu", "invalid choice: 'gpu'"),
        ("python3 -m calibration.calibrate --onnx a.onnx --images b", "does not take"),
        ("python -m export.compare --onnx a.onnx --tolerance small", "does not take"),
        ("true; python -m export.choose_target nowhere", "does not take nowhere"),
    ],
)
def test_a_wrong_command_is_noticed(line: str, message: str) -> None:
    assert message in (complaint_about(line) or "nothing noticed")


@pytest.mark.parametrize(
    "line",
    [
        "make engine MODEL=cornernet-squeeze WEIGHTS=w.pkl SIZE=511x511 CALIB=my/images",
        "make train RESUME=1",
        "make -j2 test PYTHON=python3.12",
        "PIP_EXTRA_INDEX_URL=somewhere make setup",
        "python runtime/stream.py --images photos/ --contact-sheet sheet.png",
        "python -m export.export_onnx --model cornernet-nano --size 256 256 --out a.onnx",
        "python -m export.compare --help",
        "python3 -m venv --system-site-packages .venv",
        '.venv/bin/python -m pip install "numpy>=1.26,<2"',
        'python -c "import cv2"',
        "sudo apt install make-nothing",
    ],
)
def test_a_right_command_is_not_complained_about(line: str) -> None:
    assert complaint_about(line) is None


def test_a_mention_need_not_be_complete_but_its_options_must_exist() -> None:
    assert complaint_about("python -m export.export_onnx --raw", is_complete=False) is None
    wrong = complaint_about("python -m export.export_onnx --raws=1", is_complete=False)
    assert wrong is not None
    assert "no option --raws=1" in wrong


@pytest.mark.parametrize(
    "link",
    [
        "[a](docs/missing.md)",
        "![a](docs/images/missing.png)",
        "[a](#no-such-heading)",
        "[a](docs/architecture.md#no-such-heading)",
        "[a](/docs/architecture.md)",
        "[a](../elsewhere.md)",
        "[a](build/demo/contact_sheet.png)",
        '<img width="1" src="missing.png">',
        "text\n[a]: docs/missing.md",
    ],
)
def test_a_broken_link_is_noticed(link: str) -> None:
    assert len(broken_links(ROOT / "README.md", link)) == 1


@pytest.mark.parametrize(
    "link",
    [
        "# One heading\n[a](#one-heading)",
        "[a](docs/architecture.md)",
        "[a](docs/architecture.md#one-frames-journey)",
        "[a](LICENSE)",
        "[a](https://example.org/missing.md)",
        "```text\n[a](missing.md)\n```\n",
    ],
)
def test_a_sound_link_is_not_complained_about(link: str) -> None:
    assert broken_links(ROOT / "README.md", link) == []


@pytest.mark.parametrize("path", ["/root/x", "/work/main", "(/tmp/a)", "/home/me", "/opt/tool"])
def test_a_path_of_one_machine_is_noticed(path: str) -> None:
    assert MACHINE_PATH.search(f"see {path} there")


@pytest.mark.parametrize("path", ["/dev/video0", "my/work/x", "./tmp", "~/work", "a.org/tmp", "/s"])
def test_other_paths_are_not(path: str) -> None:
    assert not MACHINE_PATH.search(f"see {path} there")


def test_a_changed_message_is_noticed(patterns: list[MessagePattern]) -> None:
    message = "no file at a.onnx; expected a model; build one: make engine"
    assert unknown_messages(f"error: {message}", patterns) == []
    assert unknown_messages(f"error: {message.replace('a model', 'a sandwich')}", patterns) != []
    assert unknown_messages("error: something that nobody ever wrote", patterns) != []


def test_a_missing_file_is_noticed() -> None:
    text = "`runtime/stream.py`, `stream.py`, `runtime/`, `tests/test_readme.py`, `a/<name>.py`"
    assert missing_files(text) == []
    assert missing_files("`runtime/streams.py` and `streams.py`") == [
        "runtime/streams.py",
        "streams.py",
    ]
