//! A report as one HTML file: text, tables, charts and images, all of them in the file. What it shows may come from anybody's
//! data; the template escapes every text, and the policy in its head forbids scripts and requests of any kind.

use super::palette::Rgb;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};

/// Nothing is loaded, and nothing runs.
const POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";

const STYLE: &str = "\
:root { color-scheme: light; --ink: #1f2937; --soft: #4b5563; --line: #dfe3e8 }
* { box-sizing: border-box }
body { margin: 0; background: #f3f5f7; color: var(--ink); font: 15px/1.5 system-ui, 'DejaVu Sans', sans-serif }
main { max-width: 1200px; margin: 0 auto; padding: 28px 20px 60px }
h1 { font-size: 26px; margin: 0 0 4px; overflow-wrap: anywhere }
h2 { font-size: 18px; margin: 0 0 12px; overflow-wrap: anywhere }
h3 { font-size: 15px; margin: 18px 0 8px }
section { background: #fff; border: 1px solid var(--line); border-radius: 8px; padding: 20px 22px; margin: 18px 0 }
p { margin: 0 0 10px; max-width: 90ch; overflow-wrap: anywhere }
.sub { color: var(--soft); margin-bottom: 0 }
.row { display: flex; flex-wrap: wrap; gap: 20px 28px; align-items: flex-start }
.row > div { max-width: 100% }
.row p { max-width: 60ch }
svg { display: block; max-width: 100%; height: auto }
figure { margin: 0 }
.wide { overflow-x: auto }
img { display: block; max-width: 100%; image-rendering: auto; border: 1px solid var(--line) }
.thumbs { display: grid; grid-template-columns: repeat(auto-fill, minmax(124px, 1fr)); gap: 16px; margin-bottom: 14px }
.thumbs img, .thumbs .none { width: 124px; height: 124px; object-fit: contain; background: #f8f9fa }
.thumbs .none { border: 1px solid var(--line) }
.thumbs img.small { image-rendering: pixelated }
.thumbs figcaption { font-size: 13px; line-height: 1.35; margin-top: 5px; overflow-wrap: anywhere }
.thumbs b { color: #be4b00 }
.value { color: var(--soft); white-space: nowrap }
table { border-collapse: collapse; font-size: 14px; font-variant-numeric: tabular-nums }
th { text-align: left; font-weight: 600; border-bottom: 2px solid var(--line) }
th, td { padding: 4px 18px 4px 0; vertical-align: top; overflow-wrap: anywhere }
td { border-bottom: 1px solid #eef0f2; min-width: 4em }
.facts td:first-child { color: var(--soft); white-space: nowrap }
.figures { display: flex; flex-wrap: wrap; gap: 12px 44px; margin: 14px 0 4px }
.figures div { line-height: 1.25 }
.figures .number { font-size: 24px; font-weight: 600 }
.figures .name { color: var(--soft); font-size: 13px }
pre { background: #f3f5f7; border-radius: 6px; padding: 12px 14px; margin: 0 0 10px; font-size: 13px; overflow-x: auto; white-space: pre-wrap; overflow-wrap: anywhere }
ul { margin: 0 0 10px; padding-left: 22px }
li { overflow-wrap: anywhere }
.legend { display: flex; flex-wrap: wrap; gap: 4px 24px; margin: 0 0 10px; padding: 0; list-style: none; font-size: 14px }
.legend i { display: inline-block; width: 18px; height: 4px; border-radius: 2px; margin-right: 8px; vertical-align: middle }
summary { cursor: pointer; color: var(--soft) }
@media print { section { break-inside: avoid } }
";

/// A report.
#[derive(Clone, Debug, Default)]
pub struct Page {
    pub title: String,
    /// A line below the title.
    pub subtitle: String,
    pub sections: Vec<Section>,
}

/// A part of a report.
#[derive(Clone, Debug, Default)]
pub struct Section {
    pub heading: String,
    pub blocks: Vec<Block>,
}

/// What stands in a section.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Block {
    /// A paragraph.
    Text(String),
    /// A smaller heading.
    Heading(String),
    /// The main numbers, each with its name.
    Figures(Vec<[String; 2]>),
    /// Names and values.
    Facts(Vec<[String; 2]>),
    /// A head and rows of the same length.
    Table {
        head: Vec<String>,
        rows: Vec<Vec<String>>,
    },
    /// A drawing, the text of an SVG file of this crate: it is not escaped.
    Svg(String),
    /// A PNG file, and what it shows.
    Png {
        bytes: Vec<u8>,
        what: String,
    },
    /// Wrong answers.
    Mistakes(Vec<Thumbnail>),
    /// Text as it stands, such as a command.
    Verbatim(String),
    List(Vec<String>),
    /// Names with the colours that stand for them.
    Legend(Vec<(Rgb, String)>),
    /// Blocks side by side where there is room.
    Row(Vec<Vec<Block>>),
    /// Blocks that a click shows.
    Folded {
        summary: String,
        blocks: Vec<Block>,
    },
}

/// A wrong answer to an image.
#[derive(Clone, Debug)]
pub struct Thumbnail {
    /// A PNG file and its width; `None` where the image cannot be shown.
    pub png: Option<(Vec<u8>, usize)>,
    pub answer: String,
    pub value: String,
    pub truth: String,
}

impl Page {
    /// The file.
    pub fn html(&self) -> String {
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta http-equiv="Content-Security-Policy" content=(POLICY);
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    // Without it a browser asks the server for one.
                    link rel="icon" href="data:,";
                    title { (plain(&self.title)) }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    main {
                        h1 { (plain(&self.title)) }
                        p class="sub" { (plain(&self.subtitle)) }
                        @for section in &self.sections {
                            section {
                                h2 { (plain(&section.heading)) }
                                @for block in &section.blocks { (block.markup()) }
                            }
                        }
                    }
                }
            }
        };
        page.into_string()
    }
}

impl Block {
    fn markup(&self) -> Markup {
        match self {
            Block::Text(text) => html! { p { (plain(text)) } },
            Block::Heading(text) => html! { h3 { (plain(text)) } },
            Block::Figures(figures) => html! {
                div class="figures" {
                    @for [number, name] in figures {
                        div { div class="number" { (plain(number)) } div class="name" { (plain(name)) } }
                    }
                }
            },
            Block::Facts(facts) => html! {
                table class="facts" {
                    @for [name, value] in facts { tr { td { (plain(name)) } td { (plain(value)) } } }
                }
            },
            Block::Table { head, rows } => html! {
                div class="wide" {
                    table {
                        thead { tr { @for name in head { th { (plain(name)) } } } }
                        tbody { @for row in rows { tr { @for value in row { td { (plain(value)) } } } } }
                    }
                }
            },
            Block::Svg(text) => html! { figure class="wide" { (PreEscaped(text)) } },
            Block::Png { bytes, what } => html! { img src=(source(bytes)) alt=(plain(what)); },
            Block::Mistakes(mistakes) => html! {
                div class="thumbs" { @for mistake in mistakes { (mistake.markup()) } }
            },
            Block::Verbatim(text) => html! { pre { (plain(text)) } },
            Block::List(lines) => html! { ul { @for line in lines { li { (plain(line)) } } } },
            Block::Legend(names) => html! {
                ul class="legend" {
                    @for (colour, name) in names {
                        li { i style=(format!("background: {}", colour.css())) {} (plain(name)) }
                    }
                }
            },
            Block::Row(columns) => html! {
                div class="row" {
                    @for column in columns { div { @for block in column { (block.markup()) } } }
                }
            },
            Block::Folded { summary, blocks } => html! {
                details { summary { (plain(summary)) } @for block in blocks { (block.markup()) } }
            },
        }
    }
}

impl Thumbnail {
    fn markup(&self) -> Markup {
        // The pixels of small images are to be seen.
        let class = |width: usize| if width < 100 { "small" } else { "" };
        html! {
            figure {
                @match &self.png {
                    Some((bytes, width)) => { img class=(class(*width)) src=(source(bytes)) alt=(plain(&self.truth)); }
                    None => { div class="none" {} }
                }
                figcaption {
                    b { (plain(&self.answer)) } " " span class="value" { (plain(&self.value)) }
                    br;
                    "true: " (plain(&self.truth))
                }
            }
        }
    }
}

fn source(png: &[u8]) -> String {
    format!("data:image/png;base64,{}", STANDARD.encode(png))
}

/// `text` without characters that change the direction of what follows, and control characters, which HTML forbids.
fn plain(text: &str) -> String {
    text.split('\n').map(crate::error::printable).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever stands in a name, it is text in the page: no element, no attribute, no end of a string.
    #[test]
    fn every_text_is_escaped_wherever_it_stands() {
        let bad = || "</title><script>alert(1)</script>\"'><img src=x onerror=alert(1)> \u{202e}".to_string();
        let pair = || [bad(), bad()];
        let thumbnail = Thumbnail { png: Some((vec![1], 28)), answer: bad(), value: bad(), truth: bad() };
        let blocks = vec![
            Block::Text(bad()),
            Block::Heading(bad()),
            Block::Figures(vec![pair()]),
            Block::Facts(vec![pair()]),
            Block::Table { head: vec![bad()], rows: vec![vec![bad()]] },
            Block::Png { bytes: vec![1, 2, 3], what: bad() },
            Block::Mistakes(vec![thumbnail]),
            Block::Verbatim(bad()),
            Block::List(vec![bad()]),
            Block::Legend(vec![(Rgb([1, 2, 3]), bad())]),
            Block::Row(vec![vec![Block::Text(bad())]]),
            Block::Folded { summary: bad(), blocks: vec![Block::Text(bad())] },
        ];
        let sections = vec![Section { heading: bad(), blocks }];
        let text = Page { title: bad(), subtitle: bad(), sections }.html();
        assert!(
            !text.contains("<script") && !text.contains("<img src=x") && !text.contains('\u{202e}'),
            "{text}"
        );
        // The title stands twice, and so does the true class of a mistake.
        assert_eq!(text.matches("&lt;script&gt;alert(1)&lt;/script&gt;&quot;").count(), 23, "{text}");
        assert_eq!(text.matches("<img ").count(), 2);
    }

    #[test]
    fn a_page_asks_for_nothing() {
        let text = Page::default().html();
        assert!(text.starts_with("<!DOCTYPE html>") && text.contains("default-src 'none'"), "{text}");
        assert!(!text.contains("http://") && !text.contains("https://") && !text.contains("url("), "{text}");
    }
}
