"""Tables beside images: labels, parts and columns from what strangers write, and what they get
wrong."""

from __future__ import annotations

import codecs
import io
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.pictures import lay_out, pack, png
from tests.test_data_folder import load
from vae_core.data import Dataset
from vae_core.data.columns import kind_of
from vae_core.data.described import describe, said_of, without
from vae_core.data.labels import NO_LABEL
from vae_core.data.matching import Names, match
from vae_core.data.tables import READERS, NoTable, read_table
from vae_core.errors import UserError
from vae_core.imaging.listing import Listing
from vae_core.imaging.reading import Skip
from vae_core.progress import no_progress

COUNT = 12
IMAGES = {f"{i:02}.png": png(i) for i in range(COUNT)}
LABELS = {name: "cat" if i % 3 else "dog" for i, name in enumerate(IMAGES)}


def rows_of(*head: str, sep: str = ",", end: str = "\n", **columns: Mapping[str, object]) -> str:
    """CSV of the images with their labels."""
    lines = [sep.join(head)] + [sep.join((name, label)) for name, label in LABELS.items()]
    return end.join(lines) + end


def by_name(dataset: Dataset) -> dict[str, str]:
    """What the label of each image is called."""
    return {
        name: dataset.label_names[label]
        for part in dataset.parts.values()
        for name, label in zip(part.files, part.labels, strict=True)  # type: ignore[arg-type]
    }


def column(dataset: Dataset, name: str) -> dict[str, object]:
    """A column by the names of the images."""
    return {
        file: value.item() if isinstance(value, np.generic) else value
        for part in dataset.parts.values()
        for file, value in zip(part.files, part.columns[name], strict=True)
    }


def made(path: Path, tables: Mapping[str, str | bytes], images=IMAGES, **wishes) -> Dataset:
    files = {n: each.encode() if isinstance(each, str) else each for n, each in tables.items()}
    return load(lay_out(path, {**images, **files}), image_size=8, **wishes)


PLAIN = rows_of("file", "label")
STEMS = rows_of("image_id", "breed").replace(".png", "")


def parquet(columns: Mapping[str, list]) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


TABLES: dict[str, tuple[str, str | bytes]] = {
    "comma": ("labels.csv", PLAIN),
    "tab": ("labels.tsv", rows_of("file", "label", sep="\t")),
    "semicolon": ("labels.csv", rows_of("file", "label", sep=";")),
    "excel": ("labels.csv", "sep=;\r\n" + rows_of("file", "label", sep=";", end="\r\n")),
    "hub": ("metadata.csv", rows_of("file_name", "class")),
    "without extension": ("labels.csv", STEMS),
    "another extension": ("labels.csv", PLAIN.replace(".png", ".JPG")),
    "with folders": ("labels.csv", PLAIN.replace("\n0", "\n./old/place/0")),
    "backslashes": ("labels.csv", PLAIN.replace("\n0", "\nC:\\old\\0")),
    "numbers without zeros": ("labels.csv", STEMS.replace("\n0", "\n")),
    "no head": ("labels.csv", PLAIN.partition("\n")[2]),
    "label first": ("labels.csv", "\n".join(
        ",".join(reversed(line.split(","))) for line in PLAIN.splitlines()
    )),
    "index of pandas": ("labels.csv", "\n".join(
        f"{'' if i == 0 else i - 1},{line}" for i, line in enumerate(PLAIN.splitlines())
    )),
    "byte order mark": ("labels.csv", codecs.BOM_UTF8 + PLAIN.encode()),
    "UTF-16": ("labels.csv", PLAIN.encode("utf-16")),
    "quoted": ("labels.csv", PLAIN.replace("cat", '"cat"').replace("0", '"0', 1).replace(
        ".png", '.png"', 1)),
    "old Mac": ("labels.csv", rows_of("file", "label", end="\r")),
    "lines of JSON": ("metadata.jsonl", "\n".join(
        json.dumps({"file_name": name, "label": label}) for name, label in LABELS.items()
    )),
    "Parquet": ("labels.parquet", parquet({"file": list(LABELS), "label": list(LABELS.values())})),
    "another name": ("train.csv", PLAIN),
    "text": ("labels.txt", rows_of("file", "label", sep=" ")),
    "text without a head": ("val.txt", rows_of("file", "label", sep="   ").partition("\n")[2]),
    "text with commas": ("anything.txt", PLAIN),
    "text as CelebA has it": ("list_label.txt", f"{COUNT}\n" + rows_of("label").replace(
        "\n0", " \r\n0").replace(",", "  ")),
    "repeated": ("labels.csv", PLAIN + PLAIN.partition("\n")[2]),
}  # fmt: skip


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("case", TABLES)
def test_labels_come_from_a_table_however_it_is_written(
    tmp_path: Path, case: str, packed: bool
) -> None:
    name, content = TABLES[case]
    data = content.encode() if isinstance(content, str) else content
    files = {f"in/{each}": what for each, what in {**IMAGES, name: data}.items()}
    path = pack(tmp_path / "x.zip", files) if packed else lay_out(tmp_path / "x", files)
    dataset = load(path, image_size=8)
    assert dataset.label_names == ("cat", "dog")
    assert by_name(dataset) == {f"in/{each}": label for each, label in LABELS.items()}
    assert not any("skipped" in note for note in dataset.notes)
    assert any(f"describes all {COUNT} images" in note for note in dataset.notes), dataset.notes


