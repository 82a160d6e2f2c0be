"""The HTML report: one page, nothing fetched, no name can break out of it, every value in it."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tracker.report.reports import REPORTS, full_report, row
from tracker.report import render_html
from tracker.report.plots import EffectScale, effect_plot, pair_plot, worsening

VOID = {"meta", "br", "img", "link", "input"}


class Page(HTMLParser):
    """The tags of a page, their attributes, its text; fails where tags do not match."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.words, self.open = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style",):
            self.words.append(data)

    @property
    def text(self):
        return " ".join("".join(self.words).split())


def with_points(report):
    rows = [replace(r, points=tuple((r.base, r.head) for _ in range(3))) for r in report.rows]
    return replace(report, rows=tuple(rows), environment=(("gpu", "H100"), ("driver", "550")))


@pytest.mark.parametrize("name", REPORTS)
def test_everything_of_the_report_is_in_the_page(name):
    report = with_points(REPORTS[name])
    page = Page(render_html(report))
    assert report.outcome.upper() in page.text
    for word in (*report.warnings, *report.invalid, report.base, report.head, report.stopped):
        assert word in page.text
    for item in (*report.rows, *report.missing):
        assert item.metric in page.text
        assert item.reason in page.text or item in report.rows
    for name_, value in (*report.configuration, *report.environment):
        assert f"{name_}{value}" in page.text
    classes = [attributes.get("class") for tag, attributes in page.tags if tag == "svg"]
    assert classes.count("effect") == classes.count("pairs") == len(report.rows)


def test_the_page_fetches_nothing_and_runs_nothing():
    page = Page(render_html(with_points(full_report())))
    assert not {tag for tag, _ in page.tags} & {"script", "link", "img", "iframe", "object", "a"}
    for _, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on") or name in ("src", "href")]
    (policy,) = [a["content"] for t, a in page.tags if a.get("http-equiv")]
    assert policy.startswith("default-src 'none'")
    assert not re.search(r"url\(|@import|https?:", render_html(full_report()))


TAGS = [tag for tag, _ in Page(render_html(with_points(full_report()))).tags]


@settings(deadline=None)
@given(st.text(st.characters(), min_size=1, max_size=30))
def test_no_name_breaks_out_of_its_place(name):
    name = f"{name}<script>\"'&>--></style>\u202e\ud800\x00"
    report = with_points(full_report())
    rows = tuple(replace(r, metric=name, reason=name, unit=name) for r in report.rows)
    text = render_html(
        replace(
            report, rows=rows, project=name, machine=name, base_subject=name, head_subject=name,
            warnings=(name,), stopped=name, configuration=((name, name),) * 2,
        )
    )  # fmt: skip
    text.encode("utf-8")
    page = Page(text)
    # A row's units decide only whether a picture writes one; no tag is a name's.
    assert {tag for tag, _ in page.tags} == set(TAGS)
    assert "\u202e" not in text and "\x00" not in text


def test_pictures_are_well_formed_whatever_is_missing():
    odd = row("m<>&", "s", "higher", "rate", None, None, "inconclusive", effect=None)
    scale = EffectScale([odd])
    ElementTree.fromstring(effect_plot(odd, scale))
    assert pair_plot(odd) == ""
    odd = replace(odd, points=((1.0, None), (None, None), (float("nan"), float("inf")), (0.0, 2.0)))
    picture = ElementTree.fromstring(pair_plot(odd))
    assert len(picture.findall("circle")) == 3
    assert len(picture.findall("line[@class='link']")) == 1
    flat = replace(odd, points=((0.0, 0.0),))
    ElementTree.fromstring(pair_plot(flat))


def test_worse_is_always_on_the_right():
    slower = row("a", "s", "lower", "timing", 1.0, 1.1, "regression", low=0.08, high=0.12)
    fewer = row("b", "1/s", "higher", "rate", 1.0, 0.9, "regression", low=-0.12, high=-0.08)
    scale = EffectScale([slower, fewer])
    for item in (slower, fewer):
        dot = ElementTree.fromstring(effect_plot(item, scale)).find("circle")
        assert float(dot.get("cx")) > scale.x(0)
    assert worsening(-1.0, "higher") == float("inf")
    assert worsening(-0.5, "higher") == pytest.approx(1.0)


def test_what_lies_beyond_the_scale_is_an_arrow():
    wild = row("a", "s", "lower", "timing", 1.0, 4.0, "regression", low=0.5, high=9.0)
    scale = EffectScale([wild])
    assert scale.limit == 1.0
    arrows = ElementTree.fromstring(effect_plot(wild, scale)).findall("path")
    assert len(arrows) == 2  # the effect and the interval's end


@given(st.floats(0.001, 3.0))
def test_the_axis_has_a_few_marks_and_zero_is_one_of_them(effect):
    item = row("a", "s", "lower", "timing", 1.0, 1.0, "pass", effect=effect)
    ticks = EffectScale([item]).ticks()
    assert 0.0 in ticks
    assert 3 <= len(ticks) <= 5
    assert all(abs(tick) <= EffectScale([item]).limit for tick in ticks)
