"""The report of a workspace: its figures, its pictures, and how it looks in a browser."""

import base64
import io
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner
from PIL import Image

import tsfal_geo as tg
from tests.helpers.loop_case import QuietReporter, tiny_config
from tsfal_geo.assess.metrics import Confusion
from tsfal_geo.cli.main import cli
from tsfal_geo.errors import LabelError, WorkspaceError
from tsfal_geo.project.report.chart import HEIGHT, WIDTH, line_chart
from tsfal_geo.project.report.facts import collect_facts, confused_pairs

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Page(HTMLParser):
    """The parts of a page that the tests ask for."""

    def __init__(self, text):
        super().__init__()
        self.text, self.tags = text, []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def workspace(folder, tmp_path_factory):
    """A workspace with two rounds; anna answered six queries and skipped one between them."""
    root = tmp_path_factory.mktemp("report") / "<b>town"
    made = tg.create_workspace(root, folder, folder, tiny_config(active__budget=0.5))
    made.train()
    queries = made.queries()
    for query in queries[:6]:
        made.label("anna", query, "middle")
    made.skip("anna", queries[6])
    made.train()
    return made


@pytest.fixture(scope="module")
def page(workspace):
    return Page(workspace.report().read_text(encoding="utf-8"))


def test_it_lies_among_the_maps_and_needs_no_other_file_and_no_network(workspace, page):
    assert (workspace.root / "maps" / "report.html").is_file()
    links = [tag.get("src") or tag.get("href") for _, tag in page.tags if "src" in tag or "href" in tag]
    assert links and all(link.startswith(("data:image/", "#")) for link in links)
    assert not re.search(r"https?://|url\(|@import|<script|<link", page.text)


def test_links_within_the_page_have_a_target(page):
    names = {tag["id"] for _, tag in page.tags if "id" in tag}
    assert {tag["href"][1:] for tag in page.all("a")} <= names
    assert {tag["aria-labelledby"] for _, tag in page.tags if "aria-labelledby" in tag} <= names


def test_a_name_with_markup_is_text(page):
    assert "&lt;b&gt;town" in page.text and "<b>town" not in page.text


def test_the_figures_are_those_of_the_workspace(workspace, page):
    status, scores = workspace.status(), workspace.evaluate(workspace.folder.state.val_dir)
    assert len(status.rounds) == 2 and status.effort.answers == 7
    for item in status.rounds:
        assert f"<td>{item['miou']:.1%}</td>" in page.text
        assert f"<td>{item['seconds']['total']:.1f}</td>" in page.text
    assert f"mIoU {scores.miou:.1%}" in page.text
    assert "<td>6</td><td>7</td>" in page.text  # anna's labels and decisions
    assert "a query skipped" in page.text and "a key on a region" in page.text
    assert f"tsfal-geo {tg.__version__}" in page.text and "strategy: plar" in page.text


def test_areas_are_the_pixels_of_the_prediction(workspace):
    facts = collect_facts(workspace.folder, None, (), QuietReporter())
    pixels, hectares = np.zeros(3), np.zeros(3)
    for scene, side in zip(workspace.folder.scenes, (0.25, 0.17), strict=True):
        with rasterio.open(workspace.root / "rounds" / "001" / scene.name / "prediction.tif") as dataset:
            values = dataset.read(1)
        found = np.array([(values == number).sum() for number in (3, 7, 9)])
        pixels += found
        hectares += found * side / 10_000
    assert [item.share for item in facts.classes] == pytest.approx(pixels / pixels.sum())
    assert [item.hectares for item in facts.classes] == pytest.approx(hectares, rel=2e-3)
    assert [item.labels for item in facts.classes] == [0, 6, 0]