def test_further_columns_are_numbers_texts_dates_and_attributes(tmp_path: Path) -> None:
    columns = {
        "age": [f"{i}.5" if i else "NaN" for i in range(COUNT)],
        "place": ["Bergün" if i % 2 else "" for i in range(COUNT)],
        "taken": [f"2024-01-{i + 1:02}" for i in range(COUNT)],
        "german": [f"{i + 1:02}.02.2024" for i in range(COUNT)],
        "either": [f"{i % 9 + 1:02}/02/2024" for i in range(COUNT)],
        "smiles": [str(2 * (i % 2) - 1) for i in range(COUNT)],
        "hat": ["true" if i % 2 else "false" for i in range(COUNT)],
        "tags": [["red;round", "round", "blue; round"][i % 3] for i in range(COUNT)],
        "caption": [f"a sentence; with marks, and number {i}" for i in range(COUNT)],
        "empty": [""] * COUNT,
    }
    lines = ["file,label," + ",".join(columns)]
    for i, name in enumerate(IMAGES):
        cells = [f'"{values[i]}"' for values in columns.values()]
        lines.append(f"{name},{LABELS[name]}," + ",".join(cells))
    dataset = made(tmp_path, {"metadata.csv": "\n".join(lines)})
    kinds = {name: kind_of(values) for name, values in dataset.train.columns.items()}
    assert kinds == {
        "age": "number", "place": "text", "taken": "date", "german": "date", "either": "text",
        "smiles": "attribute", "hat": "attribute", "blue": "attribute", "red": "attribute",
        "round": "attribute", "caption": "text",
    }  # fmt: skip
    assert dataset.attribute_names == ("smiles", "hat", "blue", "red", "round")
    assert column(dataset, "age")["03.png"] == 3.5 and np.isnan(column(dataset, "age")["00.png"])
    assert column(dataset, "place")["01.png"] == "Bergün"
    assert str(column(dataset, "german")["04.png"]) == "2024-02-05 00:00:00"
    assert [column(dataset, name)["02.png"] for name in ("red", "blue", "round")] == [0, 1, 1]
    assert column(dataset, "smiles")["00.png"] == 0 and column(dataset, "hat")["01.png"] == 1
    assert by_name(dataset) == LABELS


