//! Figures as a person reads them.

/// A share of 1 as a percentage: `95.8 %`.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// A loss or another number of unknown size, to about four digits.
pub(crate) fn number(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() {
        "not finite".to_owned()
    } else if size > 0.0 && !(1e-3..1e6).contains(&size) {
        format!("{value:.2e}")
    } else if size >= 100.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.4}")
    }
}

/// A count with its thousands set apart: `1,437`.
pub(crate) fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 round`, `2 rounds`.
pub(crate) fn plural(number: u64, noun: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{} {noun}{ending}", count(number))
}

/// Bytes in decimal units: `1.2 MB`.
pub(crate) fn bytes(value: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    let mut scaled = value as f64;
    let mut unit = "B";
    for larger in UNITS {
        // 999.95 would be shown as 1000.0.
        if scaled < 999.95 {
            break;
        }
        scaled /= 1000.0;
        unit = larger;
    }
    if unit == "B" { format!("{value} B") } else { format!("{scaled:.1} {unit}") }
}

/// A span of time: `0.41 s`, `3 min 20 s`, `2 h 5 min`.
pub(crate) fn seconds(value: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float-to-integer cast saturates, and a negative span is shown as none"
    )]
    let whole = value.round() as u64;
    match whole {
        ..10 => format!("{:.2} s", value.max(0.0)),
        10..120 => format!("{value:.1} s"),
        120..7200 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", count(whole / 3600), whole / 60 % 60),
    }
}

/// `text` without the characters that steer a terminal or turn the reading direction; each
/// becomes U+FFFD.
pub(crate) fn clean(text: &str) -> String {
    text.chars().map(|c| if steers(c) { '\u{fffd}' } else { c }).collect()
}

/// `text`, cleaned, and cut after `limit` characters.
pub(crate) fn clip(text: &str, limit: usize) -> String {
    let mut cut: String = text.chars().take(limit).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    clean(&cut)
}

const fn steers(c: char) -> bool {
    matches!(c,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        | '\u{fffe}' | '\u{ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_well() {
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            [0, 999, 1000, 999_949, 999_950, 1_234_567, u64::MAX].map(bytes),
            ["0 B", "999 B", "1.0 kB", "999.9 kB", "1.0 MB", "1.2 MB", "18.4 EB"]
        );
        assert_eq!(
            [0.414, 12.34, 119.4, 200.0, 7500.0].map(seconds),
            ["0.41 s", "12.3 s", "119.4 s", "3 min 20 s", "2 h 5 min"]
        );
        assert_eq!(
            [0.0, 0.123_45, 123.4, 1.5e-7, 2.5e9, f64::NAN].map(number),
            ["0.0000", "0.1235", "123.4", "1.50e-7", "2.50e9", "not finite"]
        );
        assert_eq!(percent(0.9584), "95.8 %");
        assert_eq!([1, 2].map(|n| plural(n, "round")), ["1 round", "2 rounds"]);
    }

    #[test]
    fn long_texts_are_cut() {
        assert_eq!(
            (clip("süd", 3), clip("süd\0", 3), clip("", 0)),
            ("süd".into(), "süd…".into(), String::new())
        );
    }

    #[test]
    fn what_steers_a_terminal_is_taken_out() {
        assert_eq!(clean("a\u{1b}[31mb\nc\u{202e}d"), "a\u{fffd}[31mb\u{fffd}c\u{fffd}d");
        assert_eq!(clean("Klinik Süd · 北"), "Klinik Süd · 北");
    }
}
