"""What the page's sections share."""

from __future__ import annotations

from runtime.html_parts import Html, paragraph
from runtime.measure_page_parts import each_run, latency_cells, latency_decimals, titled_runs
from tests.calibration.pages import Page
from tests.measurements import latency, run


def test_runs_are_named_by_file_and_by_path_where_files_share_a_name():
    assert [t.title for t in titled_runs([run("x/a.onnx"), run("x/b.onnx")])] == [
        "a.onnx",
        "b.onnx",
    ]
    same = [run("x/a.onnx"), run("y/a.onnx"), run("y/b.onnx")]
    assert [t.title for t in titled_runs(same)] == ["x/a.onnx", "y/a.onnx", "b.onnx"]


def test_one_run_needs_no_name_and_several_have_one_each():
    one = titled_runs([run("a.onnx")])
    assert Page(each_run(one, lambda _: paragraph("part"))).text == "part"
    two = titled_runs([run("a.onnx"), run("b.onnx")])
    assert Page(each_run(two, lambda _: paragraph("part"))).text == "a.onnx part b.onnx part"


def test_runs_without_the_data_are_left_out_with_their_names():
    two = titled_runs([run("a.onnx"), run("b.onnx")])
    made = each_run(two, lambda t: paragraph("part") if t.title == "b.onnx" else Html())
    assert Page(made).text == "b.onnx part"
    assert not each_run(two, lambda _: Html())


def test_a_table_of_latencies_has_the_decimals_of_its_largest_median():
    slow, fast = latency(50.0), latency(0.2)
    decimals = latency_decimals([slow, fast])
    assert decimals == 2
    cells = latency_cells(fast, decimals)
    assert len(cells) == 6 and cells[5] == "0.20"