def test_the_hubs_own_layouts(tmp_path: Path) -> None:
    """A table in each part, names relative to it, and classes of Parquet by their names."""
    images = {
        f"{part}/{i}.png": png(50 * len(part) + i) for part in ("train", "test") for i in range(6)
    }
    tables = {
        f"{part}/metadata.jsonl": "\n".join(
            json.dumps({"file_name": f"{i}.png", "label": f"{part}-{i % 2}", "n": i, "o": {"x": i}})
            for i in range(6)
        )
        for part in ("train", "test")
    }
    dataset = made(tmp_path / "hub", tables, images)
    assert dataset.test is not None and set(dataset.test.files) == {
        f"test/{i}.png" for i in range(6)
    }
    assert dataset.label_names == ("train-0", "train-1", "test-0", "test-1")
    assert all(label == f"{name.split('/')[0]}-{int(name[-5]) % 2}"
               for name, label in by_name(dataset).items())  # fmt: skip
    assert column(dataset, "n")["test/4.png"] == column(dataset, "o.x")["test/4.png"] == 4
    about = {"info": {"features": {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}}}
    rows = pa.table({"file_name": list(IMAGES), "label": [i % 2 for i in range(COUNT)]})
    buffer = io.BytesIO()
    pq.write_table(rows.replace_schema_metadata({"huggingface": json.dumps(about)}), buffer)
    named = made(tmp_path / "named", {"metadata.parquet": buffer.getvalue()})
    assert by_name(named)["05.png"] == "dog" and named.label_names == ("cat", "dog")


def test_a_column_says_which_part_an_image_belongs_to(tmp_path: Path) -> None:
    parts = ["train", "Train", "val", "test"]
    lines = ["image,class,split"] + [
        f"{name},{LABELS[name]},{parts[i % 4]}" for i, name in enumerate(IMAGES) if i < COUNT - 1
    ]
    dataset = made(tmp_path, {"labels.csv": "\n".join(lines)})
    assert set(dataset.validation.files) == {"02.png", "06.png", "10.png"}
    assert dataset.test is not None and set(dataset.test.files) == {"03.png", "07.png"}
    assert len(dataset.train) == 7 and "11.png" in dataset.train.files
    assert any("“split” names parts of the images: 7 train, 3 validation, 2 test" in note
               for note in dataset.notes)  # fmt: skip


def test_the_label_can_be_chosen_and_the_folder_is_one_of_them(tmp_path: Path) -> None:
    images = {f"{'ab'[i % 2]}/{i:02}.png": png(i) for i in range(COUNT)}
    lines = ["file,species,label,size"] + [
        f"{name},{'xy'[i % 2]}{i % 3},{i % 3},{i / 7}" for i, name in enumerate(images)
    ]
    table = {"labels.csv": "\n".join(lines)}
    own = made(tmp_path, table, images)
    assert own.label_names == ("0", "1", "2")
    assert set(own.train.columns) == {"species", "size", "folder"}
    chosen = made(tmp_path, table, images, label_column="Species")
    assert chosen.label_names == ("x0", "x1", "x2", "y0", "y1", "y2")
    assert set(chosen.train.columns) == {"label", "size", "folder"}
    folder = made(tmp_path, table, images, label_column="folder")
    assert folder.label_names == ("a", "b") and "folder" not in folder.train.columns
    with pytest.raises(
        UserError, match=r"no column 'spezies'.*one of 'species', 'label', 'size', 'f"
    ):
        made(tmp_path, table, images, label_column="spezies")


def test_the_folder_as_label_column_asks_no_table(tmp_path: Path) -> None:
    dataset = made(tmp_path, {"labels.csv": PLAIN}, label_column="folder")
    assert dataset.label_names == () and set(dataset.train.columns) == {"label"}


def test_a_measure_or_a_caption_is_no_label(tmp_path: Path) -> None:
    for i, values in enumerate(
        ([f"{k}.25" for k in range(COUNT)], [f"text {k}" for k in range(COUNT)])
    ):
        lines = ["file,target"] + [f"{n},{v}" for n, v in zip(IMAGES, values, strict=True)]
        dataset = made(tmp_path / str(i), {"labels.csv": "\n".join(lines)})
        assert dataset.label_names == () and "target" in dataset.train.columns
        assert any(note.startswith("“target” was not taken for") for note in dataset.notes)


@pytest.mark.parametrize("column", ["label", "species"])
def test_a_table_that_names_few_images_labels_these(tmp_path: Path, column: str) -> None:
    """Two of them, differently: it was a mere column, and nothing was said."""
    first, second, *others = IMAGES
    lines = [f"file,{column}", f"{first},cat", f"{second},dog"]
    dataset = made(tmp_path, {"labels.csv": "\n".join(lines)})
    assert dataset.label_names == (NO_LABEL, "cat", "dog")
    labels = by_name(dataset)
    assert (labels[first], labels[second]) == ("cat", "dog")
    assert {labels[name] for name in others} == {NO_LABEL}
    said = f"3 of them, and {COUNT - 2} of {COUNT} images have none, which is “{NO_LABEL}”."
    assert any(note.endswith(said) for note in dataset.notes)


