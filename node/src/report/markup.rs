//! A writer whose output is well-formed and free of unescaped text, whatever it is given.

use std::fmt::{self, Display, Write};

use crate::summary::clean;

/// Names and values of an element's attributes.
pub(super) type Attributes<'a> = &'a [(&'static str, &'a dyn Display)];

/// Markup under construction: HTML that is XML, too. Tags and attribute names are literals of
/// this program; whatever is not goes through [`Markup::text`] or an attribute's value.
#[derive(Debug, Default)]
pub(super) struct Markup {
    written: String,
}

impl Markup {
    /// `<tag attributes>`, what `inside` writes, `</tag>`.
    pub(super) fn element(
        &mut self,
        tag: &'static str,
        attributes: Attributes<'_>,
        inside: impl FnOnce(&mut Self),
    ) {
        self.open(tag, attributes);
        self.written.push('>');
        inside(self);
        self.written.push_str("</");
        self.written.push_str(tag);
        self.written.push('>');
    }

    /// An element that holds just `text`.
    pub(super) fn tag(
        &mut self,
        tag: &'static str,
        attributes: Attributes<'_>,
        text: impl Display,
    ) {
        self.element(tag, attributes, |page| page.text(text));
    }

    /// An element that holds nothing: one of HTML's void elements, or any of SVG's.
    pub(super) fn leaf(&mut self, tag: &'static str, attributes: Attributes<'_>) {
        self.open(tag, attributes);
        self.written.push_str("/>");
    }

    /// `text`, escaped.
    pub(super) fn text(&mut self, text: impl Display) {
        let _ = write!(Escaped(&mut self.written), "{text}");
    }

    /// Text of this program that is no data: a document type, a style sheet.
    pub(super) fn literal(&mut self, text: &'static str) {
        self.written.push_str(text);
    }

    /// What was written.
    pub(super) fn finish(self) -> String {
        self.written
    }

    fn open(&mut self, tag: &'static str, attributes: Attributes<'_>) {
        self.written.push('<');
        self.written.push_str(tag);
        for (name, value) in attributes {
            self.written.push(' ');
            self.written.push_str(name);
            self.written.push_str("=\"");
            self.text(value);
            self.written.push('"');
        }
    }
}

/// Escapes what is written into it for text and for quoted attribute values alike.
struct Escaped<'a>(&'a mut String);

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // Line ends stay: a job file is shown with its own.
        for line in text.split_inclusive('\n') {
            let (line, end) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\n"));
            for character in clean(line).chars() {
                match character {
                    '&' => self.0.push_str("&amp;"),
                    '<' => self.0.push_str("&lt;"),
                    '>' => self.0.push_str("&gt;"),
                    '"' => self.0.push_str("&quot;"),
                    '\'' => self.0.push_str("&#39;"),
                    other => self.0.push(other),
                }
            }
            self.0.push_str(end);
        }
        Ok(())
    }
}

/// A place or a length within a plot, in percent of its width or height.
#[derive(Clone, Copy, Debug)]
pub(super) struct Percent(pub(super) f64);

impl Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Three decimals are a hundredth of a pixel on the widest screens.
        let text = format!("{:.3}", self.0);
        write!(f, "{}%", text.trim_end_matches('0').trim_end_matches('.'))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn elements_nest() {
        let mut page = Markup::default();
        page.element("p", &[("class", &"a\"b")], |page| {
            page.text("1 < 2");
            page.leaf("br", &[]);
            page.tag("b", &[], '&');
        });
        assert_eq!(page.finish(), "<p class=\"a&quot;b\">1 &lt; 2<br/><b>&amp;</b></p>");
    }

    #[test]
    fn percentages_are_short() {
        assert_eq!(
            [0.0, 12.5, 33.333_333].map(|it| Percent(it).to_string()),
            ["0%", "12.5%", "33.333%"]
        );
    }

    proptest! {
        #[test]
        fn a_parser_reads_back_what_was_written(text in any::<String>()) {
            let mut page = Markup::default();
            page.element("p", &[("title", &text)], |page| page.text(&text));
            let written = page.finish();
            let document = roxmltree::Document::parse(&written).unwrap();
            let expected: Vec<String> = text.split('\n').map(clean).collect();
            let root = document.root_element();
            prop_assert_eq!(root.text().unwrap_or_default(), expected.join("\n"));
            prop_assert_eq!(root.attribute("title").unwrap(), expected.join(" "));
        }
    }
}
