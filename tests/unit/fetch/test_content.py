"""Which text of a page is its own, and how it reads."""

import pytest

from app.fetch.passages import Section


def test_text_stands_under_its_heading_in_document_order(parse):
    page = parse("<body>Intro<h1>One <em>more</em></h1><p>First</p><p>Second</p><div><h2>Two</h2>Third</div></body>")

    assert page.sections == (Section("", "Intro"), Section("One more", "First\n\nSecond"), Section("Two", "Third"))


def test_a_heading_without_text_is_kept(parse):
    page = parse("<h1>Title</h1><h2>Part</h2><p>Text</p><h2>  </h2>")

    assert page.sections == (Section("Title", ""), Section("Part", "Text"))


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>a\n  b\t c</p>", "a b c"),
        ("<p>a<br>b</p>", "a\nb"),
        ("<ul><li>a</li><li>b</li></ul>", "a\nb"),
        ("<dl><dt>a</dt><dd>b</dd></dl>", "a\nb"),
        ("<table><tr><th>a</th><td>b</td></tr><tr><td>c</td><td>d</td></tr></table>", "a | b\nc | d"),
        ("<table><tr><td><p>a</p></td><td></td><td><p>b</p></td></tr></table>", "a | | b"),
        ("<table><tr><td></td><th>b</th></tr><tr><th>c</th><td></td></tr><tr><td>e</td></tr></table>", "| b\nc |\ne"),
        ("<table><tr><td><p>a</p><p>b</p></td></tr></table>", "a\n\nb"),
        ("a<br><br>b<br>c", "a\n\nb\nc"),
        ("<pre>def f():\n    return  1\n</pre>", "def f():\n    return  1"),
        ("<pre>  \n\n  a\n\n\n  b </pre>", "  a\n\n\n  b"),
        ("<pre>  </pre>", ""),
        ("<p>in<b>line</b>d <i> words</i></p>", "inlined words"),
        ("<p>a&nbsp;b &lt;c&gt; &amp; &eacute;</p>", "a b <c> & é"),
        ("<p>a<!-- no -->b</p>", "ab"),
        ("<p>a<script>no</script>b<style>no</style>c</p>", "abc"),
        ("<div>a<div>b</div>c</div>", "a\n\nb\n\nc"),
        ("a\x00b\x1fc", "a b c"),
        ("<p>unclosed <b>tags<p>everywhere", "unclosed tags\n\neverywhere"),
    ],
)
def test_text_reads_as_it_looks(html, text, text_of):
    assert text_of(f"<body>{html}</body>") == text


@pytest.mark.parametrize(
    "frame",
    [
        "<nav>no</nav>",
        "<header>no</header>",
        "<footer>no</footer>",
        "<aside>no</aside>",
        "<script>no</script>",
        "<noscript>no</noscript>",
        "<template>no</template>",
        "<div role='navigation'>no</div>",
        "<div role='banner'>no</div>",
        "<div role='dialog'>no</div>",
        "<div hidden>no</div>",
        "<div aria-hidden='true'>no</div>",
        "<div style='color: red; DISPLAY:none'>no</div>",
        "<div id='cookie-banner'>no</div>",
        "<div class='site cookieConsent big'>no</div>",
        "<div id='onetrust-consent-sdk'><p>no</p></div>",
        "<div class='cc-window'>no</div>",
        "<button>no</button>",
        "<select><option>no</select>",
    ],
)
def test_the_frame_is_left_out_and_what_follows_it_kept(frame, text_of):
    assert text_of(f"<body><p>before</p>{frame}after</body>") == "before\n\nafter"


def test_a_header_inside_the_article_is_text(text_of):
    assert text_of("<body><header>no</header><article><header><h1>Title</h1></header>text</article>") == "Title\ntext"


@pytest.mark.parametrize("name", ["cookie-recipes", "consenting-adults", "main-content"])
def test_a_page_about_cookies_is_text(name, text_of):
    assert text_of(f"<div class='{name}'>text</div>") == "text"


def test_a_class_on_the_body_does_not_make_the_page_a_banner(text_of):
    assert text_of("<body class='cookie-banner-shown'><p>text</p></body>") == "text"


def test_a_banners_wrapper_around_the_whole_page_is_not_a_banner(text_of):
    assert text_of("<div class='cookie-wrapper'><main>text</main></div>") == "text"


@pytest.mark.parametrize(
    "main",
    [
        "<main>the text of the page</main>",
        "<div role='main'>the text of the page</div>",
        "<article>the text of</article><article>the page</article>",
        "<main><article>the text</article> of the page</main>",
        "<main>the text <main>of the page</main></main>",
        "<article>the text <article>of the page</article></article>",
    ],
)
def test_the_main_part_is_preferred_and_read_once(main, text_of):
    text = text_of(f"<body><div>Sold out!</div>{main} Read more <div>elsewhere</div></body>")

    assert text.split() == ["the", "text", "of", "the", "page"]


def test_a_main_part_with_hardly_any_text_is_not_believed(text_of):
    text = text_of(f"<body><main>x</main><div>{'the real text ' * 20}</div></body>")

    assert "the real text" in text


def test_without_a_main_part_blocks_of_links_are_left_out(text_of):
    menu = "".join(f"<li><a href='/{number}'>Menu entry</a></li>" for number in range(9))
    text = text_of(
        f"<body><ul>{menu}</ul><p>{'Long text. ' * 30}<a href='/x'>A link</a> in it.</p><p><a href='/y'>Alone</a></p>"
    )

    assert "Menu entry" not in text
    assert "A link in it." in text
    assert "Alone" in text


def test_a_page_of_nothing_but_links_keeps_them(text_of):
    entries = "".join(f"<li><a href='/{number}'>Chapter {number}</a></li>" for number in range(9))

    assert "Chapter 8" in text_of(f"<body><ul>{entries}</ul></body>")