def test_columns_of_which_one_is_set_are_a_label(tmp_path: Path) -> None:
    lines = ["image,MEL,NV,BCC"] + [
        name + "," + ",".join("1.0" if i % 3 == k else "0.0" for k in range(3))
        for i, name in enumerate(n.removesuffix(".png") for n in IMAGES)
    ]
    dataset = made(tmp_path, {"ISIC_GroundTruth.csv": "\n".join(lines)})
    assert dataset.label_names == ("BCC", "MEL", "NV")
    assert by_name(dataset)["01.png"] == "NV" and dataset.train.columns == {}


def test_numbers_are_in_their_order_and_lose_the_point_of_pandas(tmp_path: Path) -> None:
    lines = ["file,label"] + [f"{n},{i % 6 * 2}.0" for i, n in enumerate(IMAGES)]
    assert made(tmp_path, {"labels.csv": "\n".join(lines)}).label_names == (
        "0", "2", "4", "6", "8", "10",
    )  # fmt: skip


def test_a_row_about_a_file_of_many_pictures_is_about_all_of_them() -> None:
    from vae_core.data.matching import Names

    names = Names(
        ["a/stack.tif#01", "a/stack.tif#02", "b/one.png", "c/one.png", "0007.png", "x.01.png"]
    )
    assert np.array_equal(names.find("stack.tif"), [0, 1]) and np.array_equal(
        names.find("A/Stack"), [0, 1]
    )
    assert names.find("stack.tif#02") == 1
    assert names.find("one.png") == -2 and names.find("old/c/one.png") == 3
    assert names.find("7") == -1 and names.find_number("7") == 4
    assert names.find("x.01") == 5 and names.find("x.02") == -1 and names.find("") == -1


# --- what is wrong with them ----------------------------------------------------------------------


def test_unknown_missing_repeated_and_ragged_rows_are_counted_and_the_rest_counts(
    tmp_path: Path,
) -> None:
    lines = ["file,label,n", "gone.png,cat,1", "lost.png,cat,2", "00.png,dog,3", "00.png,cat,4",
             "01.png,cat", "02.png,cat,5,6,7", "03.png,dog,8,,", ",cat,9", "",
             *(f"{name},{label},1" for name, label in list(LABELS.items())[4:-1])]  # fmt: skip
    dataset = made(tmp_path, {"labels.csv": "\n".join(lines)})
    found = by_name(dataset)
    assert found["00.png"] == found["03.png"] == "dog" and found["01.png"] == "cat"
    assert found["02.png"] == found["11.png"] == NO_LABEL
    assert np.isnan(column(dataset, "n")["01.png"]) and column(dataset, "n")["00.png"] == 3
    assert len(dataset.train) + len(dataset.validation) == COUNT
    (note,) = (each for each in dataset.notes if each.startswith("labels.csv"))
    for said in (
        "describes 10 of 12 images, by its column “file”",
        "2 rows name no image here (gone.png, lost.png)",
        "1 row is about an image that has one already, and the first counts (00.png)",
        "1 row has fewer fields than its head, and the missing ones count as empty (such as “01",
        "1 row has more fields than its head, and was left out (such as “02.png,cat,5,6,7”)",
    ):
        assert said in note
    assert any(f"images have none, which is “{NO_LABEL}”" in each for each in dataset.notes)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "labels.csv was left aside: it is empty."),
        (b"\n\n", "labels.csv was left aside: it is empty."),
        (b"file,label\n", "labels.csv was left aside: it has no rows."),
        (b"\x00\xff\x00\xfe" * 50, "labels.csv was left aside: "),
        (b"file,label\nx.jpg,cat\ny.jpg,dog\n",
         "labels.csv was left aside: none of its 2 rows names an image (it begins with “x.jpg”, "
         "the images with “00.png”)."),
    ],
)  # fmt: skip
def test_a_table_of_nothing_is_left_aside_with_a_sentence(
    tmp_path: Path, content: bytes, said: str
) -> None:
    dataset = made(tmp_path, {"labels.csv": content})
    assert dataset.label_names == () and len(dataset.train) + len(dataset.validation) == COUNT
    assert any(note.startswith(said) for note in dataset.notes), dataset.notes