def test_the_worst_pair_comes_first_and_right_pixels_are_none():
    confusion = Confusion(3)
    confusion.matrix[:] = [[90, 3, 0], [12, 50, 5], [0, 0, 7]]
    pairs = confused_pairs(confusion.scores(("a", "b", "c")))
    assert [(pair.truth, pair.predicted, pair.pixels) for pair in pairs] == [
        ("b", "a", 12),
        ("b", "c", 5),
        ("a", "b", 3),
    ]
    assert pairs[0].share == pytest.approx(12 / 20)
    confusion.matrix[:] = np.eye(3)
    assert confused_pairs(confusion.scores(("a", "b", "c"))) == ()


def test_every_scene_has_its_pictures_with_a_text(workspace, page, tmp_path):
    pictures = page.all("img")
    kinds = ["image", "prediction", "error mask", "refined", "truth"]
    assert re.findall("<figcaption>([a-z ]+)</figcaption>", page.text) == kinds * 2
    assert all(tag["alt"] for tag in pictures) and len({tag["alt"] for tag in pictures}) == 10
    prediction = Image.open(io.BytesIO(base64.b64decode(pictures[1]["src"].partition(",")[2])))
    with rasterio.open(workspace.root / "rounds" / "001" / "s0" / "prediction.tif") as dataset:
        ids = dataset.read(1)
    colours = {3: (10, 10, 10), 7: (90, 200, 30), 9: (250, 250, 250), 255: (0, 0, 0)}
    expected = np.array([[colours[value] for value in row] for row in ids.tolist()], np.uint8)
    np.testing.assert_array_equal(np.asarray(prediction.convert("RGB")), expected)
    assert "1 of 2 scenes" in workspace.report(tmp_path / "r.html", scenes=1).read_text(encoding="utf-8")


def test_another_workspace_is_drawn_beside(workspace, tmp_path):
    other = tmp_path / "random"
    shutil.copytree(workspace.root, other)
    index = json.loads((other / "workspace.json").read_text())
    (other / "workspace.json").write_text(json.dumps({**index, "round": 0}))
    text = workspace.report(tmp_path / "r.html", compare=[other]).read_text(encoding="utf-8")
    assert text.count("┅ random") == 2 and text.count("series l1 level") == 2
    assert "random" not in re.search("<h1>(.*)</h1>", text).group(1)


def test_a_sample_gives_intervals(workspace, tmp_path):
    value = {"value": 0.5, "standard_error": 0.05, "low": 0.4, "high": 0.6}
    path = workspace.root / "maps" / "accuracy.json"
    path.write_text(
        json.dumps({"sample": {"classes": [{"name": "dark", "iou": value, "area": value}]}}), encoding="utf-8"
    )
    try:
        text = workspace.report(tmp_path / "r.html").read_text(encoding="utf-8")
        assert text.count("50.0% (40.0% to 60.0%)") == 2
        path.write_text("{", encoding="utf-8")
        with pytest.raises(WorkspaceError, match=r"accuracy.json: damaged .* assess report"):
            workspace.report(tmp_path / "r.html")
    finally:
        path.unlink()


def test_validation_scenes_that_are_gone_leave_the_rest(workspace, tmp_path):
    copy = tmp_path / "ws"
    shutil.copytree(workspace.root, copy)
    index = json.loads((copy / "workspace.json").read_text())
    (copy / "workspace.json").write_text(json.dumps({**index, "val_dir": "gone"}))
    text = tg.open_workspace(copy).report().read_text(encoding="utf-8")
    assert "cannot be compared" in text and "Most confused" not in text
    (tmp_path / "bare" / "images").mkdir(parents=True)
    shutil.copy(workspace.folder.scenes[0].path, tmp_path / "bare" / "images")
    with pytest.raises(LabelError, match="no labels"):
        workspace.report(tmp_path / "r.html", raster=tmp_path / "bare")
    assert not (tmp_path / "r.html").exists()


def test_without_a_round_the_command_names_the_next_step(folder, tmp_path):
    made = tg.create_workspace(tmp_path / "ws", folder, None, tiny_config())
    result = CliRunner().invoke(cli, ["report", "--workspace", str(made.root)])
    assert isinstance(result.exception, WorkspaceError) and "tsfal-geo train" in str(result.exception)


