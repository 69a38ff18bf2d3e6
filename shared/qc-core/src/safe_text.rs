//! Text from elsewhere, made safe to show on a terminal and in one line of a log.
//!
//! Control characters, escape sequences, bidirectional overrides and invisible characters are
//! shown as `\x1b` or `\u{202e}`, so a hostile name can neither colour a screen nor hide in it.

use std::fmt::Write as _;

/// `text` with every unsafe character spelled out, cut to at most `max` characters with `..`.
pub fn safe(text: &str, max: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(max));
    for (at, c) in text.chars().enumerate() {
        if at >= max {
            shown.push_str("..");
            break;
        }
        push_safe(&mut shown, c);
    }
    shown
}

/// Bytes from elsewhere as safe text; what is not UTF-8 shows as `\xNN`.
pub fn safe_bytes(bytes: &[u8], max: usize) -> String {
    let mut shown = String::new();
    for chunk in bytes
        .get(..bytes.len().min(max))
        .unwrap_or_default()
        .utf8_chunks()
    {
        chunk.valid().chars().for_each(|c| push_safe(&mut shown, c));
        for byte in chunk.invalid() {
            let _infallible = write!(shown, "\\x{byte:02x}");
        }
    }
    if bytes.len() > max {
        shown.push_str("..");
    }
    shown
}

fn push_safe(shown: &mut String, c: char) {
    let _infallible = match c {
        '\n' => shown.write_str("\\n"),
        '\r' => shown.write_str("\\r"),
        '\t' => shown.write_str("\\t"),
        '\\' => shown.write_str("\\\\"),
        c if (c as u32) < 0x20 || c as u32 == 0x7f => write!(shown, "\\x{:02x}", c as u32),
        c if is_invisible(c) => write!(shown, "\\u{{{:x}}}", c as u32),
        c => shown.write_char(c),
    };
}

fn is_invisible(c: char) -> bool {
    matches!(c as u32,
        0x80..=0x9f            // C1 controls
        | 0xad                 // soft hyphen
        | 0x061c | 0x180e      // Arabic letter mark, Mongolian vowel separator
        | 0x200b..=0x200f      // zero width, directional marks
        | 0x2028..=0x202e      // separators, embeddings, overrides
        | 0x2060..=0x206f      // joiners, isolates
        | 0xfeff | 0xfff9..=0xfffb
        | 0xe0000..=0xe007f) // tags
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_what_a_terminal_would_act_on() {
        for (text, shown) in [
            ("plain é 漢", "plain é 漢"),
            ("a\x1b[31mred", "a\\x1b[31mred"),
            ("two\nlines", "two\\nlines"),
            ("evil\u{202e}txt", "evil\\u{202e}txt"),
            ("c1\u{9b}31m", "c1\\u{9b}31m"),
            ("zero\u{200b}width", "zero\\u{200b}width"),
        ] {
            assert_eq!(safe(text, 100), shown);
        }
        assert_eq!(safe("abcdef", 3), "abc..");
        assert_eq!(safe_bytes(b"ok\xff\x1b", 10), "ok\\xff\\x1b");
    }

    proptest::proptest! {
        #[test]
        fn nothing_unsafe_survives(text in ".*") {
            let shown = safe(&text, 1000);
            proptest::prop_assert!(shown.chars().all(|c| !c.is_control() && !is_invisible(c)));
        }
    }
}
