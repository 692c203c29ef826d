"""Schemas out of generated JavaScript."""

import pytest

from tests.deploy.generated_schema import GeneratedModule

# Shortened from what CDK for Terraform generates: one argument of each kind.
SOURCE = """
function shelfBookToHclTerraform(struct) {
    const attrs = {
        title: { value: cdktn.stringToHclTerraform(struct.title), isBlock: false, type: "simple",
            storageClassType: "string" },
    };
}
class ShelfBookOutputReference extends cdktn.ComplexObject {
    // title - computed: false, optional: false, required: true
    _title;
    get title() { return this.getStringAttribute('title'); }
}
class ShelfBookList extends cdktn.ComplexList { }
function shelfPlaceToHclTerraform(struct) {
    const attrs = {
        room: { value: cdktn.numberToHclTerraform(struct.room), isBlock: false, type: "simple",
            storageClassType: "number" },
    };
}
class ShelfPlaceOutputReference extends cdktn.ComplexObject {
    // room - computed: true, optional: true, required: false
    _room;
    get room() { return this.getNumberAttribute('room'); }
}
class ShelfLoanOutputReference extends cdktn.ComplexObject {
    // reader - computed: true, optional: false, required: false
    get reader() {
        return this.getStringAttribute('reader');
    }
}
class Shelf extends cdktn.TerraformResource {
    // arn - computed: true, optional: false, required: false
    get arn() {
        return this.getStringAttribute('arn');
    }
    // loans - computed: true, optional: false, required: false
    _loans = new ShelfLoanList(this, "loans", true);
    get loans() { }
    // tags_all - computed: true, optional: false, required: false
    _tagsAll = new cdktn.StringMap(this, "tags_all");
    get tagsAll() { }
    // topics - computed: false, optional: true, required: false
    _topics;
    get topics() { }
    // book - computed: false, optional: false, required: true
    _book;
    get book() { }
    // place - computed: false, optional: true, required: false
    _place;
    get place() { }
    // series - computed: false, optional: true, required: false
    _series;
    get series() { }
    synthesizeHclAttributes() {
        const attrs = {
            topics: { value: cdktn.listMapperHcl(cdktn.stringToHclTerraform, false)(this._topics),
                isBlock: false, type: "set", storageClassType: "stringList" },
            book: { value: cdktn.listMapperHcl(shelfBookToHclTerraform, true)(this._book),
                isBlock: true, type: "list", storageClassType: "ShelfBookList" },
            place: { value: shelfPlaceToHclTerraform(this._place),
                isBlock: true, type: "list", storageClassType: "ShelfPlaceList" },
            series: { value: cdktn.listMapperHcl(shelfBookToHclTerraform, false)(this._series),
                isBlock: true, type: "list", storageClassType: "ShelfBookList" },
        };
    }
}
"""


def test_each_kind_of_argument_becomes_what_the_provider_said() -> None:
    title = {"title": {"type": "string", "required": True}}
    room = {"room": {"type": "number", "computed": True, "optional": True}}
    loan = ["object", {"reader": "string"}]
    assert GeneratedModule(SOURCE).schema()["block"] == {
        "attributes": {
            "topics": {"type": ["set", "string"], "optional": True},
            "series": {
                "nested_type": {"attributes": title, "nesting_mode": "list"},
                "optional": True,
            },
            "arn": {"type": "string", "computed": True},
            "loans": {"type": ["set", loan], "computed": True},
            "tags_all": {"type": ["map", "string"], "computed": True},
        },
        "block_types": {
            "book": {"nesting_mode": "list", "block": {"attributes": title}, "min_items": 1},
            "place": {"nesting_mode": "list", "block": {"attributes": room}, "max_items": 1},
        },
    }


def test_an_older_package_says_by_a_reset_what_is_optional() -> None:
    source = """
class Shelf extends cdktf.TerraformResource {
    resetColour() { }
    synthesizeHclAttributes() {
        const attrs = {
            colour: { value: cdktf.stringToHclTerraform(this._colour), isBlock: false,
                type: "simple", storageClassType: "string" },
            width: { value: cdktf.numberToHclTerraform(this._width), isBlock: false,
                type: "simple", storageClassType: "number" },
        };
    }
}
"""
    assert GeneratedModule(source).schema()["block"] == {
        "attributes": {
            "colour": {"type": "string", "optional": True},
            "width": {"type": "number", "required": True},
        }
    }


def test_another_file_is_refused() -> None:
    with pytest.raises(ValueError, match="no class"):
        GeneratedModule("class Shelf {}").schema()