def test_a_chart_stays_within_its_axes():
    chart = line_chart("answers", {"ours": [(0, 0.2), (37, 1.0)], "full": [(0, 0.9)], "none": []})
    places = [tuple(map(float, point.split(","))) for line in chart.lines for point in line.path.split()]
    assert all(0 < x < WIDTH and 0 < y < HEIGHT for x, y in places)
    assert [(line.name, line.level) for line in chart.lines] == [("ours", False), ("full", True)]
    assert chart.lines[0].dots[0][1] > chart.lines[0].dots[1][1]  # more is higher
    assert [text for _, text in chart.columns] == ["0", "10", "20", "30", "40"]
    assert line_chart("answers", {"ours": []}) is None


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


def contrast(a, b):
    light, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_texts_and_lines_stand_out(page, scheme):
    blocks = re.findall(r":root \{(.*?)\}", page.text, re.DOTALL)
    colours = dict(re.findall(r"--(\w+): (#\w{6})", blocks[scheme]))
    assert set(colours) == set(re.findall(r"var\(--(\w+)\)", page.text)) - {"share"}
    for ground in ("page", "panel", "heat"):
        assert contrast(colours["text"], colours[ground]) >= 4.5, ground
    for name in ("muted", "link", "line0", "line1", "line2", "line3"):
        assert contrast(colours[name], colours["page"]) >= 4.5, name
    assert contrast(colours["muted"], colours["panel"]) >= 4.5
    assert contrast(colours["bar"], colours["page"]) >= 3


def test_wide_tables_are_reached_by_keyboard(page):
    regions = [tag for tag in page.all("div") if tag.get("class") == "scroll"]
    assert len(regions) == len(page.all("table")) >= 5
    assert all(tag["tabindex"] == "0" and tag["aria-label"] for tag in regions)
    assert next(iter(page.all("a")))["class"] == "skip"


@pytest.mark.skipif(CHROMIUM is None, reason="NOT COVERED: the report in a browser; apt-get install chromium")
@pytest.mark.parametrize(("width", "scheme"), [(1200, "light"), (1200, "dark"), (390, "light")])
def test_a_browser_shows_it(workspace, page, tmp_path, width, scheme):
    # Chromium has no window narrower than 500 pixels, so that the phone is a frame within one.
    report = workspace.root / "maps" / "report.html"
    probe = tmp_path / "probe.html"
    script = (
        "<script>onload = () => { const page = frames[0].document, body = page.body;"
        "document.title = JSON.stringify({"
        "wide: page.documentElement.scrollWidth, ground: frames[0].getComputedStyle(body).backgroundColor,"
        "broken: [...page.images].filter(i => !i.naturalWidth).length, images: page.images.length,"
        "small: [...page.querySelectorAll('td')].every(t => t.getBoundingClientRect().height > 15)})"
        "}</script>"
    )
    frame = f'<iframe src="{report.as_uri()}" width="{width}" height="2400" style="border:0"></iframe>'
    probe.write_text(f"<!doctype html><body style='margin:0'>{frame}{script}", encoding="utf-8")
    shown = tmp_path / "shown.png"
    dark = ["--blink-settings=preferredColorScheme=0"] if scheme == "dark" else []
    common = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files"]
    common += [*dark, f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={max(width, 500)},2400"]
    made = subprocess.run(
        [*common, "--dump-dom", probe.as_uri()], capture_output=True, text=True, timeout=60, check=True
    )
    found = json.loads(re.search("<title>(.*?)</title>", made.stdout).group(1))
    assert found["wide"] <= width and found["small"]
    assert (found["images"], found["broken"]) == (10, 0)
    assert found["ground"] == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 24, 29)"}[scheme]
    subprocess.run(
        [*common, f"--screenshot={shown}", probe.as_uri()], capture_output=True, timeout=60, check=True
    )
    picture = np.asarray(Image.open(shown).convert("L"))[:2000, :width]
    assert picture.std() > 10 and (picture.mean() > 128) == (scheme == "light")
