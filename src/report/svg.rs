//! A writer for SVG with a few shapes; all text is escaped.

use std::fmt::Write;

/// A drawing under construction.
#[derive(Debug, Default)]
pub(super) struct Svg {
    body: String,
}

/// The alignment of a text to its point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl Svg {
    /// Adds an element, with an optional tooltip.
    pub fn element(&mut self, name: &str, attributes: &[(&str, String)], tip: Option<&str>) {
        self.open(name, attributes);
        match tip {
            Some(tip) => {
                let _ = writeln!(self.body, "><title>{}</title></{name}>", escape(tip));
            }
            None => self.body.push_str("/>\n"),
        }
    }

    pub fn rect(&mut self, class: &str, x: f64, y: f64, width: f64, height: f64, fill: &str) {
        let geometry = [("x", x), ("y", y), ("width", width), ("height", height)];
        let mut attributes: Vec<(&str, String)> =
            geometry.map(|(name, value)| (name, number(value))).to_vec();
        attributes.push(("class", class.into()));
        attributes.push(("fill", fill.into()));
        self.element("rect", &attributes, None);
    }

    pub fn line(&mut self, class: &str, from: [f64; 2], to: [f64; 2], stroke: &str, width: f64) {
        let geometry =
            [("x1", from[0]), ("y1", from[1]), ("x2", to[0]), ("y2", to[1]), ("stroke-width", width)];
        let mut attributes: Vec<(&str, String)> =
            geometry.map(|(name, value)| (name, number(value))).to_vec();
        attributes.push(("class", class.into()));
        attributes.push(("stroke", stroke.into()));
        self.element("line", &attributes, None);
    }

    /// Adds a text, rotated by `turn` degrees clockwise around its point.
    pub fn text(&mut self, class: &str, at: [f64; 2], anchor: Anchor, size: f64, turn: f64, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let mut attributes = vec![
            ("x", number(at[0])),
            ("y", number(at[1])),
            ("font-size", number(size)),
            ("text-anchor", anchor.into()),
            ("class", class.into()),
            ("fill", "#222222".into()),
        ];
        if turn != 0.0 {
            let around = format!("rotate({} {} {})", number(turn), number(at[0]), number(at[1]));
            attributes.push(("transform", around));
        }
        self.open("text", &attributes);
        let _ = writeln!(self.body, ">{}</text>", escape(text));
    }

    fn open(&mut self, name: &str, attributes: &[(&str, String)]) {
        let _ = write!(self.body, "<{name}");
        for (attribute, value) in attributes {
            let _ = write!(self.body, " {attribute}=\"{}\"", escape(value));
        }
    }

    /// Returns the complete file; `style` is CSS.
    pub fn finish(self, width: f64, height: f64, title: &str, style: &str) -> String {
        let (width, height) = (number(width), number(height));
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" font-family=\"system-ui, 'DejaVu Sans', sans-serif\">\n\
             <title>{}</title>\n<style>{}</style>\n{}</svg>\n",
            escape(title),
            escape(style),
            self.body
        )
    }
}

/// Formats a number with up to two decimals.
pub(super) fn number(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}

/// Escapes text for an element or an attribute. Characters that XML forbids become the replacement character.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\t' => escaped.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_and_numbers_are_short() {
        assert_eq!(escape("a<b> & \"c\"\u{1b}"), "a&lt;b&gt; &amp; &quot;c&quot;\u{fffd}");
        assert_eq!([number(1.0), number(0.25), number(-3.456), number(120.0)], ["1", "0.25", "-3.46", "120"]);
    }
}