def test_another_encoding_is_guessed_and_said(tmp_path: Path) -> None:
    dataset = made(tmp_path, {"labels.csv": PLAIN.replace("dog", "Hündin").encode("cp1252")})
    assert dataset.label_names == ("Hündin", "cat")
    assert any("not in UTF-8 and was read as Windows-1252" in note for note in dataset.notes)


def test_a_lone_quote_swallows_no_rows(tmp_path: Path) -> None:
    dataset = made(tmp_path, {"labels.csv": PLAIN.replace("cat", '5" cat', 1)})
    assert sorted(dataset.label_names) == ['5" cat', "cat", "dog"]
    assert len(by_name(dataset)) == COUNT and NO_LABEL not in dataset.label_names


def test_lines_that_are_no_objects_are_counted(tmp_path: Path) -> None:
    lines = [json.dumps({"file_name": n, "label": label}) for n, label in LABELS.items()]
    lines[3:3] = ["{broken", "[1]", "[" * 100_000]
    dataset = made(tmp_path, {"metadata.jsonl": "\n".join(lines)})
    assert by_name(dataset) == LABELS
    assert any("3 lines are no objects in JSON and left out (such as line 4)" in note
               for note in dataset.notes)  # fmt: skip


def test_attributes_as_celeba_writes_them(tmp_path: Path) -> None:
    """Its head has one name fewer than there are columns; it was "no image"."""
    rows = "".join(
        f"{name} {' '.join(f'{1 if i % k else -1:2d}' for k in (2, 3))}\n"
        for i, name in enumerate(IMAGES)
    )
    dataset = made(tmp_path, {"list_attr_celeba.txt": f"{COUNT}\nSmiling Wearing_Hat \n{rows}"})
    assert dataset.attribute_names == ("Smiling", "Wearing_Hat")
    smiling = column(dataset, "Smiling")
    assert [smiling[name] for name in IMAGES] == [i % 2 for i in range(COUNT)]
    assert all("skipped" not in note for note in dataset.notes)


def test_texts_beside_images_are_no_tables(tmp_path: Path) -> None:
    texts = {"readme.txt": "Images by me.\n\nSee 00.png first.\n", "00.txt": "a red house",
             "empty.txt": "", "numbers.txt": "1 2 3\n4 5 6\n"}  # fmt: skip
    dataset = made(tmp_path, texts)
    assert dataset.label_names == () and dataset.train.columns == {}
    assert dataset.notes[0] == (
        f"4 of {COUNT + 4} files were skipped: 00.txt (no image), empty.txt (no image), "
        "numbers.txt (no image), readme.txt (no image)."
    )


@pytest.mark.parametrize("name", ["labels.parquet", "data.parquet", "labels.xlsx"])
def test_a_table_that_is_damaged_costs_no_image(tmp_path: Path, name: str) -> None:
    """A Parquet file whose end is cut raised, as if the disk were to blame."""
    for number, data in enumerate((b"PAR1" + bytes(40) + b"PAR1", b"PAR1", b"\0" * 20)):
        dataset = made(tmp_path / str(number), {name: data})
        assert len(dataset.train) + len(dataset.validation) == COUNT
        assert sum(name in note for note in dataset.notes) == 1, dataset.notes


def test_names_that_fit_several_images_are_told(tmp_path: Path) -> None:
    """They "named no image"."""
    images = {f"{folder}/{i}.png": png(i + 9 * (folder == "b")) for folder in "ab" for i in "012"
              for i in [int(i)]}  # fmt: skip
    dataset = made(tmp_path, {"labels.csv": "file,label\n0.png,x\n1.png,y\n7.png,y\n"}, images)
    assert dataset.label_names == ("a", "b")
    assert (
        "labels.csv was left aside: 2 names fit several images (0.png, 1.png); write them with "
        "their folders." in dataset.notes
    )


