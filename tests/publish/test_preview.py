"""The page of a crate for people: what is in it, and nothing of another machine as markup."""

from bs4 import BeautifulSoup

from helpers.publish.preview import preview_text

HOSTILE = "</title><script>alert(1)</script>"


def crate(**values: object) -> dict[str, object]:
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": f"Runs {HOSTILE}",
        "description": HOSTILE,
        "author": {"@id": "#makers"},
        "license": {"@id": "https://creativecommons.org/licenses/by/4.0/"},
        "version": "0.1.0",
        **values,
    }
    file = {
        "@id": "a b/record.json",
        "@type": "File",
        "name": HOSTILE,
        "encodingFormat": "application/json",
        "contentSize": "12",
        "sha256": "0123456789abcdef0123",
    }
    others = [
        {"@id": "#makers", "@type": "Organization", "name": "The makers"},
        {"@id": "https://creativecommons.org/licenses/by/4.0/", "@type": "CreativeWork", "name": "CC BY"},
        {"@id": "https://example.org/texts", "@type": "Dataset", "name": "elsewhere"},
    ]
    return {"@graph": [root, file, *others]}


def test_it_says_what_the_crate_is_and_what_is_in_it() -> None:
    soup = BeautifulSoup(preview_text(crate(), ["Do this.", "Then <that>."]), "html.parser")
    facts = {row.th.get_text(): row.td.get_text() for row in soup.select("table")[0].select("tr")}
    assert facts == {"Author": "The makers", "Licence": "CC BY", "Version": "0.1.0"}
    assert [item.get_text() for item in soup.select("ol li")] == ["Do this.", "Then <that>."]
    (row,) = soup.select("tbody tr")
    assert [cell.get_text().strip() for cell in row.select("td")] == [
        HOSTILE,
        "application/json",
        "12",
        "0123456789abcdef",
    ]
    assert row.a["href"] == "a b/record.json"


def test_texts_of_others_are_no_markup() -> None:
    soup = BeautifulSoup(preview_text(crate(author=HOSTILE), [HOSTILE]), "html.parser")
    assert not soup.select("script")
    assert soup.h1.get_text() == f"Runs {HOSTILE}"


def test_an_address_that_is_no_web_address_is_no_link() -> None:
    text = preview_text(crate(author={"@id": "javascript:alert(1)"}), [])
    assert 'href="javascript' not in text