NOISE = st.one_of(
    st.binary(max_size=300),
    st.text("ab,;\t|\"'\n\r 01.png{}[]:\0é", max_size=200).map(str.encode),
    st.binary(max_size=80).map(lambda body: b"PAR1" + body + b"PAR1"),
    st.binary(max_size=80).map(lambda body: b"8\nfile label\n" + body),
)


@settings(deadline=None)
@given(data=NOISE, ending=st.sampled_from(sorted(READERS)))
def test_anything_is_a_table_or_none(data: bytes, ending: str) -> None:
    try:
        table = read_table(f"labels{ending}", data, IMAGES.__contains__)
    except NoTable as reason:
        assert str(reason)
        return
    assert table.rows.num_rows and set(map(str, table.rows.schema.types)) == {"string"}
    assert match(table.rows, Names(list(IMAGES)), COUNT) is None or table.rows.num_columns


def test_names_of_macs_and_of_accents_are_the_same(tmp_path: Path) -> None:
    images = {f"Ålesund{i}.png": png(i) for i in range(6)}
    rows = "".join(f"A\u030alesund{i}.png,{'ab'[i % 2]}\n" for i in range(6))
    dataset = made(tmp_path, {"labels.csv": "file,label\n" + rows}, images)
    assert sorted(dataset.label_names) == ["a", "b"]


def test_a_decimal_comma_is_one_where_the_delimiter_is_another(tmp_path: Path) -> None:
    lines = ["file;weight"] + [f"{n};{i},5" for i, n in enumerate(IMAGES)]
    dataset = made(tmp_path, {"labels.csv": "\n".join(lines)})
    assert column(dataset, "weight")["03.png"] == 3.5


def test_a_table_that_only_lies_there_is_skipped_as_before(tmp_path: Path) -> None:
    dataset = made(tmp_path, {"losses.csv": "step,loss\n1,2\n2,1\n3,0.5\n"})
    assert dataset.label_names == () and dataset.train.columns == {}
    assert "1 of 13 files was skipped: losses.csv (no image)." in dataset.notes
    assert not any("losses.csv" in note and "left aside" in note for note in dataset.notes)


def test_an_unreadable_table_is_an_error_and_a_linked_one_in_an_upload_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vae_core.imaging import walk

    path = lay_out(tmp_path / "x", {**IMAGES, "labels.csv": PLAIN.encode()})
    whole = walk.read_whole

    def failing(place, *args, **more):
        if str(place).endswith(".csv"):
            raise OSError(5, "Input/output error")
        return whole(place, *args, **more)

    monkeypatch.setattr(walk, "read_whole", failing)
    with pytest.raises(UserError, match=r"labels.csv in .* could not be read: Input/output error"):
        load(path)
    monkeypatch.undo()
    (path / "labels.csv").unlink()
    secret = tmp_path / "secret.csv"
    secret.write_text(PLAIN)
    (path / "labels.csv").symlink_to(secret)
    assert load(path, image_size=8).label_names == ("cat", "dog")
    assert walk.list_folder(path, links=False).skipped[0].reason == "a link"


def test_what_files_say_of_their_own_pictures_counts_as_a_table_does() -> None:
    """Parquet, HDF5 and WebDataset bring labels and columns; a table beside them fills the gaps."""
    listing = Listing(
        Path("x"), ("a.tar/1.png", "a.tar/2.png", "a.tar/3.png", "b.png"), np.zeros((4, 2), int),
        lambda i: b"", (Skip("labels.csv", "no image"),), labels=("cat", "dog", "cat", ""),
        columns={"age": (1.5, None, 3.0, 4.0), "text": ("x", "y", None, "x")},
        read_other=lambda name: b"file,label,by\nb,dog,hand\n1,fox,hand\n",
    )  # fmt: skip
    said = said_of(listing, no_progress)
    found = describe(said, None, None)
    assert found.labels is not None and found.labels.tolist() == ["cat", "dog", "cat", "dog"]
    assert found.columns["age"].tolist()[2:] == [3.0, 4.0] and np.isnan(found.columns["age"][1])
    assert found.columns["text"].tolist() == ["x", "y", "", "x"]
    assert found.columns["by"].tolist() == ["hand", "", "", "hand"]
    assert said.used == {"labels.csv"} and without(listing, said.used).skipped == ()
